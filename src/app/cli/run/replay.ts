/**
 * Replays a case, and prints what was asked for.
 */
import { readFileSync } from "node:fs"
import { Clock, Console, Data, Effect, Option } from "effect"
import type { Supposition } from "../../../domain/history/what-if.ts"
import { rulesFor } from "../../../domain/packages/event-package.ts"
import { freeze } from "../../../domain/presentity/snapshot.ts"
import type { Body, Uri } from "../../../domain/vocabulary.ts"
import { eventTags } from "../../../encoding/event-codec.ts"
import type { CaseHeader } from "../../../explain/case/format.ts"
import { CaseBroken } from "../../../explain/case/read.ts"
import { replay } from "../../../explain/case/replay.ts"
import type { Replayed, ReplayOptions } from "../../../explain/case/replay.ts"
import {
  differenceText,
  driftText,
  leftOutText,
  stateText,
  stepText,
} from "../../../explain/case/step-text.ts"
import { worldOf } from "../../../explain/case/world.ts"
import { checkCase, itemsOf } from "../../case/case-file.ts"
import { nodeSha256 } from "../../case/node-sha256.ts"
import { LocalFailure, UsageInvalid } from "../../client/failures.ts"
import { didYouMean } from "../../config/did-you-mean.ts"
import { exitCodes } from "../../exit-codes.ts"
import { placeNamed, plural, streamNamed } from "../export.ts"

/** Something differs from the case, or would be decided differently today. */
export class Unequal extends Data.TaggedError("Unequal")<{ readonly what: string }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return this.what
  }
}

interface ReplayInput extends SuppositionInput {
  readonly until: readonly string[]
  readonly break: Option.Option<string>
  readonly verify: boolean
  readonly drift: boolean
  readonly utc: boolean
  readonly json: boolean
  readonly file: string
  readonly stream: Option.Option<string>
}

interface SuppositionInput {
  readonly without: readonly number[]
  readonly rules: Option.Option<string>
  readonly from: Option.Option<number>
  /** The event package that `rules` are for. */
  readonly event: string
}

export const replayCase = Effect.fn(function* (input: ReplayInput) {
  const { file, json, utc, verify, drift } = input
  const now = yield* Clock.currentTimeMillis
  const supposition = yield* suppositionOf(input)
  const stopAt = yield* eventNamed(Option.getOrNull(input.break))
  const options: ReplayOptions = {
    stream: Option.isNone(input.stream) ? null : ((yield* streamNamed(input.stream.value)) as Uri),
    until: yield* placeNamed("until", input.until, now),
    drift,
    supposition,
    sha256: nodeSha256,
  }
  yield* decidable(file, yield* checked(file), supposition)
  // only what was asked for is printed
  const isQuiet = verify || drift || supposition !== null
  const say = (json ? sayJson : sayText)({ utc, isQuiet })
  const began = performance.now()
  const seen: Seen = { steps: 0, events: 0, streams: 0, differences: 0, drift: 0, undecidable: 0, erased: 0 }
  let unequal: (Replayed & { readonly _tag: "Unequal" }) | null = null
  const digests: string[] = []
  const missing = new Set(supposition?.without)
  for (const replayed of yield* walked(file, options)) {
    countIn(seen, replayed)
    if (replayed._tag === "Step") missing.delete(replayed.moment.position)
    if (replayed._tag === "Unequal") unequal ??= replayed
    if (replayed._tag === "StreamEnd" && replayed.digest !== null) digests.push(replayed.digest)
    for (const line of say(replayed)) yield* Console.log(line)
    if (verify && unequal !== null) break
    if (
      replayed._tag === "Step" &&
      stopAt !== null &&
      replayed.moment.decision.events.some(({ _tag }) => _tag === stopAt)
    ) {
      const { after } = replayed.moment
      yield* Console.log(
        json ? JSON.stringify({ v: 1, kind: "state", state: freeze(after) }) : stateText(after),
      )
      break
    }
  }
  if (seen.streams === 0 && options.stream !== null)
    return yield* new UsageInvalid({ why: `${file} holds nothing of ${options.stream}` })
  if (missing.size > 0)
    return yield* new UsageInvalid({
      why: `--without ${[...missing].join(", ")}: no such decision was replayed`,
    })
  const seconds = (performance.now() - began) / 1000
  const rate = Math.round(seen.events / Math.max(seconds, 0.001))
  const done = `${plural(seen.events, "event")} in ${plural(seen.steps, "step")} replayed in ${seconds.toFixed(1)} s (${rate} events/s)`
  const digest = digests.length === 1 ? `, digest ${digests[0]!.slice(0, 12)}` : ""
  if (json)
    yield* Console.log(
      JSON.stringify({ v: 1, kind: "end", ...seen, seconds, eventsPerSecond: rate, digests }),
    )
  else {
    if (supposition !== null && seen.differences === 0)
      yield* Console.log("nobody would have been told anything else")
    const left = leftOutText(", ", seen.undecidable, seen.erased)
    const equal = verify && unequal === null ? `${digest}: equal to what was recorded` : ""
    yield* Console.log(
      drift && seen.drift === 0 ? `${done}: today's code decides the same${left}` : done + equal + left,
    )
  }
  if (unequal !== null) return yield* new Unequal({ what: unequalText(unequal) })
  if (seen.drift > 0)
    return yield* new Unequal({ what: `${plural(seen.drift, "decision")} would be another today` })
})

