/**
 * The key pair for seals: an Ed25519 private key that the server signs with, and the public key for verification.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto"
import type { KeyObject } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import type { Config } from "./config.ts"

/** What is wrong with a key file, in one line. */
const faultOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  // the message of OpenSSL for a file that is no key would not help anybody
  return "code" in cause && String(cause.code).startsWith("E") && !String(cause.code).startsWith("ERR")
    ? cause.message
    : "expected PEM with an Ed25519 key, as `presently seal-key` writes it"
}

type Read = { readonly key: KeyObject } | { readonly fault: string }

const read = (file: string, parse: (pem: string) => KeyObject): Read => {
  try {
    const key = parse(readFileSync(file, "utf8"))
    return key.asymmetricKeyType === "ed25519"
      ? { key }
      : { fault: `it is a key for ${key.asymmetricKeyType}: expected one for Ed25519` }
  } catch (cause) {
    return { fault: faultOf(cause) }
  }
}

const readPrivateKey = (file: string): Read => read(file, (pem) => createPrivateKey(pem))

/** Null: nothing is sealed. */
export const sealKeyOf = ({ seal_key: file, database_url, data, memory, sources }: Config): Read | null => {
  if (file === null) return null
  const said = `seal_key = ${file} (${sources.seal_key})`
  if (memory || (database_url === null && data === null)) {
    return {
      fault: `${said}: what is kept in memory is not sealed: give --database-url or --data, or leave it out`,
    }
  }
  const read = readPrivateKey(file)
  return "key" in read ? read : { fault: `${said}: ${read.fault}` }
}

/** A private key is refused: whoever verifies should not have it. */
export const readPublicKey = (file: string): Read =>
  read(file, (pem) => {
    if (pem.includes("PRIVATE KEY")) throw new Error("private")
    return createPublicKey(pem)
  })

/**
 * Writes a new pair: the private key to `file`, readable for its owner only, and the public key beside it.
 *
 * @throws when one of the files exists already, or cannot be written
 * @returns the file of the public key
 */
export const writeSealKey = (file: string): string => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  const publicFile = `${file}.pub`
  const pem = { format: "pem" } as const
  writeFileSync(file, privateKey.export({ type: "pkcs8", ...pem }), { flag: "wx", mode: 0o600 })
  writeFileSync(publicFile, publicKey.export({ type: "spki", ...pem }), { flag: "wx", mode: 0o644 })
  return publicFile
}
