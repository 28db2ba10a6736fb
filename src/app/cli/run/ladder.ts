/**
 * Draws the messages of a case or of a store, or writes them as a capture file.
 */
import { closeSync, existsSync, openSync, writeSync } from "node:fs"
import { Clock, Console, Effect, Option } from "effect"
import type { Uri } from "../../../domain/vocabulary.ts"
import { CaseBroken } from "../../../explain/case/read.ts"
import { drawHead, drawStep, lanesOf, mermaid } from "../../../explain/ladder/draw.ts"
import { isNote } from "../../../explain/ladder/messages.ts"
import type { LadderStep } from "../../../explain/ladder/messages.ts"
import { checkCase } from "../../case/case-file.ts"
import { LocalFailure, UsageInvalid } from "../../client/failures.ts"
import { sipMessage } from "../../ladder/message-text.ts"
import { makeCapture, pcapHead } from "../../ladder/pcap.ts"
import { followStore, stepsInCase, stepsInStore } from "../../ladder/source.ts"
import type { Span } from "../../ladder/source.ts"
import type { AdminInput } from "../admin-call.ts"
import { placeNamed, plural, streamNamed } from "../export.ts"
import { placeConfig } from "../log-place.ts"
import type { StoreFlags } from "../store-flags.ts"
import { paintFor } from "./paint.ts"

interface LadderInput extends StoreFlags, Pick<AdminInput, "admin" | "token"> {
  readonly json: boolean
  readonly since: readonly string[]
  readonly until: readonly string[]
  readonly utc: boolean
  readonly mermaid: boolean
  readonly live: boolean
  readonly pcap: Option.Option<string>
  /** A file, or a URI. */
  readonly what: string
  readonly stream: Option.Option<string>
}

export const drawLadder = Effect.fn(function* ({ what, json, utc, pcap, ...input }: LadderInput) {
  const now = yield* Clock.currentTimeMillis
  const span: Span = {
    since: yield* placeNamed("since", input.since, now),
    until: yield* placeNamed("until", input.until, now),
  }
  let steps: readonly LadderStep[]
  if (input.live) {
    if (existsSync(what) || input.mermaid || Option.isSome(pcap) || span.until !== null)
      return yield* new UsageInvalid({
        why: "--live draws the messages of a URI, without --mermaid, --pcap and --until",
      })
    const stream = (yield* exactly(what)) as Uri
    const draw = drawing(utc)
    return yield* followStore(yield* placeConfig(input), stream, span, (steps) =>
      Effect.forEach(json ? steps.map(jsonOf) : draw(steps), (line) => Console.log(line), { discard: true }),
    )
  }
  if (existsSync(what)) {
    yield* checked(what)
    const stream = Option.isNone(input.stream) ? null : ((yield* streamNamed(input.stream.value)) as Uri)
    steps = yield* stepsInCase(what, stream, span)
  } else {
    const stream = yield* streamNamed(what)
    if (/[*?]/.test(stream))
      return yield* new UsageInvalid({ why: "a ladder of several: presently export them to a case first" })
    steps = yield* stepsInStore(yield* placeConfig(input), stream as Uri, span)
  }
  if (Option.isSome(pcap)) return yield* Console.log(yield* capture(pcap.value, steps))
  if (json) {
    for (const step of steps) yield* Console.log(jsonOf(step))
    return
  }
  const lines = input.mermaid ? mermaid(steps, lanesOf(steps), utc) : drawing(utc)(steps)
  for (const line of lines) yield* Console.log(line)
})

const exactly = (text: string) =>
  Effect.flatMap(streamNamed(text), (stream) =>
    /[*?]/.test(stream)
      ? Effect.fail(new UsageInvalid({ why: "a ladder of several: presently export them to a case first" }))
      : Effect.succeed(stream),
  )

/** Lines for steps, with a heading whenever the columns change. */
const drawing = (utc: boolean) => {
  const paint = paintFor(process.stdout, process.env)
  const all: LadderStep[] = []
  let head = ""
  return (steps: readonly LadderStep[]): readonly string[] => {
    // a party keeps its column
    const lanes = lanesOf([...all, ...steps])
    for (const step of steps)
      if (!isNote(step) && !all.some((known) => !isNote(known) && known.party === step.party)) all.push(step)
    const drawn = steps.map((step) => drawStep(step, lanes, utc, paint))
    const next = drawHead(lanes, paint)
    if (next === head) return drawn
    head = next
    return [head, ...drawn]
  }
}

const checked = (file: string) =>
  Effect.try({
    try: () => checkCase(file),
    catch: (cause) =>
      cause instanceof CaseBroken ? cause : new LocalFailure({ what: `${file} cannot be read`, cause }),
  })

const jsonOf = (step: LadderStep): string => {
  if (isNote(step)) return JSON.stringify({ v: 1, kind: "note", ...step })
  const { bytes, ...rest } = sipMessage(step)
  return JSON.stringify({ v: 1, kind: "message", ...rest, text: bytes?.toString("utf8") ?? null })
}

const capture = (path: string, steps: readonly LadderStep[]) =>
  Effect.try({
    try: () => {
      const file = openSync(path, "wx", 0o600)
      try {
        const { packet } = makeCapture()
        writeSync(file, pcapHead())
        let [written, left] = [0, 0]
        for (const step of steps) {
          if (isNote(step) || !step.isSent) continue
          const bytes = packet(sipMessage(step))
          if (bytes === null) left++
          else {
            writeSync(file, bytes)
            written++
          }
        }
        const rest = left === 0 ? "" : `, ${left} left out that are too long for a packet`
        return `${path}: ${plural(written, "message")}${rest}`
      } finally {
        closeSync(file)
      }
    },
    catch: (cause) => new LocalFailure({ what: `${path} cannot be written`, cause }),
  })
