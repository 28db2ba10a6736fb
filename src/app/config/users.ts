/**
 * The file of users for digest authentication: lines `USER:REALM:HA1` or `USER:REALM:HA1:URI`.
 *
 * HA1 is the hash of `USER:REALM:PASSWORD` in hex: 64 digits for SHA-256, 32 for MD5. A user may have a line for each. URI is the
 * address of the account, where that is not USER at REALM. Passwords are never stored; `presently user` makes a line.
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import type { DigestAlgorithm, Secret } from "../../adapters/sip/stack.ts"
import { parseUri } from "../../adapters/sip/uri.ts"
import { addressOfRecord } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { ConfigInvalid } from "./config.ts"
import { fileWords } from "./file-words.ts"

export interface Users {
  readonly lookup: (user: string, realm: string) => Secret | null
  /** The address given for the account; null: none. */
  readonly addressOf: (user: string, realm: string) => Uri | null
  readonly size: number
  /** In the order of the file. */
  readonly accounts: readonly Account[]
}

export interface Account {
  readonly user: string
  readonly realm: string
  /** The line that names it first, counted from 1. */
  readonly line: number
  readonly algorithms: readonly DigestAlgorithm[]
  readonly address: Uri | null
}

/** The account of each realm, for NOTIFYs that are challenged: the first line that names it. */
export const accountsByRealm = ({ accounts, lookup }: Users) => {
  const byRealm = new Map<string, { readonly user: string; readonly secret: Secret }>()
  for (const { user, realm } of accounts) {
    const secret = lookup(user, realm)
    if (secret !== null && !byRealm.has(realm)) byRealm.set(realm, { user, secret })
  }
  return (realm: string) => byRealm.get(realm) ?? null
}

/** @param setting the one that names the file */
export const readUsers = (file: string, setting = "users_file"): Effect.Effect<Users, ConfigInvalid> =>
  Effect.try({
    try: () => parseUsers(readFileSync(file, "utf8"), file, setting),
    catch: (cause) =>
      cause instanceof ConfigInvalid
        ? cause
        : new ConfigInvalid({
            faults: [`${setting} = ${file}: ${fileWords(cause)}`],
          }),
  })

/** @throws ConfigInvalid that names each line that cannot be read */
export const parseUsers = (text: string, file: string, setting = "users_file"): Users => {
  const known = new Map<string, Partial<Record<DigestAlgorithm, string>>>()
  const addresses = new Map<string, Uri>()
  const lines = new Map<string, number>()
  /** By algorithm as well. */
  const lineOf = new Map<string, number>()
  const faults: string[] = []
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return
    const at = `${setting} ${file}:${index + 1}`
    // a URI contains colons itself
    const [user, realm, ha1, ...rest] = line.trim().split(":")
    const algorithm = ha1 === undefined ? undefined : algorithmOf(ha1)
    if (!user || !realm || ha1 === undefined || algorithm === undefined) {
      faults.push(`${at}: expected USER:REALM:HA1, HA1 of 64 (SHA-256) or 32 (MD5) hex digits`)
      return
    }
    const key = `${user}\n${realm}`
    if (rest.length > 0) {
      const written = rest.join(":")
      const address = accountAddress(written)
      const earlier = addresses.get(key)
      if (address === null) {
        faults.push(
          `${at}: ${written} is no address: expected a URI such as sip:alice@example.com, or nothing`,
        )
        return
      }
      if (earlier !== undefined && earlier !== address) {
        faults.push(`${at}: ${user} has the address ${earlier} in a line before: leave one of the two out`)
        return
      }
      addresses.set(key, address)
    }
    if (known.get(key)?.[algorithm] !== undefined) {
      const which = `${user}:${realm} has a line with ${algorithm} already`
      faults.push(`${at}: ${which} (line ${lineOf.get(`${algorithm} ${key}`)}): leave one of the two out`)
      return
    }
    lineOf.set(`${algorithm} ${key}`, index + 1)
    if (!lines.has(key)) lines.set(key, index + 1)
    known.set(key, { ...known.get(key), [algorithm]: ha1.toLowerCase() })
  })
  if (faults.length > 0) throw new ConfigInvalid({ faults })
  return {
    lookup: (user, realm) => {
      const ha1 = known.get(`${user}\n${realm}`)
      return ha1 === undefined ? null : { ha1 }
    },
    addressOf: (user, realm) => addresses.get(`${user}\n${realm}`) ?? null,
    size: known.size,
    get accounts() {
      return [...known].map(([key, hashes]) => {
        const [user = "", realm = ""] = key.split("\n")
        const algorithms = Object.keys(hashes) as DigestAlgorithm[]
        return { user, realm, line: lines.get(key) ?? 0, algorithms, address: addresses.get(key) ?? null }
      })
    },
  }
}

/** The address of an account in canonical form; null: it is none. */
export const accountAddress = (text: string): Uri | null => {
  const uri = parseUri(text)
  return uri === null || (uri.scheme !== "tel" && uri.user === null) ? null : addressOfRecord(uri)
}

/**
 * A line of the file for one user.
 *
 * @param address of the account, where it is not the user's name at the realm
 */
export const userLine = (
  user: string,
  realm: string,
  password: string,
  algorithm: "SHA-256" | "MD5",
  address: Uri | null = null,
): string => {
  const hash = createHash(algorithm === "MD5" ? "md5" : "sha256")
  const ha1 = hash.update(`${user}:${realm}:${password}`).digest("hex")
  return `${user}:${realm}:${ha1}${address === null ? "" : `:${address}`}`
}

const algorithmOf = (ha1: string): DigestAlgorithm | undefined =>
  /^[0-9a-fA-F]{64}$/.test(ha1) ? "SHA-256" : /^[0-9a-fA-F]{32}$/.test(ha1) ? "MD5" : undefined
