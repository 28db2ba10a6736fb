/**
 * Seals: signed statements of what the log was at a position. What is signed is said here, and in docs/log.md in words.
 */
import { createHash, sign, verify } from "node:crypto"
import type { KeyObject } from "node:crypto"
import type { RowHash, Seal } from "../../../ports/log-audit.ts"

/** A seal before it is signed. */
export type Unsigned = Omit<Seal, "signature">

/** What the digest of the first seal builds on. */
export const noDigest = Buffer.alloc(32)

/** SHA-256 of the digest of the seal before, then of each row its position (8 octets, big-endian) and its hash. */
export const digestOfRows = (before: Uint8Array) => {
  const digest = createHash("sha256").update(before)
  const position = Buffer.alloc(8)
  return {
    add: (row: RowHash): void => {
      position.writeBigInt64BE(row.position)
      digest.update(position).update(row.hash ?? noDigest)
    },
    end: (): Buffer => digest.digest(),
  }
}

/** The text that is signed. */
const signedText = ({ position, previous, at, rows, digest }: Unsigned): string =>
  `presently seal 1\nposition ${position}\nprevious ${previous}\nat ${at}\nrows ${rows}\n` +
  `digest ${Buffer.from(digest).toString("hex")}\n`

export const signSeal = (seal: Unsigned, key: KeyObject): Seal => ({
  ...seal,
  signature: sign(null, Buffer.from(signedText(seal)), key),
})

export const isSigned = (seal: Seal, key: KeyObject): boolean =>
  verify(null, Buffer.from(signedText(seal)), key, seal.signature)