type Seen = Record<
  "steps" | "events" | "streams" | "differences" | "drift" | "undecidable" | "erased",
  number
>

const countIn = (seen: Seen, replayed: Replayed): void => {
  switch (replayed._tag) {
    case "Stream":
      seen.streams++
      break
    case "Step":
      seen.steps++
      seen.events += replayed.moment.decision.events.length
      break
    case "Drift":
      seen.drift++
      break
    case "Undecidable":
      if (replayed.what === "dropped") seen.undecidable++
      else seen.erased++
      break
    case "Difference":
      seen.differences++
  }
}

/** An error in the file is reported before anything from it is printed. */
const checked = (file: string) =>
  Effect.try({
    try: () => checkCase(file),
    catch: (cause) =>
      cause instanceof CaseBroken ? cause : new LocalFailure({ what: `${file} cannot be read`, cause }),
  })

/** Checks that the packages can be made, and that the rules to try can be read. */
const decidable = (file: string, { world }: CaseHeader, supposition: Supposition | null) =>
  Effect.try({
    try: () => worldOf(world),
    catch: (cause) =>
      new CaseBroken({ file, line: 1, why: cause instanceof Error ? cause.message : String(cause) }),
  }).pipe(
    Effect.flatMap(({ packages }) => {
      const rules = supposition?.rules ?? null
      if (rules === null) return Effect.void
      const eventPackage = packages.find(rules.packageName)
      const read = eventPackage === null ? undefined : rulesFor(eventPackage, packages)?.read(rules.body)
      if (read?._tag === "Parsed") return Effect.void
      const why =
        read === undefined
          ? `there are no rules for ${rules.packageName}`
          : `the document is not to be read: ${read.why}`
      return Effect.fail(new UsageInvalid({ why: `--rules: ${why}` }))
    }),
  )

const walked = (file: string, options: ReplayOptions) => Effect.sync(() => replay(itemsOf(file), options))

const unequalText = ({ stream, moment, what }: Replayed & { readonly _tag: "Unequal" }): string =>
  moment === null
    ? `${stream}: ${what} are not as they were recorded, though every step is`
    : `the first step that differs is ${moment.position} (${moment.decision.cause} of ${stream}): ${what} is not as it was recorded`

interface Saying {
  readonly utc: boolean
  readonly isQuiet: boolean
}

const sayText =
  ({ utc, isQuiet }: Saying) =>
  (replayed: Replayed): readonly string[] => {
    switch (replayed._tag) {
      case "Stream":
        return isQuiet ? [] : [replayed.stream]
      case "Step":
        return isQuiet ? [] : [stepText(replayed.moment, { utc })]
      case "Drift":
        return driftText(replayed.moment, replayed.decided, replayed.why, { utc })
      case "Difference":
        return [differenceText(replayed.difference, { utc })]
      default:
        return []
    }
  }

const sayJson =
  ({ isQuiet }: Saying) =>
  (replayed: Replayed): readonly string[] => {
    const line = (value: object): readonly string[] => [JSON.stringify({ v: 1, ...value })]
    switch (replayed._tag) {
      case "Step": {
        const { position, decision, notifications } = replayed.moment
        return isQuiet ? [] : line({ kind: "step", position, ...decision, notifications })
      }
      case "Unequal":
        return line({
          kind: "unequal",
          stream: replayed.stream,
          position: replayed.moment?.position ?? null,
          what: replayed.what,
        })
      case "Drift": {
        const { position, decision } = replayed.moment
        return line({ kind: "drift", position, ...decision, decided: replayed.decided, why: replayed.why })
      }
      case "Difference": {
        const { _tag: what, ...difference } = replayed.difference
        return line({ kind: "difference", what, stream: replayed.stream, ...difference })
      }
      default:
        return []
    }
  }

const eventNamed = (tag: string | null): Effect.Effect<string | null, UsageInvalid> =>
  tag === null || eventTags.includes(tag)
    ? Effect.succeed(tag)
    : Effect.fail(
        new UsageInvalid({
          why: `--break ${tag}: there is no such event${didYouMean(tag, eventTags)}; there are ${eventTags.join(", ")}`,
        }),
      )

const suppositionOf = Effect.fnUntraced(function* (input: SuppositionInput) {
  const { without, event: packageName } = input
  const path = Option.getOrNull(input.rules)
  if (path === null) {
    if (Option.isSome(input.from))
      return yield* new UsageInvalid({ why: "--from says since when --rules is in force: give both" })
    const supposition: Supposition = { without: new Set(without), rules: null }
    return without.length === 0 ? null : supposition
  }
  const body = yield* Effect.try({
    try: (): Body => ({ contentType: "application/auth-policy+xml", text: readFileSync(path, "utf8") }),
    catch: (cause) => new LocalFailure({ what: `${path} cannot be read`, cause }),
  })
  const supposition: Supposition = {
    without: new Set(without),
    rules: { packageName, body, from: Option.getOrElse(input.from, () => 0) },
  }
  return supposition
})
