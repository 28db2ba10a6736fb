/**
 * Nonces, which distinguish one decision, and one entity-tag, from every other.
 */
import { randomFillSync } from "node:crypto"

/** Every entity-tag contains one, and every row of the log two or three: more octets would cost space without any use. */
const nonceOctets = 12

/**
 * 96 bits from the system's generator as a token of 16 characters; the generator is asked for 256 of them at a time.
 *
 * A nonce never begins with a hyphen, because entity-tags are given on command lines too.
 */
export const freshNonce = ((): (() => string) => {
  const pool = Buffer.alloc(nonceOctets * 256)
  let next = pool.length
  return () => {
    if (next >= pool.length) {
      randomFillSync(pool)
      next = 0
    }
    const nonce = pool.toString("base64url", next, next + nonceOctets)
    next += nonceOctets
    return nonce.startsWith("-") ? `~${nonce.slice(1)}` : nonce
  }
})()
