/**
 * `presently export`: the history of presentities in one file, for finding a fault elsewhere.
 */
import { Clock, Console, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { placeForms, placeOf } from "../../explain/case/log-position.ts"
import type { Place } from "../../explain/case/log-position.ts"
import type { Exported } from "../case/export-case.ts"
import { UsageInvalid } from "../client/failures.ts"
import { adminFlags } from "./admin-call.ts"
import { placeConfig } from "./log-place.ts"
import { flag, storeFlags } from "./store-flags.ts"

export const exportCommand = Command.make(
  "export",
  {
    ...adminFlags,
    ...storeFlags,
    json: flag("json", "what was written as one JSON object"),
    case: Flag.String("case").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("the file to write; it must not exist"),
    ),
    since: placeFlag("since", "from there on; the state before goes along"),
    until: placeFlag("until", "up to there"),
    anonymize: flag(
      "anonymize",
      "with stand-ins for people, hosts, addresses and texts; everything happens as it did",
    ),
    streams: Argument.String("URI").pipe(
      Argument.atLeast(1),
      Argument.withDescription("whose history: sip:alice@example.com, or with wildcards '*@example.com'"),
    ),
  },
  Effect.fn(function* ({ case: file, since, until, anonymize, streams, json, ...input }) {
    const config = yield* placeConfig(input)
    const now = yield* Clock.currentTimeMillis
    const options = {
      file,
      streams: yield* Effect.forEach(streams, streamNamed),
      since: yield* placeNamed("since", since, now),
      until: yield* placeNamed("until", until, now),
      anonymize,
    }
    const { exportCase } = yield* Effect.promise(() => import("../case/export-case.ts"))
    const { store, streams: count, decisions, bytes }: Exported = yield* exportCase(config, options)
    yield* Console.log(
      json
        ? JSON.stringify({ v: 1, file, streams: count, decisions, bytes, anonymized: anonymize })
        : `${file}: ${plural(decisions, "decision")} about ${plural(count, "stream")} from ${store}, ${bytes} bytes` +
            (anonymize ? ", with stand-ins" : "; it holds what people published and who watched them"),
    )
  }),
).pipe(
  Command.withDescription("Write what presentities went through into one file that presently replay reads"),
)

export function placeFlag(name: string, about: string) {
  return Flag.String(name).pipe(Flag.withMetavar("SEQ|TIME"), Flag.withDescription(about), Flag.atLeast(0))
}

/** The last of several values; null: none was given. */
export const placeNamed = (
  name: string,
  given: readonly string[],
  now: number,
): Effect.Effect<Place | null, UsageInvalid> => {
  const text = given.at(-1)
  if (text === undefined) return Effect.succeed(null)
  const place = placeOf(text, now)
  return place === null
    ? Effect.fail(new UsageInvalid({ why: `--${name} ${text} is no place in a log: expected ${placeForms}` }))
    : Effect.succeed(place)
}

/** A canonical URI; a wildcard is kept as it is. */
export const streamNamed = Effect.fnUntraced(function* (text: string) {
  if (/[*?]/.test(text)) return text
  const { presentityOf } = yield* Effect.promise(() => import("../presentity-uri.ts"))
  const uri: string | null = presentityOf(text)
  if (uri !== null) return uri
  return yield* new UsageInvalid({ why: `${text} is no SIP URI: expected for example sip:alice@example.com` })
})

export const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`
