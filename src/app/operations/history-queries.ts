/**
 * Questions about history as operators ask them, and answers for people and for programs: what the management port and the
 * command line have in common.
 */
import { Effect } from "effect"
import type { HistoryQueries, HistoryRow, SentRow } from "../../ports/history-queries.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Entry } from "../../domain/history/entries.ts"
import { deliveryOf } from "../../domain/history/ledger.ts"
import type { Knowledge, Life, Sent } from "../../domain/history/ledger.ts"
import type { DecisionContext, Explanation } from "../../domain/history/why.ts"
import type { StoreUnavailable } from "../../ports/event-store.ts"
import { rulesFor } from "../../domain/packages/event-package.ts"
import { parseRules } from "../../domain/presentity/view.ts"
import { streamOf, uriOf, watchedOf } from "./uri-arguments.ts"
import type { HistoryReader } from "../history/reader.ts"
import { atText, differenceText, entryText, sentText } from "../history/format-history.ts"
import { clockOf, instantForms, isZone, parseInstant } from "../history/time.ts"
import { renderWhy, whyText } from "../history/format-why.ts"

const limitMax = 1000
const limitUsual = 50

export const makeHistoryQueries = (
  reader: HistoryReader,
  circumstances: DecisionContext,
  now: () => number,
  delivery: Knowledge["delivery"],
): HistoryQueries => {
  const zoneOf = (tz: string | undefined): Effect.Effect<string, Refused> =>
    tz === undefined || isZone(tz)
      ? Effect.succeed(tz ?? "UTC")
      : refused(`tz = ${tz}: expected a time zone, for example Europe/Berlin`)

  const instant = (name: string, text: string, zone: string): Effect.Effect<number, Refused> => {
    const at = parseInstant(text, now(), zone)
    return at === null ? refused(`${name} = ${text}: expected ${instantForms}`) : Effect.succeed(at)
  }

  const optional = (
    name: string,
    text: string | undefined,
    zone: string,
  ): Effect.Effect<number | null, Refused> =>
    text === undefined ? Effect.succeed(null) : instant(name, text, zone)

  return {
    history: (uri, wish) =>
      Effect.gen(function* () {
        const of = yield* streamOf(uri)
        const zone = yield* zoneOf(wish.tz)
        const clock = clockOf(zone)
        const page = yield* asked(
          reader.page(of, {
            before: wish.before ?? null,
            after: wish.after ?? null,
            limit: Math.min(wish.limit ?? limitUsual, limitMax),
            since: yield* optional("since", wish.since, zone),
            until: yield* optional("until", wish.until, zone),
            types: wish.type === undefined ? null : new Set(wish.type.split(",")),
            event: wish.event ?? null,
          }),
        )
        const items = page.entries.map((entry) =>
          historyRow(entry, entryText(entry, clock, wish.causes === true)),
        )
        return { v: 1, items, next: page.next, text: items.map(({ text }) => text).join("\n") }
      }),
    at: (uri, { time, tz }) =>
      Effect.gen(function* () {
        const of = yield* streamOf(uri)
        const zone = yield* zoneOf(tz)
        const found = yield* asked(reader.at(of, yield* instant("time", time, zone)))
        return { v: 1, ...stateRow(found), text: atText(found, clockOf(zone)) }
      }),
    diff: (uri, { from, to, tz }) =>
      Effect.gen(function* () {
        const of = yield* streamOf(uri)
        const zone = yield* zoneOf(tz)
        const differences = yield* asked(
          reader.diff(of, yield* instant("from", from, zone), yield* instant("to", to, zone)),
        )
        return { v: 1, differences, text: differences.map(differenceText).join("\n") }
      }),
    seen: (uri, wish) =>
      Effect.gen(function* () {
        const of = yield* watchedOf(uri)
        const watcher = yield* uriOf(wish.watcher)
        const zone = yield* zoneOf(wish.tz)
        const { sent, next } = yield* asked(
          reader.seen(of, watcher, {
            before: wish.before ?? null,
            event: wish.event ?? null,
            since: yield* optional("since", wish.since, zone),
            until: yield* optional("until", wish.until, zone),
            limit: Math.min(wish.limit ?? limitUsual, limitMax),
          }),
        )
        const known = { asOf: now(), delivery }
        const items = sent.map((one) =>
          sentRow(one, known, sentText(one, known, clockOf(zone), wish.body === true)),
        )
        return { v: 1, items, next, text: items.map(({ text }) => text).join("\n") }
      }),
    why: (uri, wish) =>
      Effect.gen(function* () {
        const of = yield* watchedOf(uri)
        const watcher = yield* uriOf(wish.watcher)
        const zone = yield* zoneOf(wish.tz)
        const at = wish.at === undefined ? now() : yield* instant("at", wish.at, zone)
        const packageName = wish.event ?? (yield* asked(reader.packageFor(of, watcher, at)))
        if (circumstances.packages.find(packageName) === null)
          return yield* new Refused({
            status: 404,
            why: `event = ${packageName}: there is no such event package`,
          })
        const question = { presentity: of, watcher, packageName, at }
        const explanation = yield* asked(
          reader.why(wish.position === undefined ? question : { ...question, position: wish.position }),
        )
        const known = { asOf: explanation.asOf, delivery }
        const names = yield* ruleNames(explanation)
        const said = whyText(explanation, clockOf(zone), known, circumstances, names)
        return { v: 1, ...explained(explanation, known), ...said, text: renderWhy(said) }
      }),
  }

  /** As they were when the change was decided. */
  function ruleNames({
    presentity,
    packageName,
    change,
    treatment,
  }: Explanation): Effect.Effect<readonly string[], Refused> {
    const eventPackage = circumstances.packages.find(packageName)
    const by = eventPackage === null ? undefined : rulesFor(eventPackage, circumstances.packages)
    const at = change?.at ?? treatment?.at
    if (at === undefined || by === undefined) return Effect.succeed([])
    return Effect.map(asked(reader.at(presentity, at)), ({ rules }) => {
      const text = rules[packageName]
      const parsed =
        text === undefined ? null : parseRules(by, { contentType: "application/auth-policy+xml", text })
      return parsed === null ? [] : by.names(parsed)
    })
  }
}

