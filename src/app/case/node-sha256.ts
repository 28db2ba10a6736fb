/**
 * SHA-256 as Node computes it, for reading, writing and replaying case files.
 */
import { createHash } from "node:crypto"
import type { Sha256 } from "../../explain/case/sha256.ts"

export const nodeSha256: Sha256 = {
  hex: (text) => createHash("sha256").update(text).digest("hex"),
  running: () => {
    const hash = createHash("sha256")
    return { update: (text) => void hash.update(text), hex: () => hash.copy().digest("hex") }
  },
}
