/**
 * Queries about history, with answers for people and for programs. The management port, the command line and the library use
 * them.
 */
import { Effect } from "effect"
import type { DecisionContext } from "../../domain/history/findings.ts"
import type { Knowledge } from "../../domain/history/ledger.ts"
import type { Explanation } from "../../domain/history/why.ts"
import { atText, entryText, sentText } from "../../explain/history/format-history.ts"
import { differenceText } from "../../explain/history/format-history.ts"
import { renderWhy, whyText } from "../../explain/history/format-why.ts"
import { ruleNamesIn } from "../../explain/history/rule-names.ts"
import { clockOf } from "../../explain/history/time.ts"
import { instantForms, isZone, parseInstant } from "../../explain/history/time.ts"
import type { StoreUnavailable } from "../../ports/event-store.ts"
import type { HistoryQueries } from "../../ports/history-queries.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { HistoryReader } from "../history/reader.ts"
import { explanationRow, historyRow, sentRow, stateRow } from "./history-rows.ts"
import { streamOf, uriOf, watchedOf } from "./uri-arguments.ts"

const limitMax = 1000
const limitUsual = 50

interface Parts {
  readonly reader: HistoryReader
  readonly context: DecisionContext
  readonly now: () => number
  readonly delivery: Knowledge["delivery"]
}

export const makeHistoryQueries = (
  reader: HistoryReader,
  context: DecisionContext,
  now: () => number,
  delivery: Knowledge["delivery"],
): HistoryQueries => {
  const parts: Parts = { reader, context, now, delivery }
  return {
    history: historyWith(parts),
    at: (uri, { time, tz }) =>
      Effect.gen(function* () {
        const stream = yield* streamOf(uri)
        const zone = yield* zoneOf(tz)
        const found = yield* asked(reader.at(stream, yield* instantOf(parts, "time", time, zone)))
        return { v: 1, ...stateRow(found), text: atText(found, clockOf(zone)) }
      }),
    diff: (uri, { from, to, tz }) =>
      Effect.gen(function* () {
        const stream = yield* streamOf(uri)
        const zone = yield* zoneOf(tz)
        const before = yield* instantOf(parts, "from", from, zone)
        const differences = yield* asked(reader.diff(stream, before, yield* instantOf(parts, "to", to, zone)))
        return { v: 1, differences, text: differences.map(differenceText).join("\n") }
      }),
    seen: seenWith(parts),
    why: whyWith(parts),
  }
}

const historyWith =
  (parts: Parts): HistoryQueries["history"] =>
  (uri, wish) =>
    Effect.gen(function* () {
      const stream = yield* streamOf(uri)
      const zone = yield* zoneOf(wish.tz)
      const clock = clockOf(zone)
      const page = yield* asked(
        parts.reader.page(stream, {
          before: wish.before ?? null,
          after: wish.after ?? null,
          limit: Math.min(wish.limit ?? limitUsual, limitMax),
          since: yield* optionalInstant(parts, "since", wish.since, zone),
          until: yield* optionalInstant(parts, "until", wish.until, zone),
          types: wish.type === undefined ? null : new Set(wish.type.split(",")),
          event: wish.event ?? null,
        }),
      )
      const isTold = wish.requesters !== false
      const items = page.entries
        .map((entry) => (isTold ? entry : { ...entry, requester: null, request: null }))
        .map((entry) => historyRow(entry, entryText(entry, clock, wish.causes === true)))
      return { v: 1, items, next: page.next, text: items.map(({ text }) => text).join("\n") }
    })

const seenWith =
  (parts: Parts): HistoryQueries["seen"] =>
  (uri, wish) =>
    Effect.gen(function* () {
      const presentity = yield* watchedOf(uri)
      const watcher = yield* uriOf(wish.watcher)
      const zone = yield* zoneOf(wish.tz)
      const { sent, next } = yield* asked(
        parts.reader.seen(presentity, watcher, {
          before: wish.before ?? null,
          event: wish.event ?? null,
          since: yield* optionalInstant(parts, "since", wish.since, zone),
          until: yield* optionalInstant(parts, "until", wish.until, zone),
          limit: Math.min(wish.limit ?? limitUsual, limitMax),
        }),
      )
      const known = { asOf: parts.now(), delivery: parts.delivery }
      const items = sent.map((notify) =>
        sentRow(notify, known, sentText(notify, known, clockOf(zone), wish.body === true)),
      )
      return { v: 1, items, next, text: items.map(({ text }) => text).join("\n") }
    })

const whyWith =
  (parts: Parts): HistoryQueries["why"] =>
  (uri, wish) =>
    Effect.gen(function* () {
      const { reader, context, now, delivery } = parts
      const presentity = yield* watchedOf(uri)
      const watcher = yield* uriOf(wish.watcher)
      const zone = yield* zoneOf(wish.tz)
      const at = wish.at === undefined ? now() : yield* instantOf(parts, "at", wish.at, zone)
      const packageName = wish.event ?? (yield* asked(reader.packageFor(presentity, watcher, at)))
      if (context.packages.find(packageName) === null)
        return yield* new Refused({
          status: 404,
          why: `event = ${packageName}: there is no such event package`,
        })
      const question = { presentity, watcher, packageName, at }
      const explained = yield* asked(
        reader.why(wish.position === undefined ? question : { ...question, position: wish.position }),
      )
      const explanation = wish.requesters === false ? withoutRequester(explained) : explained
      const known = { asOf: explanation.asOf, delivery }
      const names = yield* ruleNames(parts, explanation)
      const account = whyText(explanation, { ...context, ruleNames: names, clock: clockOf(zone), known })
      return { v: 1, ...explanationRow(explanation, known), ...account, text: renderWhy(account) }
    })

const withoutRequester = (explanation: Explanation): Explanation =>
  explanation.change === null
    ? explanation
    : { ...explanation, change: { ...explanation.change, requester: null } }

/** Names of the rules as they were when the change was decided. */
const ruleNames = (
  { reader, context }: Parts,
  { presentity, packageName, change, treatment }: Explanation,
): Effect.Effect<readonly string[], Refused> => {
  const at = change?.at ?? treatment?.at
  if (at === undefined) return Effect.succeed([])
  return Effect.map(asked(reader.at(presentity, at)), ({ rules }) =>
    ruleNamesIn(rules[packageName], packageName, context.packages),
  )
}

const zoneOf = (tz: string | undefined): Effect.Effect<string, Refused> =>
  tz === undefined || isZone(tz)
    ? Effect.succeed(tz ?? "UTC")
    : refused(`tz = ${tz}: expected a time zone, for example Europe/Berlin`)

const instantOf = (
  { now }: Parts,
  name: string,
  text: string,
  zone: string,
): Effect.Effect<number, Refused> => {
  const at = parseInstant(text, now(), zone)
  return at === null ? refused(`${name} = ${text}: expected ${instantForms}`) : Effect.succeed(at)
}

const optionalInstant = (
  parts: Parts,
  name: string,
  text: string | undefined,
  zone: string,
): Effect.Effect<number | null, Refused> =>
  text === undefined ? Effect.succeed(null) : instantOf(parts, name, text, zone)

const refused = (why: string): Effect.Effect<never, Refused> => Effect.fail(new Refused({ status: 400, why }))

const asked = <A>(effect: Effect.Effect<A, StoreUnavailable>): Effect.Effect<A, Refused> =>
  Effect.mapError(effect, () => new Refused({ status: 503, why: "the log cannot be read now" }))
