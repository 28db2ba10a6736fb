/**
 * A program's queries about the past, for both faces of the library; arguments are checked first.
 */
import { Effect, Option, Stream } from "effect"
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { Differences, HistoryQueries, SentPage, Why } from "../../ports/history-queries.ts"
import type { Refused } from "../../ports/operation-refused.ts"
import { pageRows } from "../history/decisions.ts"
import type { HistoryReader } from "../history/reader.ts"
import { instantIn, readSeen, readWhy, uriIn, uriText } from "./arguments.ts"
import { asked } from "./checks.ts"
import { PresenceRefused } from "./refused.ts"
import type { Instant, SeenOptions, WhyOptions } from "./requests.ts"

type Answer<A, E = never> = Effect.Effect<A, PresenceRefused | E>

export interface Questions {
  /** Every decision about a presentity so far, oldest first, read as the stream is consumed. */
  readonly history: (presentity: string) => Stream.Stream<Decision, PresenceRefused | StoreUnavailable>
  /** A presentity at an instant. */
  readonly at: (presentity: string, instant: Instant) => Answer<PresentityAt, StoreUnavailable>
  /** The NOTIFYs sent to a watcher, each with its document and outcome, oldest first. */
  readonly seen: (watcher: string, presentity: string, options?: SeenOptions) => Answer<SentPage>
  /** Why a watcher was notified of the last change up to an instant, or was not: a sentence, facts, and what to try. */
  readonly why: (presentity: string, watcher: string, options?: WhyOptions) => Answer<Why>
  /** The differences between two instants. */
  readonly diff: (presentity: string, before: Instant, after: Instant) => Answer<Differences>
}

export const makeQuestions = (
  queries: HistoryQueries,
  reader: HistoryReader,
  store: EventStore["Service"],
): Questions => ({
  history: (presentity) =>
    Stream.unwrap(
      asked(() => {
        const uri = uriIn("history: presentity", presentity)
        const page = (after: number) =>
          Effect.map(store.history(uri, after, pageRows), (rows) => {
            const decisions = rows.map(({ decision }) => decision)
            const last = rows.length < pageRows ? undefined : decisions.at(-1)
            return [decisions, Option.map(Option.fromUndefinedOr(last), ({ version }) => version)] as const
          })
        return Effect.succeed(Stream.paginate(0, page))
      }),
    ),
  at: (presentity, instant) =>
    asked(() => {
      const at = instantIn("at: instant", instant)
      return reader.at(uriIn("at: presentity", presentity), at)
    }),
  seen: (watcher, presentity, options) =>
    asked(() => {
      const { since, until, ...wish } = readSeen(options)
      return queries
        .seen(uriText("seen: presentity", presentity), {
          ...wish,
          watcher: uriText("seen: watcher", watcher),
          since: instantText("seen: since", since),
          until: instantText("seen: until", until),
        })
        .pipe(Effect.mapError(refusalOf))
    }),
  why: (presentity, watcher, options) =>
    asked(() => {
      const { at, ...wish } = readWhy(options)
      return queries
        .why(uriText("why: presentity", presentity), {
          ...wish,
          watcher: uriText("why: watcher", watcher),
          at: instantText("why: at", at),
        })
        .pipe(Effect.mapError(refusalOf))
    }),
  diff: (presentity, before, after) =>
    asked(() =>
      queries
        .diff(uriText("diff: presentity", presentity), {
          from: String(Math.trunc(instantIn("diff: before", before))),
          to: String(Math.trunc(instantIn("diff: after", after))),
        })
        .pipe(Effect.mapError(refusalOf)),
    ),
})

/** An instant in the form that the queries take. */
const instantText = (argument: string, instant: Instant | undefined): string | undefined =>
  instant === undefined ? undefined : String(Math.trunc(instantIn(argument, instant)))

const refusalOf = ({ status, why }: Refused): PresenceRefused =>
  new PresenceRefused({ status, rejection: { _tag: "BadRequest", status: 400, why } })
