/**
 * Case files on disk: their lines, read in chunks, and the items they hold.
 */
import { closeSync, openSync, readSync } from "node:fs"
import { lineMax } from "../../explain/case/format.ts"
import type { CaseHeader, CaseItem } from "../../explain/case/format.ts"
import { CaseBroken, readItems } from "../../explain/case/read.ts"
import type { Line } from "../../explain/case/read.ts"
import { nodeSha256 } from "./node-sha256.ts"

/** The lines of a file; one chunk is in memory at a time. @throws the system's error for the file */
function* linesOf(path: string): Generator<Line> {
  const file = openSync(path, "r")
  try {
    const chunk = Buffer.allocUnsafe(256 * 1024)
    let pieces: Buffer[] = []
    let length = 0
    for (;;) {
      const size = readSync(file, chunk)
      if (size === 0) break
      let from = 0
      for (let end = chunk.indexOf(10, 0); end >= 0 && end < size; end = chunk.indexOf(10, from)) {
        pieces.push(Buffer.from(chunk.subarray(from, end)))
        yield { text: Buffer.concat(pieces).toString("utf8"), isWhole: true }
        pieces = []
        length = 0
        from = end + 1
      }
      if (from < size) pieces.push(Buffer.from(chunk.subarray(from, size)))
      length += size - from
      if (length > lineMax) {
        yield { text: "", isWhole: false }
        return
      }
    }
    if (pieces.length > 0) yield { text: Buffer.concat(pieces).toString("utf8"), isWhole: false }
  } finally {
    closeSync(file)
  }
}

/** The items of a case file, in order. @throws CaseBroken at the first line that does not fit */
export const itemsOf = (path: string): Generator<CaseItem> => readItems(path, linesOf(path), nodeSha256)

/** Reads the whole file once, so that nothing is reported from a case that turns out to be broken further on. @throws CaseBroken */
export const checkCase = (path: string): CaseHeader => {
  let header: CaseHeader | null = null
  for (const item of itemsOf(path)) if (item._tag === "case") header = item
  if (header === null) throw new CaseBroken({ file: path, line: 1, why: "the file is empty" })
  return header
}