const refused = (why: string): Effect.Effect<never, Refused> => Effect.fail(new Refused({ status: 400, why }))

const asked = <A>(effect: Effect.Effect<A, StoreUnavailable>): Effect.Effect<A, Refused> =>
  Effect.mapError(effect, () => new Refused({ status: 503, why: "the log cannot be read now" }))

const iso = (at: number): string => new Date(at).toISOString()

const historyRow = (entry: Entry, text: string): HistoryRow => ({
  position: entry.position,
  version: entry.version,
  time: iso(entry.at),
  cause: entry.cause,
  origin: entry.origin,
  correlation: entry.correlation,
  caused_by: entry.causedBy,
  events: entry.events,
  told: entry.told.map(({ no, watcher, event, cseq, state, matched }) => ({
    subscription: no,
    watcher,
    event,
    cseq,
    state,
    rules: matched,
  })),
  untold: entry.untold.map(({ no, watcher, event, finding }) => ({
    subscription: no,
    watcher,
    event,
    finding,
  })),
  rules: entry.rules,
  text,
})

const sentRow = (sent: Sent, known: Knowledge, text: string): SentRow => ({
  position: sent.place.position,
  version: sent.place.version,
  time: iso(sent.place.at),
  watcher: sent.watcher,
  event: sent.notify.packageName,
  subscription: sent.notify.no,
  cseq: sent.notify.cseq,
  cause: sent.cause,
  state: sent.notify.state,
  reason: sent.notify.reason,
  content_type: sent.notify.body?.contentType ?? null,
  body: sent.notify.body?.text ?? null,
  headers: sent.notify.headers ?? [],
  delivery: deliveryOf(sent, known),
  status: sent.failed?.how.status ?? null,
  text,
})

const stateRow = (found: PresentityAt) => ({
  presentity: found.presentity,
  time: iso(found.at),
  version: found.version,
  publications: found.publications,
  documents: found.documents,
  hard_state: found.hardState,
  rules: found.rules,
  watchers: found.watchers,
})

/** Without the documents: `seen` has them. */
const explained = (
  { presentity, watcher, packageName, asOf, change, cases, absence, treatment }: Explanation,
  known: Knowledge,
) => ({
  presentity,
  watcher,
  event: packageName,
  as_of: iso(asOf),
  change,
  cases: cases.map(({ life, finding, sequel, sent }) => ({
    subscription: lifeRow(life),
    finding,
    sequel,
    told: sent === null ? null : { ...sent.place, cseq: sent.notify.cseq, delivery: deliveryOf(sent, known) },
  })),
  absence:
    absence === null
      ? null
      : {
          last: absence.last === null ? null : lifeRow(absence.last),
          next: absence.next === null ? null : lifeRow(absence.next),
          is_waiting: absence.waiting !== null,
          handling: absence.judgement?.handling ?? null,
          by: absence.judgement?.by ?? null,
        },
  treatment:
    treatment === null
      ? null
      : {
          position: treatment.position,
          time: iso(treatment.at),
          subscription: treatment.life.no,
          is: treatment._tag,
          ending: treatment._tag === "Ended" ? treatment.ending : null,
          handling: treatment.judgement.handling,
          by: treatment.judgement.by,
        },
})

const lifeRow = ({ no, createdAt, began, origin, ended }: Life) => ({
  no,
  since: iso(createdAt),
  position: began?.position ?? null,
  origin,
  ended,
})
