/**
 * The file of users that digest authentication knows: lines `USER:REALM:HA1`.
 *
 * HA1 is the hash of `USER:REALM:PASSWORD` in hex: 64 digits for SHA-256, 32 for MD5. One user may have a line of
 * each. Passwords themselves are never stored; `presently user` makes a line.
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { Effect } from "effect"
import type { DigestAlgorithm, Secret } from "../adapters/sip/transport.ts"
import { ConfigInvalid } from "./config.ts"

export interface Users {
  readonly lookup: (user: string, realm: string) => Secret | null
  readonly size: number
}

export const readUsers = (file: string): Effect.Effect<Users, ConfigInvalid> =>
  Effect.try({
    try: () => parseUsers(readFileSync(file, "utf8"), file),
    catch: (cause) =>
      cause instanceof ConfigInvalid
        ? cause
        : new ConfigInvalid({
            faults: [`users_file = ${file}: ${cause instanceof Error ? cause.message : String(cause)}`],
          }),
  })

/** @throws ConfigInvalid that names each line it cannot read */
export const parseUsers = (text: string, file: string): Users => {
  const known = new Map<string, Partial<Record<DigestAlgorithm, string>>>()
  const faults: string[] = []
  text.split(/\r?\n/).forEach((line, index) => {
    if (line.trim() === "" || line.startsWith("#")) return
    const [user, realm, ha1, ...rest] = line.trim().split(":")
    const algorithm = ha1 === undefined ? undefined : algorithmOf(ha1)
    if (!user || !realm || ha1 === undefined || algorithm === undefined || rest.length > 0) {
      faults.push(
        `users_file ${file}:${index + 1}: expected USER:REALM:HA1, HA1 of 64 (SHA-256) or 32 (MD5) hex digits`,
      )
      return
    }
    const key = `${user}\n${realm}`
    known.set(key, { ...known.get(key), [algorithm]: ha1.toLowerCase() })
  })
  if (faults.length > 0) throw new ConfigInvalid({ faults })
  return {
    lookup: (user, realm) => {
      const ha1 = known.get(`${user}\n${realm}`)
      return ha1 === undefined ? null : { ha1 }
    },
    size: known.size,
  }
}

/** A line of the file for one user. */
export const userLine = (
  user: string,
  realm: string,
  password: string,
  algorithm: "SHA-256" | "MD5",
): string => {
  const hash = createHash(algorithm === "MD5" ? "md5" : "sha256")
  return `${user}:${realm}:${hash.update(`${user}:${realm}:${password}`).digest("hex")}`
}

const algorithmOf = (ha1: string): DigestAlgorithm | undefined =>
  /^[0-9a-fA-F]{64}$/.test(ha1) ? "SHA-256" : /^[0-9a-fA-F]{32}$/.test(ha1) ? "MD5" : undefined
