/**
 * Decisions as sentences: given these facts, when this is asked at that time, it gives these events, is answered with
 * that reply or refused, and sends those NOTIFYs.
 */
import { deepStrictEqual } from "node:assert/strict"
import type { Packages } from "../../src/domain/packages/event-package.ts"
import type { Command, Rejection, Reply } from "../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../src/domain/presentity/context.ts"
import type { Authorize, Context, Limits } from "../../src/domain/presentity/context.ts"
import { decide } from "../../src/domain/presentity/decide.ts"
import type { Event } from "../../src/domain/presentity/events.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { react } from "../../src/domain/presentity/react.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { values } from "../../src/domain/table.ts"
import { dialogKey } from "../../src/domain/vocabulary.ts"
import type { EntityTag, Millis, SubHandling, SubscriptionNo } from "../../src/domain/vocabulary.ts"
import { alice, at, happened } from "./builders.ts"
import type { Fact } from "./builders.ts"
import { packages as allPackages } from "./stub-package.ts"

export interface World {
  readonly limits: Partial<Limits>
  readonly authorize: Authorize
  /** Subscriptions whose last NOTIFY has no answer yet. */
  readonly inFlight: readonly SubscriptionNo[]
  readonly packages: Packages
}

export const nonce = "n"
/** The entity-tag that the `version`th decision of a presentity mints. */
export const tag = (version: number): string => `${nonce}.${version.toString(36)}`

/** One answer for every watcher. */
export const treatAs =
  (handling: SubHandling): Authorize =>
  () =>
    handling

export const given = (...facts: readonly (Event | Fact)[]) => {
  let state: State = initial(alice)
  for (const fact of facts) {
    const decision = "events" in fact ? fact : happened(at("10:00:00"), fact)
    state = fold(state, { ...decision, version: state.version + 1 })
  }
  return standing(state)
}

/** The same, from a state that is already there. */
export const standing = (state: State, over: Partial<World> = {}) => ({
  state,
  and: (more: Partial<World>) => standing(state, { ...over, ...more }),
  when: (command: Command, now: Millis) => outcomeOf(state, command, now, over),
})

export const contextAt = (state: State, now: Millis, over: Partial<World> = {}): Context => ({
  now,
  nonce,
  limits: { ...defaultLimits, ...over.limits },
  packages: over.packages ?? allPackages,
  authorize: over.authorize ?? allowEveryone,
  inFlight: (no) => over.inFlight?.includes(no) ?? false,
  findDialog: (key) =>
    [...values(state.dialogs)].find(
      ({ start }) => dialogKey(start.callId, start.localTag, start.remoteTag) === key,
    )?.no ?? null,
})

const outcomeOf = (state: State, command: Command, now: Millis, over: Partial<World>) => {
  const context = contextAt(state, now, over)
  const { events, answer } = decide(state, command, context)
  const next = fold(state, { events, at: now, version: state.version + (events.length > 0 ? 1 : 0) })
  const sent = react(state, events, next, now, {
    packages: context.packages,
    limits: context.limits,
  })
  const outcome = {
    state: next,
    answer,
    events,
    sent,
    /** Exactly these events, in this order. */
    gives: (...expected: readonly Event[]) => {
      deepStrictEqual(events, expected)
      return outcome
    },
    answers: (reply: Reply) => {
      deepStrictEqual(answer, { _tag: "Accepted", reply })
      return outcome
    },
    /** Refused, and nothing happened. */
    refused: (rejection: Rejection | Rejection["status"]) => {
      deepStrictEqual(events, [])
      return outcome.answersRefusal(rejection)
    },
    /** Refused, whatever happened beside. */
    answersRefusal: (rejection: Rejection | Rejection["status"]) => {
      if (answer._tag !== "Rejected") throw new Error(`not refused but ${JSON.stringify(answer)}`)
      if (typeof rejection === "number") deepStrictEqual(answer.rejection.status, rejection)
      else deepStrictEqual(answer, { _tag: "Rejected", rejection })
      return outcome
    },
    /** Exactly these NOTIFYs, as `summary` writes them. */
    sends: (...expected: readonly string[]) => {
      deepStrictEqual(sent.map(summary), expected)
      return outcome
    },
    /** Goes on from here. */
    and: (more: Partial<World> = {}) => standing(next, { ...over, ...more }),
  }
  return outcome
}

/** `1/3 active;expires=60 open`: subscription, CSeq, Subscription-State, body. */
export const summary = (one: Notify): string => {
  const reason = one.reason === null ? "" : `;reason=${one.reason}`
  const expires = one.expires === null ? "" : `;expires=${one.expires}`
  return `${one.no}/${one.cseq} ${one.state}${reason}${expires} ${one.body === null ? "(no body)" : one.body.text.replaceAll("\n", "+")}`
}

export const publishedAs = (entityTag: string, expires: number): Reply => ({
  _tag: "Published",
  entityTag: entityTag as EntityTag,
  expires,
})

export const subscribedFor = (expires: number, status: 200 | 202 = 200): Reply => ({
  _tag: "Subscribed",
  status,
  expires,
})

export const nobodyWaits: Reply = { _tag: "Done" }
