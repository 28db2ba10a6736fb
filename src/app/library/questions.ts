/**
 * What a program asks of the log: what both faces of the library answer, arguments looked at first.
 */
import { Effect } from "effect"
import type { Differences, SentPage, Why } from "../../ports/history-queries.ts"
import type { EventStore, StoreUnavailable } from "../../ports/event-store.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { instantIn, readSeen, readWhy, uriText } from "./arguments.ts"
import { asRefusal, instantText, refusalOf } from "./core.ts"
import type { Core, Instant, PresenceRefused, SeenOptions, WhyOptions } from "./core.ts"
import { eachDecision } from "../history/decisions.ts"
import { presentityAt } from "./history.ts"
import type { PresentityAt } from "./history.ts"

type Answer<A, E = never> = Effect.Effect<A, PresenceRefused | E>

export interface Questions {
  readonly history: (presentity: string) => Answer<readonly Decision[], StoreUnavailable>
  readonly at: (presentity: string, instant: Instant) => Answer<PresentityAt, StoreUnavailable>
  readonly seen: (watcher: string, presentity: string, options?: SeenOptions) => Answer<SentPage>
  readonly why: (presentity: string, watcher: string, options?: WhyOptions) => Answer<Why>
  readonly diff: (presentity: string, before: Instant, after: Instant) => Answer<Differences>
}

export const makeQuestions = (core: Core, store: EventStore["Service"]): Questions => ({
  history: (presentity) =>
    asked(() =>
      Effect.flatMap(core.uri(presentity, "history: presentity"), (uri) => {
        const all: Decision[] = []
        return Effect.as(
          eachDecision(store, uri, 0, ({ decision }) => {
            all.push(decision)
            return "go on"
          }),
          all,
        )
      }),
    ),
  at: (presentity, instant) =>
    asked(() => {
      const at = instantIn("at: instant", instant)
      return Effect.flatMap(core.uri(presentity, "at: presentity"), (uri) =>
        presentityAt(store, core.packages, uri, at),
      )
    }),
  seen: (watcher, presentity, options) =>
    asked(() => {
      const { since, until, ...wish } = readSeen(options)
      return core.questions
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
      return core.questions
        .why(uriText("why: presentity", presentity), {
          ...wish,
          watcher: uriText("why: watcher", watcher),
          at: instantText("why: at", at),
        })
        .pipe(Effect.mapError(refusalOf))
    }),
  diff: (presentity, before, after) =>
    asked(() =>
      core.questions
        .diff(uriText("diff: presentity", presentity), {
          from: String(Math.trunc(instantIn("diff: before", before))),
          to: String(Math.trunc(instantIn("diff: after", after))),
        })
        .pipe(Effect.mapError(refusalOf)),
    ),
})

/** Arguments are looked at in there, so that a refusal is a failure and no defect. */
export const asked = <A, E>(ask: () => Effect.Effect<A, E>): Effect.Effect<A, E | PresenceRefused> =>
  asRefusal(Effect.suspend(ask))
