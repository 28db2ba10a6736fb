/**
 * Reads a case line by line, and refuses one that is not as it was written.
 */
import { createHash } from "node:crypto"
import { closeSync, openSync, readSync } from "node:fs"
import { Data } from "effect"
import type { Uri } from "../../domain/vocabulary.ts"
import { exitCodes } from "../cli/exit.ts"
import { lineMax, readLine, reasonOf } from "./format.ts"
import type { CaseHeader, CaseItem } from "./format.ts"

/** The file is no case, or not a whole one. */
export class CaseBroken extends Data.TaggedError("CaseBroken")<{
  readonly file: string
  readonly line: number
  readonly why: string
}> {
  readonly exitCode = exitCodes.io
  override get message(): string {
    return `${this.file}, line ${this.line}: ${this.why}`
  }
}

export interface Line {
  readonly text: string
  /** Whether its end is there: a file that was cut off has none. */
  readonly isWhole: boolean
}

/** Lines of a file, a piece of it in memory at a time. @throws what the system says of the file */
export function* linesOf(path: string): Generator<Line> {
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

/**
 * The items of a case in order.
 *
 * @param file as messages name it
 * @throws CaseBroken at the first line that does not fit; what came before is not to be trusted then
 */
export function* itemsOf(file: string, lines: Iterable<Line>): Generator<CaseItem> {
  const all = createHash("sha256")
  let ofStream = createHash("sha256")
  let number = 0
  const broken = (why: string): CaseBroken => new CaseBroken({ file, line: number, why })
  let stream: Uri | null = null
  let begun = 0
  let [version, position] = [0, -1]
  let [streams, decisions, ofThis] = [0, 0, 0]
  let isOver = false
  for (const { text, isWhole } of lines) {
    number++
    if (isOver) throw broken("something stands after the end")
    if (!isWhole)
      throw broken("the file ends, or goes on without end, within this line: it is not a whole case")
    let read
    try {
      read = readLine(text, stream)
    } catch (cause) {
      throw broken(reasonOf(cause))
    }
    const { item, lines: written } = read
    if ((number === 1) !== (item._tag === "case"))
      throw broken(
        number === 1 ? "a case begins with a line of kind case" : "the head of a case stands only once",
      )
    if (item._tag === "stream") {
      if (stream !== null) throw broken(`the stream ${stream} has not ended`)
      stream = item.state.presentity
      ;[begun, version, position, ofThis] = [number, item.state.version, -1, 0]
      ofStream = createHash("sha256")
      streams++
    } else if (item._tag === "decision") {
      const { recorded } = item
      if (recorded.decision.version !== version + 1)
        throw broken(`decision ${recorded.decision.version} of ${stream} follows on ${version}`)
      if (recorded.position <= position) throw broken(`position ${recorded.position} follows on ${position}`)
      version++
      ;({ position } = recorded)
      decisions++
      ofThis++
    } else if (item._tag === "end-of-stream") {
      if (item.stream !== stream) throw broken(`it ends ${item.stream}, which has not begun`)
      if (written !== ofStream.copy().digest("hex"))
        throw broken(`lines ${begun} to ${number - 1} (${stream}) are not as they were written`)
      if (item.decisions !== ofThis)
        throw broken(`it counts ${item.decisions} decisions, there are ${ofThis}`)
      stream = null
    } else if (item._tag === "end") {
      if (stream !== null) throw broken(`the stream ${stream} has not ended`)
      if (written !== all.copy().digest("hex")) throw broken("the lines before are not as they were written")
      if (item.streams !== streams || item.decisions !== decisions)
        throw broken("it counts other streams or decisions than there are")
      isOver = true
    }
    yield item
    all.update(`${text}\n`)
    ofStream.update(`${text}\n`)
  }
  if (!isOver) {
    number++
    throw broken(
      number === 1 ? "the file is empty" : "the file ends before the end of the case: it is not a whole one",
    )
  }
}

/** Reads all of it once, so that nothing is told of a case that is broken further on. @throws CaseBroken */
export const checkCase = (path: string): CaseHeader => {
  let header: CaseHeader | null = null
  for (const item of itemsOf(path, linesOf(path))) if (item._tag === "case") header = item
  if (header === null) throw new CaseBroken({ file: path, line: 1, why: "the file is empty" })
  return header
}
