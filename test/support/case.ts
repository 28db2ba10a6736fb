/**
 * Cases of generated histories, in memory.
 */
import { makeAnonymizer } from "../../src/app/case/anonymize.ts"
import { nodeSha256 } from "../../src/app/case/node-sha256.ts"
import { caseWorldOf } from "../../src/app/case/world.ts"
import { makeCaseWriter } from "../../src/app/case/write.ts"
import { readConfig } from "../../src/app/config/config.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import type { Reaction } from "../../src/domain/presentity/react.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import type { CaseHeader, CaseItem } from "../../src/explain/case/format.ts"
import { linesIn, readItems } from "../../src/explain/case/read.ts"
import type { RecordedDecision } from "../../src/ports/event-store.ts"
import { reactionOf } from "./machine.ts"
import type { Run } from "./machine.ts"

export const nothingSet = { flags: {}, set: [], env: {}, file: null, defaults: {} }

export const headerOf = (over: Partial<CaseHeader> = {}): CaseHeader => ({
  presently: "0.1.0",
  node: "v24.0.0",
  writtenAt: "2026-11-23T14:00:00.000Z",
  anonymized: false,
  since: null,
  until: null,
  world: caseWorldOf(readConfig(nothingSet)),
  ...over,
})

/** The log of a run with positions, stream by stream, and the state of each stream before `from`. */
export const streamsOf = (
  run: Run,
  from = 0,
): readonly { readonly begin: State; readonly recorded: readonly RecordedDecision[] }[] =>
  [...run.states.keys()].flatMap((stream) => {
    let begin = initial(stream)
    const recorded: RecordedDecision[] = []
    for (const [index, decision] of run.log.entries()) {
      if (decision.stream !== stream) continue
      if (index < from) begin = fold(begin, decision)
      else recorded.push({ position: index + 1, decision })
    }
    return recorded.length === 0 ? [] : [{ begin, recorded }]
  })

/** The lines of a case, each with its line end. */
export const caseLines = (
  run: Run,
  options: { readonly from?: number; readonly anonymous?: boolean; readonly key?: Buffer } = {},
): readonly string[] => {
  const lines: string[] = []
  const reaction: Reaction = reactionOf(run.world)
  const writer = makeCaseWriter(headerOf({ anonymized: options.anonymous === true }), reaction, (line) => {
    lines.push(line)
  })
  const anonymizer = options.anonymous === true ? makeAnonymizer(reaction, options.key) : null
  for (const { begin, recorded } of streamsOf(run, options.from)) {
    writer.stream(anonymizer === null ? begin : anonymizer.stream(begin))
    for (const decision of recorded)
      writer.decision(anonymizer === null ? decision : anonymizer.decision(decision))
    writer.endStream()
  }
  writer.end()
  return lines
}

/** The items in a file with these lines. */
export const readCase = (text: string): readonly CaseItem[] => [
  ...readItems("case", linesIn(text), nodeSha256),
]
