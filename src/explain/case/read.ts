/**
 * Reads a case line by line, and refuses one that is not as it was written.
 */
import type { Uri } from "../../domain/vocabulary.ts"
import { readLine, reasonOf } from "./format.ts"
import type { CaseItem } from "./format.ts"
import type { Sha256 } from "./sha256.ts"

/** The text is not a case file, or is incomplete. */
export class CaseBroken extends Error {
  readonly _tag = "CaseBroken"
  readonly file: string
  /** Counted from 1. */
  readonly line: number
  readonly why: string
  constructor({ file, line, why }: { readonly file: string; readonly line: number; readonly why: string }) {
    super(`${file}, line ${line}: ${why}`)
    this.name = "CaseBroken"
    this.file = file
    this.line = line
    this.why = why
  }
}

/** A line of a case file, without its end. */
export interface Line {
  readonly text: string
  /** Whether its line end is present: a truncated file lacks it. */
  readonly isWhole: boolean
}

/** The lines of a text that is entirely in memory. */
export const linesIn = (text: string): readonly Line[] => {
  const parts = text.split("\n")
  const rest = parts.pop() ?? ""
  const lines = parts.map((part) => ({ text: part, isWhole: true }))
  return rest === "" ? lines : [...lines, { text: rest, isWhole: false }]
}

/**
 * The items of a case in order.
 *
 * @param file the name used in messages
 * @throws CaseBroken at the first invalid line; the items before it are then not reliable
 */
export function* readItems(file: string, lines: Iterable<Line>, sha256: Sha256): Generator<CaseItem> {
  const all = sha256.running()
  let ofStream = sha256.running()
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
      ofStream = sha256.running()
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
      if (written !== ofStream.hex())
        throw broken(`lines ${begun} to ${number - 1} (${stream}) are not as they were written`)
      if (item.decisions !== ofThis)
        throw broken(`it counts ${item.decisions} decisions, there are ${ofThis}`)
      stream = null
    } else if (item._tag === "end") {
      if (stream !== null) throw broken(`the stream ${stream} has not ended`)
      if (written !== all.hex()) throw broken("the lines before are not as they were written")
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
