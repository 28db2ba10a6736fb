/**
 * Who may do what at the management port: bearer tokens, each with one scope that includes the smaller ones.
 *
 * A token file has lines `NAME:SCOPE:SHA256`, the digest of the token in hexadecimal: the file does not give the tokens
 * away. Without a file whoever reaches the port may do everything.
 */
import { createHash, timingSafeEqual } from "node:crypto"

export const scopes = ["read", "documents", "operate", "admin"] as const

/** `read` looks, `documents` also sees what persons publish and what was, `operate` acts on presentities and watchers, `admin` acts on the server. */
export type Scope = (typeof scopes)[number]

export interface Token {
  readonly name: string
  readonly scope: Scope
  /** SHA-256 of the token. */
  readonly digest: Buffer
}

export const includes = (has: Scope, needs: Scope): boolean => scopes.indexOf(has) >= scopes.indexOf(needs)

const tokenHash = (token: string): Buffer => createHash("sha256").update(token).digest()

/** The line of a token file for a new token. */
export const tokenLine = (name: string, scope: Scope, token: string): string =>
  `${name}:${scope}:${tokenHash(token).toString("hex")}`

export const isTokenName = (name: string): boolean => /^[A-Za-z0-9_.-]{1,64}$/.test(name)

/** What is wrong with a line, from 1 on. */
export interface TokenFault {
  readonly line: number
  readonly why: string
}

/** @returns the tokens, and what is wrong with single lines */
export const parseTokens = (
  text: string,
): { readonly tokens: readonly Token[]; readonly faults: readonly TokenFault[] } => {
  const tokens: Token[] = []
  const faults: TokenFault[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue
    const [name = "", scope = "", digest = ""] = line.split(":")
    if (!isTokenName(name) || !isScope(scope) || !/^[0-9a-f]{64}$/.test(digest)) {
      const why = "expected NAME:read|documents|operate|admin:SHA256, as `presently token` writes it"
      faults.push({ line: index + 1, why })
    } else if (tokens.some((one) => one.name === name))
      faults.push({ line: index + 1, why: `${name} has a line already: leave one of the two out` })
    else tokens.push({ name, scope, digest: Buffer.from(digest, "hex") })
  }
  return { tokens, faults }
}

/** All are compared, each in constant time. */
export const findToken = (tokens: readonly Token[], presented: string): Token | null => {
  const digest = tokenHash(presented)
  let found: Token | null = null
  for (const one of tokens) if (timingSafeEqual(one.digest, digest)) found = one
  return found
}

const isScope = (text: string): text is Scope => (scopes as readonly string[]).includes(text)
