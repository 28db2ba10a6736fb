/**
 * Tests of decisions as sentences: given these facts, when a command is given at a time, it results in these events, a reply or a
 * rejection, and these NOTIFYs.
 */
import { deepStrictEqual } from "node:assert/strict"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Answer, Command, Rejection, Reply } from "../../domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../domain/presentity/context.ts"
import type { Authorize, Context, IsUnread, Limits } from "../../domain/presentity/context.ts"
import { decide } from "../../domain/presentity/decide.ts"
import type { Event } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { react } from "../../domain/presentity/react.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { values } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { Millis, SubscriptionNo, Uri } from "../../domain/vocabulary.ts"

/** What a decision depends on besides state, command and time. */
export interface World {
  readonly packages: Packages
  readonly limits?: Partial<Limits>
  /** Left out: everyone may watch. */
  readonly authorize?: Authorize
  /** Absent: every sharing tag is active on this server. */
  readonly isTagActive?: (tag: string) => boolean
  /** Absent: every source of rules has been read. */
  readonly isUnread?: IsUnread
  /** Subscriptions whose last NOTIFY has no response yet. */
  readonly inFlight?: readonly SubscriptionNo[]
  /** What entity-tags are made of: the `version`th decision mints `nonce.version`, with the version in base 36. */
  readonly nonce?: string
}

export interface GivenOptions extends World {
  readonly presentity: Uri
  /** The time of facts that do not give one. */
  readonly at: Millis
}

/** Events of one decision. */
export interface Fact {
  readonly at: Millis
  readonly events: readonly Event[]
}

/** A presentity as it is before a command. */
export interface Standing {
  readonly state: State
  /** The same in another world. */
  readonly and: (more: Partial<World>) => Standing
  readonly when: (command: Command, now: Millis) => Decided
}

/** The result. The checks throw an AssertionError that shows both sides, and return this for the next check. */
export interface Decided {
  readonly state: State
  readonly answer: Answer
  readonly events: readonly Event[]
  readonly sent: readonly Notify[]
  /** Exactly these events, in this order. */
  readonly gives: (...expected: readonly Event[]) => Decided
  readonly answers: (reply: Reply) => Decided
  /** Rejected, and nothing happened. */
  readonly refused: (rejection: Rejection | Rejection["status"]) => Decided
  /** Rejected, whatever else happened. */
  readonly answersRefusal: (rejection: Rejection | Rejection["status"]) => Decided
  /** Exactly these NOTIFYs, as `notifyInShort` writes them. */
  readonly sends: (...expected: readonly string[]) => Decided
  /** Continues from here. */
  readonly and: (more?: Partial<World>) => Standing
}

/**
 * Makes the function that sentences begin with. A fact that is a bare event is a decision by itself.
 *
 *     const given = makeGiven({ packages, presentity, at: 0 })
 *     given(publicationCreated).when(publish, 1_000).refused(412)
 */
export const makeGiven = ({ presentity, at, ...world }: GivenOptions) => {
  return (...facts: readonly (Event | Fact)[]): Standing => {
    let state: State = initial(presentity)
    for (const fact of facts) {
      const decision = "events" in fact ? fact : { at, events: [fact] }
      state = fold(state, { ...decision, version: state.version + 1 })
    }
    return standing(state, world)
  }
}

/** The same, from an existing state. */
export const standing = (state: State, world: World): Standing => ({
  state,
  and: (more) => standing(state, { ...world, ...more }),
  when: (command, now) => decided(state, command, now, world),
})

export const contextAt = (state: State, now: Millis, world: World): Context => ({
  now,
  nonce: world.nonce ?? "n",
  limits: { ...defaultLimits, ...world.limits },
  packages: world.packages,
  authorize: world.authorize ?? allowEveryone,
  ...(world.isTagActive === undefined ? {} : { isTagActive: world.isTagActive }),
  ...(world.isUnread === undefined ? {} : { isUnread: world.isUnread }),
  inFlight: (id) => world.inFlight?.includes(id) ?? false,
  findDialog: (key) =>
    [...values(state.dialogs)].find(
      ({ start }) => dialogKey(start.callId, start.localTag, start.remoteTag) === key,
    )?.no ?? null,
})

const decided = (state: State, command: Command, now: Millis, world: World): Decided => {
  const context = contextAt(state, now, world)
  const { events, answer } = decide(state, command, context)
  const next = fold(state, { events, at: now, version: state.version + (events.length > 0 ? 1 : 0) })
  const sent = react(state, events, next, now, { packages: context.packages, limits: context.limits })
  const outcome: Decided = {
    state: next,
    answer,
    events,
    sent,
    gives: (...expected) => {
      deepStrictEqual(events, expected)
      return outcome
    },
    answers: (reply) => {
      deepStrictEqual(answer, { _tag: "Accepted", reply })
      return outcome
    },
    refused: (rejection) => {
      deepStrictEqual(events, [])
      return outcome.answersRefusal(rejection)
    },
    answersRefusal: (rejection) => {
      if (answer._tag !== "Rejected") throw new Error(`not refused but ${JSON.stringify(answer)}`)
      if (typeof rejection === "number") deepStrictEqual(answer.rejection.status, rejection)
      else deepStrictEqual(answer, { _tag: "Rejected", rejection })
      return outcome
    },
    sends: (...expected) => {
      deepStrictEqual(sent.map(notifyInShort), expected)
      return outcome
    },
    and: (more = {}) => standing(next, { ...world, ...more }),
  }
  return outcome
}

/** `1/3 active;expires=60 open`: subscription, CSeq, Subscription-State, body with `+` for line ends. */
export const notifyInShort = (notify: Notify): string => {
  const reason = notify.reason === null ? "" : `;reason=${notify.reason}`
  const expires = notify.expires === null ? "" : `;expires=${notify.expires}`
  return `${notify.no}/${notify.cseq} ${notify.state}${reason}${expires} ${notify.body === null ? "(no body)" : notify.body.text.replaceAll("\n", "+")}`
}
