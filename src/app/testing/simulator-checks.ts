/**
 * What must hold after every step of a simulation, whatever was lost, late, repeated or down.
 *
 * The checker reads the log and nothing else: it folds each stream by itself, and derives from each decision the
 * NOTIFYs that may be sent for it. What the engine releases is compared with that.
 */
import { deepStrictEqual } from "node:assert/strict"
import type { MemoryLog } from "../../adapters/store/memory.ts"
import type { Engine, EngineOptions, Release } from "../../domain/engine/engine.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import { nextDeadline } from "../../domain/presentity/deadlines.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import { react } from "../../domain/presentity/react.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import { initial } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { size, values } from "../../domain/table.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"

export interface Checks {
  /** Reads what has been appended since; to be called after every append, by whomever it was. */
  readonly follow: () => void
  readonly released: <T>(release: Release<T>, origin: string | null) => void
  /** The SIP side did not let this one leave; the next may have its number. */
  readonly unsent: (one: Notify) => void
  /** @param settled nothing is undecided and everything due by `now` has been decided */
  readonly step: <T>(engine: Engine<T>, now: Millis, settled: boolean) => void
  /**
   * At quiescence: each active watcher shows what is there now.
   *
   * @param compare what a watcher shows as present, and what is; null when its device made the last change itself
   * @returns how many were looked at
   */
  readonly converged: (compare: Compare) => number
  /** Nothing lasts longer than may be granted, or is of the future, once the clock is right. */
  readonly granted: (now: Millis) => void
  readonly states: () => ReadonlyMap<Uri, State>
}

export type Compare = (
  state: State,
  one: Subscription,
) => { readonly shown: string; readonly there: string } | null

export class CheckFailed extends Error {}

const must: (condition: boolean, what: string) => asserts condition = (condition, what) => {
  if (!condition) throw new CheckFailed(what)
}

export const makeChecks = (log: MemoryLog, options: EngineOptions): Checks => {
  const states = new Map<Uri, State>()
  const origins = new Set<string>()
  /** NOTIFYs that the log stands for, by stream, subscription and CSeq; deleted when sent. */
  const owed = new Map<string, Notify>()
  const lastCseq = new Map<string, number>()
  const lastAt = new Map<Uri, Millis>()
  const over = new Set<string>()
  let position = 0

  const dialogOf = ({ dialog }: Notify): string => `${dialog.callId} ${dialog.localTag}`

  const sent = (one: Notify): void => {
    const subscription = `${one.presentity} ${one.no}`
    const name = `${subscription} ${one.cseq}`
    const expected = owed.get(name)
    must(expected !== undefined, `NOTIFY ${name} is sent without, before or twice after its decision`)
    deepStrictEqual(one, expected)
    owed.delete(name)
    const last = lastCseq.get(dialogOf(one)) ?? 0
    must(one.cseq > last, `CSeq ${one.cseq} after ${last} in ${dialogOf(one)}`)
    lastCseq.set(dialogOf(one), one.cseq)
    must(!over.has(subscription), `NOTIFY ${name} after the end of its subscription`)
    if (one.state === "terminated") over.add(subscription)
  }

  return {
    unsent: (one) => {
      if (lastCseq.get(dialogOf(one)) === one.cseq) lastCseq.set(dialogOf(one), one.cseq - 1)
    },
    follow: () => {
      for (const { decision, position: at } of log.read(position, 1_000_000)) {
        position = at
        const { stream } = decision
        const before = states.get(stream) ?? initial(stream)
        must(decision.version === before.version + 1, `version ${decision.version} of ${stream}`)
        const after = fold(before, decision)
        states.set(stream, after)
        if (decision.origin !== "") origins.add(decision.origin)
        must(decision.at >= (lastAt.get(stream) ?? 0), `the time of ${stream} goes back`)
        lastAt.set(stream, decision.at)
        // RFC 3261 §12.2.1.1: what is said again after a crash is a request of its own, and a fact
        for (const event of decision.events)
          if (event._tag === "FarewellRepeated") over.delete(`${stream} ${event.no}`)
        for (const one of react(before, decision.events, after, clockOf(decision), options)) {
          owed.set(`${stream} ${one.no} ${one.cseq}`, one)
        }
      }
    },
    released: ({ answer, notifications }, origin) => {
      if (origin !== null && answer._tag === "Accepted" && answer.reply._tag !== "Done") {
        // an initial publication with expiry 0 is answered without being stored
        const isStored = answer.reply._tag === "Subscribed" || answer.reply.expires > 0
        must(!isStored || origins.has(origin), `${origin} is answered 2xx without being in the log`)
      }
      for (const one of notifications) sent(one)
    },
    step: (engine, now, settled) => {
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
    },
    granted: (now) => {
      const { limits } = options
      const longest = Math.max(limits.maxExpiresPublish, limits.maxExpiresSubscribe) + limits.expiresOffset
      for (const { presentity, publications, subscriptions } of states.values()) {
        for (const one of [...values(publications)].flatMap((some) => [...values(some)]))
          must(one.expiresAt <= now + longest * 1000, `${presentity} publishes for longer than is granted`)
        for (const one of values(subscriptions)) {
          must(one.expiresAt <= now + longest * 1000, `${presentity} ${one.no} lasts longer than is granted`)
          must(one.issuedAt <= now && one.createdAt <= now, `${presentity} ${one.no} is of the future`)
        }
      }
    },
    converged: (compare) => {
      let count = 0
      for (const state of states.values()) {
        for (const one of values(state.subscriptions)) {
          const eventPackage = options.packages.find(one.packageName)
          // it refused the last one without asking for another
          if (eventPackage === null || one.status !== "active" || one.shown === "") continue
          const compared = compare(state, one)
          // or knows better by itself
          if (compared === null) continue
          must(
            one.shown === viewFor(state, one, eventPackage).digest,
            `${state.presentity} ${one.no} was not told`,
          )
          const { shown, there } = compared
          must(
            shown === there,
            `${state.presentity} ${one.no} shows ${JSON.stringify(shown)} of ${JSON.stringify(there)}`,
          )
          count++
        }
      }
      return count
    },
    states: () => states,
  }
}
