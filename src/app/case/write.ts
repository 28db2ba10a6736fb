/**
 * Writes a case line by line: a state, its decisions, and the digests that follow from them.
 */
import type { Reaction } from "../../domain/presentity/react.ts"
import type { State } from "../../domain/presentity/state.ts"
import { walkFrom } from "../../explain/case/digests.ts"
import type { Walk } from "../../explain/case/digests.ts"
import { lineOf } from "../../explain/case/format.ts"
import type { CaseHeader, CaseItem } from "../../explain/case/format.ts"
import type { RecordedDecision } from "../../ports/event-store.ts"
import { nodeSha256 } from "./node-sha256.ts"

export interface CaseWriter {
  /** @param state the state before the stream's first decision in the case */
  readonly stream: (state: State) => void
  readonly decision: (recorded: RecordedDecision) => void
  readonly endStream: () => void
  readonly end: () => { readonly streams: number; readonly decisions: number }
}

/** @param write receives each line with its line end */
export const makeCaseWriter = (
  header: CaseHeader,
  reaction: Reaction,
  write: (line: string) => void,
): CaseWriter => {
  const all = nodeSha256.running()
  let ofStream = nodeSha256.running()
  let walk: Walk | null = null
  let [streams, decisions, ofThis] = [0, 0, 0]
  const put = (item: CaseItem, lines?: string): void => {
    const line = `${lineOf(item, lines)}\n`
    all.update(line)
    ofStream.update(line)
    write(line)
  }
  put({ _tag: "case", ...header })
  return {
    stream: (state) => {
      ofStream = nodeSha256.running()
      walk = walkFrom(state, reaction, nodeSha256)
      streams++
      ofThis = 0
      put({ _tag: "stream", state })
    },
    decision: (recorded) => {
      if (walk === null) throw new Error("a decision stands in a stream")
      const { digest } = walk.step(recorded)
      decisions++
      ofThis++
      put({ _tag: "decision", recorded, digest })
    },
    endStream: () => {
      if (walk === null) throw new Error("only a stream that has begun ends")
      const stream = walk.state().presentity
      const end = walk.end()
      walk = null
      put({ _tag: "end-of-stream", stream, decisions: ofThis, ...end }, ofStream.hex())
    },
    end: () => {
      put({ _tag: "end", streams, decisions }, all.hex())
      return { streams, decisions }
    },
  }
}
