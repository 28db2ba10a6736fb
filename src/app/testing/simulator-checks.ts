/**
 * The invariants after every step of a simulation, whatever was lost, late, repeated or down.
 *
 * The checker reads nothing but the log: it folds each stream by itself, and derives the NOTIFYs that each decision allows. What
 * the engine releases is compared with that.
 */
import { deepStrictEqual } from "node:assert/strict"
import type { MemoryLog } from "../../adapters/store/memory.ts"
import type { Engine, EngineOptions, Release } from "../../domain/engine/engine.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import { nextDeadline } from "../../domain/presentity/deadlines.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import { react } from "../../domain/presentity/react.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { size, values } from "../../domain/table.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { makeAboutCheck } from "./simulated-about.ts"

export interface Checks {
  /** Reads what has been appended since; to be called after every append, by any writer. */
  readonly follow: () => void
  readonly released: <T>(release: Release<T>, origin: string | null) => void
  /** The SIP side did not send this one; the next may have its number. */
  readonly unsent: (notify: Notify) => void
  /** @param settled whether nothing is undecided and everything due by `now` has been decided */
  readonly step: <T>(engine: Engine<T>, now: Millis, settled: boolean) => void
  /**
   * At quiescence: each active watcher shows the present state.
   *
   * @param compare what a watcher shows, and the present state; null when its device made the last change itself
   * @returns how many watchers were compared
   */
  readonly converged: (compare: Compare) => number
  /** Nothing lasts longer than may be granted, or lies in the future, once the clock is right. */
  readonly granted: (now: Millis) => void
  readonly states: () => ReadonlyMap<Uri, State>
}

export type Compare = (
  state: State,
  subscription: Subscription,
) => { readonly shown: string; readonly there: string } | null

export class CheckFailed extends Error {}

const must: (condition: boolean, what: string) => asserts condition = (condition, what) => {
  if (!condition) throw new CheckFailed(what)
}

/** What has been read of the log, and sent. */
interface Book {
  readonly log: MemoryLog
  readonly options: EngineOptions
  readonly states: Map<Uri, State>
  readonly origins: Set<string>
  /** NOTIFYs that the log implies, by stream, subscription and CSeq; deleted when sent. */
  readonly owed: Map<string, Notify>
  readonly lastCseq: Map<string, number>
  readonly lastAt: Map<Uri, Millis>
  readonly over: Set<string>
  position: number
  readonly checkAbout: (decision: Decision) => void
}

export const makeChecks = (log: MemoryLog, options: EngineOptions): Checks => {
  const book: Book = {
    log,
    options,
    states: new Map(),
    origins: new Set(),
    owed: new Map(),
    lastCseq: new Map(),
    lastAt: new Map(),
    over: new Set(),
    position: 0,
    checkAbout: makeAboutCheck(),
  }
  const { states, lastCseq, origins } = book
  return {
    unsent: (notify) => {
      const dialog = dialogOf(notify)
      if (lastCseq.get(dialog) === notify.cseq) lastCseq.set(dialog, notify.cseq - 1)
    },
    follow: () => follow(book),
    released: ({ answer, notifications }, origin) => {
      if (origin !== null && answer._tag === "Accepted" && answer.reply._tag !== "Done") {
        // an initial publication with expiry 0 is answered without being stored
        const isStored = answer.reply._tag === "Subscribed" || answer.reply.expires > 0
        must(!isStored || origins.has(origin), `${origin} is answered 2xx without being in the log`)
      }
      for (const notify of notifications) sent(book, notify)
    },
    step: (engine, now, settled) => checkMemory(book, engine, now, settled),
    granted: (now) => checkLifetimes(book, now),
    converged: (compare) => checkViews(book, compare),
    states: () => states,
  }
}

const dialogOf = ({ dialog }: Notify): string => `${dialog.callId} ${dialog.localTag}`

