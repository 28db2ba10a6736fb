/**
 * The reference machine: a plain loop over `decide`, `fold` and `react` that records every decision, one presentity at
 * a time, each decision committed at once.
 */
import type { Packages } from "../../src/domain/packages/event-package.ts"
import type { Answer, Command } from "../../src/domain/presentity/commands.ts"
import { defaultLimits } from "../../src/domain/presentity/context.ts"
import type { Context, Limits } from "../../src/domain/presentity/context.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import { decide } from "../../src/domain/presentity/decide.ts"
import type { Decision, Event } from "../../src/domain/presentity/events.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { react } from "../../src/domain/presentity/react.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { values } from "../../src/domain/table.ts"
import { dialogKey, invariant } from "../../src/domain/vocabulary.ts"
import type { DialogKey, Millis, SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { packages as stubPackages } from "./stub-package.ts"

export const beginning: Millis = Date.UTC(2026, 10, 20, 10)

/** The configuration of a server, as far as histories depend on it. */
export interface World {
  readonly name: string
  readonly limits: Limits
  /** Absent: those of `stub-package.ts`. */
  readonly packages?: Packages
  /** The hook's answer for a watcher that no step of the history treats; null: the rules decide. */
  readonly hook?: SubHandling | null
}

const makeWorld = (profile: Limits["profile"], notifyIntervalMillis: number | null): World => ({
  name: `profile ${profile}, notify interval ${notifyIntervalMillis ?? "of the package"}`,
  limits: {
    ...defaultLimits,
    profile,
    notifyIntervalMillis,
    minExpiresPublish: 5,
    minExpiresSubscribe: 5,
    maxExpiresPublish: 3600,
    maxExpiresSubscribe: 3600,
    expiresOffset: profile === "6665" ? 3 : 0,
    endSubOnTimeout: notifyIntervalMillis === 0,
    publicationsMax: 6,
    subscriptionsMax: 8,
  },
})

export const worlds = [
  makeWorld("3265", null),
  makeWorld("3265", 0),
  makeWorld("6665", null),
  makeWorld("6665", 0),
]

export type Input =
  | {
      readonly _tag: "Ask"
      /** Determines the nonces of this input, wherever it stands in the history. */
      readonly id: number
      readonly at: Millis
      readonly presentity: Uri | null
      readonly command: Command
    }
  | { readonly _tag: "Advance"; readonly to: Millis }
  | { readonly _tag: "Treat"; readonly watcher: Uri; readonly handling: SubHandling }

/** One call of `decide`. */
export interface Moment {
  readonly at: Millis
  readonly before: State
  readonly command: Command
  readonly context: Context
  readonly events: readonly Event[]
  readonly answer: Answer
  readonly after: State
  readonly notifications: readonly Notify[]
  /** The input that led to it; null: time. */
  readonly input: Input | null
}

export interface Flight {
  readonly presentity: Uri
  readonly no: number
  readonly cseq: number
}

export interface Run {
  readonly world: World
  readonly inputs: readonly Input[]
  readonly moments: readonly Moment[]
  readonly log: readonly Decision[]
  readonly states: ReadonlyMap<Uri, State>
  readonly now: Millis
}

export interface Machine {
  readonly world: World
  readonly now: () => Millis
  readonly state: (presentity: Uri) => State
  readonly states: () => IterableIterator<State>
  /** NOTIFYs without an outcome, oldest first. */
  readonly flying: () => readonly Flight[]
  /** Entity-tags that once were live, by what became of them. */
  readonly oldTags: (fate: "superseded" | "gone") => readonly string[]
  readonly oldDialogs: () => readonly DialogKey[]
  /** Entity-tag of the last NOTIFY of a subscription. */
  readonly lastTag: (presentity: Uri, id: number) => string | undefined
  readonly apply: (input: Input) => void
  readonly run: () => Run
}

/** A server at the beginning of time, with nothing in it. */
export const makeMachine = (world: World): Machine => {
  const states = new Map<Uri, State>()
  const lastAt = new Map<Uri, Millis>()
  const treated = new Map<Uri, SubHandling>()
  const inputs: Input[] = []
  const moments: Moment[] = []
  const log: Decision[] = []
  const superseded: string[] = []
  const gone: string[] = []
  const closed: DialogKey[] = []
  let flying: readonly Flight[] = []
  let now = beginning

  const state = (presentity: Uri): State => states.get(presentity) ?? initial(presentity)

  const ask = (presentity: Uri, command: Command, wanted: Millis, id: number, input: Input | null): void => {
    const before = state(presentity)
    const at = Math.max(wanted, lastAt.get(presentity) ?? 0)
    const snapshot = new Map(treated)
    const airborne = new Set(
      flying.filter((flight) => flight.presentity === presentity).map(({ no: subscription }) => subscription),
    )
    const context: Context = {
      now: at,
      nonce: `i${id}`,
      limits: world.limits,
      packages: packagesOf(world),
      authorize: ({ watcher }) => snapshot.get(watcher) ?? hookOf(world),
      inFlight: (subscription) => airborne.has(subscription),
      findDialog: (key) => dialogIn(before, key),
    }
    const { events, answer } = decide(before, command, context)
    if (events.length === 0) {
      moments.push({ at, before, command, context, events, answer, after: before, notifications: [], input })
      return
    }
    const version = before.version + 1
    const cause = command._tag
    log.push({ stream: presentity, version, at, cause, origin: "", nonce: context.nonce, events })
    const after = fold(before, { events, at, version })
    const notifications = react(before, events, after, at, reactionOf(world))
    states.set(presentity, after)
    lastAt.set(presentity, at)
    flying = [
      ...flying,
      ...notifications.map(({ no: subscription, cseq }) => ({ presentity, no: subscription, cseq })),
    ]
    note(before, after, events)
    moments.push({ at, before, command, context, events, answer, after, notifications, input })
  }

  const note = (before: State, after: State, events: readonly Event[]): void => {
    for (const event of events) {
      if ("supersedes" in event && event.supersedes !== event.entityTag) superseded.push(event.supersedes)
      if (event._tag === "PublicationRemoved") gone.push(event.entityTag)
    }
    for (const { no: id, start } of values(before.dialogs)) {
      if (![...values(after.dialogs)].some((dialog) => dialog.no === id)) closed.push(keyOf(start))
    }
  }

  /** Decides everything due by `to`, each at its deadline; only for `only` if that is given. */
  const catchUp = (to: Millis, only: Uri | null): void => {
    for (;;) {
      let next: { readonly at: Millis; readonly presentity: Uri } | null = null
      for (const candidate of states.values()) {
        if (only !== null && candidate.presentity !== only) continue
        const at = nextDeadline(candidate)
        if (at !== null && at <= to && (next === null || at < next.at))
          next = { at, presentity: candidate.presentity }
      }
      if (next === null) return
      const before = log.length
      ask(next.presentity, { _tag: "FallDue" }, next.at, 0, null)
      invariant(log.length > before, "what is overdue has consequences")
    }
  }

  return {
    world: world,
    now: () => now,
    state,
    states: () => states.values(),
    flying: () => flying,
    oldTags: (fate) => (fate === "gone" ? gone : superseded),
    oldDialogs: () => closed,
    lastTag: (presentity, subscription) =>
      moments
        .flatMap(({ notifications }) => notifications)
        .findLast((notify) => notify.presentity === presentity && notify.no === subscription)?.entityTag ??
      undefined,
    apply: (input) => {
      inputs.push(input)
      if (input._tag === "Treat") treated.set(input.watcher, input.handling)
      else if (input._tag === "Advance") {
        now = Math.max(now, input.to)
        catchUp(now, null)
      } else {
        now = Math.max(now, input.at)
        const { command } = input
        const presentity =
          input.presentity ??
          (command._tag === "Resubscribe" ? ownerOf(states.values(), command.dialog) : null)
        if (presentity === null) {
          const before = initial("" as Uri)
          const context = strangerContext(world, input.at)
          const { events, answer } = decide(before, command, context)
          moments.push({
            at: now,
            before,
            command,
            context,
            events,
            answer,
            after: before,
            notifications: [],
            input,
          })
          return
        }
        catchUp(now, presentity)
        if (command._tag === "ReportDelivery") {
          const { no: subscription, cseq } = command
          const found = flying.findIndex(
            (flight) =>
              flight.presentity === presentity && flight.no === subscription && flight.cseq === cseq,
          )
          if (found >= 0) flying = flying.toSpliced(found, 1)
        }
        ask(presentity, command, now, input.id, input)
      }
    },
    run: () => ({ world: world, inputs, moments, log, states, now }),
  }
}

export const packagesOf = (world: World): Packages => world.packages ?? stubPackages

export const hookOf = (world: World): SubHandling | null => (world.hook === undefined ? "allow" : world.hook)

export const reactionOf = (world: World) => ({
  packages: packagesOf(world),
  limits: world.limits,
})

export const keyOf = (start: {
  readonly callId: string
  readonly localTag: string
  readonly remoteTag: string
}): DialogKey => dialogKey(start.callId, start.localTag, start.remoteTag)

const dialogIn = (state: State, key: DialogKey): number | null =>
  [...values(state.dialogs)].find(({ start }) => keyOf(start) === key)?.no ?? null

const ownerOf = (states: Iterable<State>, key: DialogKey): Uri | null => {
  for (const state of states) if (dialogIn(state, key) !== null) return state.presentity
  return null
}

const strangerContext = (world: World, now: Millis): Context => ({
  now,
  nonce: "stranger",
  limits: world.limits,
  packages: packagesOf(world),
  authorize: () => "allow",
  inFlight: () => false,
  findDialog: () => null,
})