const sent = ({ owed, lastCseq, over }: Book, notify: Notify): void => {
  const subscription = `${notify.presentity} ${notify.no}`
  const name = `${subscription} ${notify.cseq}`
  const expected = owed.get(name)
  must(expected !== undefined, `NOTIFY ${name} is sent without, before or twice after its decision`)
  deepStrictEqual(notify, expected)
  owed.delete(name)
  const last = lastCseq.get(dialogOf(notify)) ?? 0
  must(notify.cseq > last, `CSeq ${notify.cseq} after ${last} in ${dialogOf(notify)}`)
  lastCseq.set(dialogOf(notify), notify.cseq)
  must(!over.has(subscription), `NOTIFY ${name} after the end of its subscription`)
  if (notify.state === "terminated") over.add(subscription)
}

const follow = (book: Book): void => {
  const { log, options, states, origins, owed, lastAt, over, checkAbout } = book
  for (const { decision, position } of log.read(book.position, 1_000_000)) {
    book.position = position
    const { stream } = decision
    const before = states.get(stream) ?? initial(stream)
    must(decision.version === before.version + 1, `version ${decision.version} of ${stream}`)
    const after = fold(before, decision)
    states.set(stream, after)
    if (decision.origin !== "") origins.add(decision.origin)
    checkAbout(decision)
    must(decision.at >= (lastAt.get(stream) ?? 0), `the time of ${stream} goes back`)
    lastAt.set(stream, decision.at)
    // RFC 3261 §12.2.1.1: a NOTIFY repeated after a crash is a new request, and recorded as a fact
    for (const event of decision.events)
      if (event._tag === "FarewellRepeated") over.delete(`${stream} ${event.no}`)
    for (const notify of react(before, decision.events, after, clockOf(decision), options))
      owed.set(`${stream} ${notify.no} ${notify.cseq}`, notify)
  }
}

const checkMemory = <T>({ states }: Book, engine: Engine<T>, now: Millis, settled: boolean): void => {
  for (const presentity of engine.presentities()) {
    const state = engine.state(presentity)!
    const written = states.get(presentity) ?? initial(presentity)
    must(state.version === written.version, `${presentity} in memory is not what is written`)
    if (settled) deepStrictEqual(freeze(state), freeze(written))
  }
  if (!settled) return
  let dialogs = 0
  for (const state of states.values()) {
    dialogs += size(state.dialogs)
    const deadline = nextDeadline(state)
    must(deadline === null || deadline > now, `${state.presentity} has something overdue`)
    must(deadline === null || engine.isLoaded(state.presentity), `${state.presentity} is forgotten`)
  }
  must(engine.counts().dialogs === dialogs, `${engine.counts().dialogs} dialogs known of ${dialogs}`)
}

const checkLifetimes = ({ states, options }: Book, now: Millis): void => {
  const { limits } = options
  const longest = Math.max(limits.maxExpiresPublish, limits.maxExpiresSubscribe) + limits.expiresOffset
  const latest = now + longest * 1000
  for (const { presentity, publications, subscriptions } of states.values()) {
    for (const publication of [...values(publications)].flatMap((live) => [...values(live)]))
      must(publication.expiresAt <= latest, `${presentity} publishes for longer than is granted`)
    for (const { no: id, expiresAt, issuedAt, createdAt } of values(subscriptions)) {
      must(expiresAt <= latest, `${presentity} ${id} lasts longer than is granted`)
      must(issuedAt <= now && createdAt <= now, `${presentity} ${id} is of the future`)
    }
  }
}

const checkViews = ({ states, options }: Book, compare: Compare): number => {
  let count = 0
  for (const state of states.values()) {
    for (const subscription of values(state.subscriptions)) {
      const eventPackage = options.packages.find(subscription.packageName)
      // it refused the last one without asking for another
      if (eventPackage === null || subscription.status !== "active" || subscription.shown === "") continue
      const compared = compare(state, subscription)
      // or its device knows better by itself
      if (compared === null) continue
      const name = `${state.presentity} ${subscription.no}`
      must(subscription.shown === viewFor(state, subscription, eventPackage).digest, `${name} was not told`)
      const { shown, there } = compared
      must(shown === there, `${name} shows ${JSON.stringify(shown)} of ${JSON.stringify(there)}`)
      count++
    }
  }
  return count
}
