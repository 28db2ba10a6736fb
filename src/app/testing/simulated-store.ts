/**
 * The store of a simulation: appends that succeed, fail or conflict with another writer, and crashes of the server that uses it.
 */
import type { Batch, Doubtful, Offer } from "../../domain/engine/engine.ts"
import { makeEngine } from "../../domain/engine/make-engine.ts"
import {
  clockOf,
  isSetBack,
  lastClock,
  nowFor,
  placedAt,
  slackMillis,
} from "../../domain/presentity/clock.ts"
import type { Command } from "../../domain/presentity/commands.ts"
import { decide } from "../../domain/presentity/decide.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { react } from "../../domain/presentity/react.ts"
import { initial, isEmpty } from "../../domain/presentity/state.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { makeDeliveries } from "../node/deliveries.ts"
import { clockOfServer, delayOf, nobody, post } from "./simulated-run.ts"
import type { Run, Ticket } from "./simulated-run.ts"
import { offer, offerAgain, send, sendNotifies } from "./simulated-server.ts"

/** The later of two instants; the second when it is earlier by more than `slack`: then the clock was set back. */
const laterOf = (left: Millis, right: Millis, slack: Millis): Millis =>
  right < left - slack ? right : Math.max(left, right)

/** Takes what is decided, and finishes the append sooner or later. */
export const store = (run: Run, eager: boolean): void => {
  const { random, log } = run
  if (run.appending === null) run.appending = run.engine.takeBatch(run.calm ? 1000 : 1 + random.int(20))
  if (run.appending === null || !(eager || random.chance(0.6))) return
  const batch = run.appending
  run.appending = null
  finishAppend(run, batch)
  if (random.chance(0.2))
    run.answers.note(
      log.read(0, Number.MAX_SAFE_INTEGER).length,
      laterOf(clockOfServer(run), run.committedAt, slackMillis),
      oldestInFlight(run),
    )
}

const oldestInFlight = ({ engine, foreign }: Run): Millis | null => {
  const all = [engine.oldestInFlight(), ...foreign.values()].filter((at) => at !== null)
  return all.length === 0 ? null : Math.min(...all)
}

const finishAppend = (run: Run, { decisions }: Batch): void => {
  const { random, engine, follower, log, counts } = run
  if (!run.calm && random.chance(0.03)) return failAppend(run, decisions)
  const streams = [...new Set(decisions.map(({ stream }) => stream))]
  if (!run.calm && streams.length > 0 && random.chance(0.04)) interfere(run, random.pick(streams))
  const conflicts = append(run, decisions)
  const { release, again, stored } = engine.committed(conflicts)
  if (stored.length > 0) follower?.stored(stored, log.read(0, Number.MAX_SAFE_INTEGER).length)
  const newest = decisions.at(-1)
  if (newest !== undefined) run.committedAt = laterOf(run.committedAt, clockOf(newest), slackMillis)
  for (const released of release) send(run, released)
  reload(run, conflicts)
  for (const given of again) offerAgain(run, given)
  if (conflicts.size > 0) counts.conflicts++
}

const append = (run: Run, decisions: readonly Decision[]): ReadonlySet<Uri> => {
  const { conflicts } = run.log.append(decisions)
  run.checks.follow()
  for (const decision of decisions) if (!conflicts.has(decision.stream)) spare(run, decision)
  return conflicts
}

/** Tells the peers which devices are not notified of their own change. */
const spare = ({ checks, peers }: Run, decision: Decision): void => {
  const state = checks.states().get(decision.stream)
  for (const event of decision.events) {
    if (event._tag !== "NotificationsIssued") continue
    for (const id of event.suppressed) {
      const dialog = state && get(state.dialogs, get(state.subscriptions, id)?.dialog ?? -1)
      peers.spared(decision.stream, id, dialog?.localCseq ?? 0)
    }
  }
}

/** The store does not answer, and nobody knows whether it stored the batch. */
const failAppend = (run: Run, decisions: readonly Decision[]): void => {
  run.counts.failures++
  run.note(`${run.now} the append fails`)
  if (run.random.chance(0.5)) append(run, decisions)
  const { offers, streams, doubtful } = run.engine.failed()
  for (const { ticket } of offers) {
    if (ticket.origin === null) continue
    const rejection = { _tag: "ServiceUnavailable", status: 503, why: "store", retryAfter: 1 } as const
    post(run, delayOf(run), () => ticket.answered({ _tag: "Rejected", rejection }))
  }
  reload(run, streams)
  const done = storedAfterAll(run, doubtful)
  for (const given of offers) if (given.ticket.origin === null && !done.has(given)) offerAgain(run, given)
}

/** What was stored after all takes effect now. @returns the offers that it was decided for */
const storedAfterAll = (
  run: Run,
  doubtful: readonly Doubtful<Ticket>[],
): ReadonlySet<Offer<Ticket> | null> => {
  const done = new Set<Offer<Ticket> | null>()
  for (const stored of doubtful) {
    const { stream, version, nonce } = stored.decision
    if (run.log.history(stream, version - 1, 1)[0]?.decision.nonce !== nonce) continue
    done.add(stored.offer)
    run.follower?.late([stored])
    run.engine.leaveLate(stored)
    sendNotifies(run, run.now, stored.notifications)
  }
  return done
}

/** Loads streams into memory as they are stored. */
const reload = (run: Run, streams: Iterable<Uri>): void => {
  for (const stream of streams) {
    if (!run.engine.isLoaded(stream)) run.engine.load(run.log.load(stream))
    offer(run, stream, { _tag: "Redeliver", since: 0, only: [] }, nobody)
  }
}

/** Another writer makes decisions on the stream, and sends what follows from them. */
const interfere = (run: Run, stream: Uri): void => {
  const { random, options, log } = run
  const { universe } = options
  let state = log.load(stream)
  const body = random.pick(universe.bodies.get("stub") ?? [...universe.bodies.values()][0]!)
  const asked = { ifMatch: [], expires: 60, body, bodyFault: null, sender: null }
  const packageName = [...universe.bodies.keys()][0]!
  const publish = { _tag: "Publish", packageName, ...asked } as const
  const follow = { _tag: "FollowClock", from: lastClock(state) } as const
  for (const command of [follow, { _tag: "FallDue" }, publish] as const) {
    if (command._tag === "FollowClock" && (!isSetBack(state, clockOfServer(run)) || isEmpty(state))) continue
    state = decidedElsewhere(run, state, command)
  }
}

const decidedElsewhere = (run: Run, state: State, command: Command): State => {
  const { packages, limits, authorize } = run.engineOptions
  const nonce = run.random.token()
  const at = nowFor(state, clockOfServer(run))
  const { events } = decide(state, command, {
    now: at,
    nonce,
    limits,
    packages,
    authorize,
    inFlight: () => false,
    findDialog: () => null,
  })
  if (events.length === 0) return state
  const { presentity: stream } = state
  const version = state.version + 1
  const placed = placedAt(state, at, events)
  const decision: Decision = { stream, version, cause: command._tag, origin: "", nonce, ...placed }
  const after = fold(state, decision)
  append(run, [decision])
  run.note(`${run.now} another writer: ${stream} ${version} ${command._tag}`)
  const notifications = react(state, decision.events, after, at, { packages, limits })
  for (const notify of notifications) run.foreign.set(notify, at)
  sendNotifies(run, at, notifications)
  return after
}

export const crash = (run: Run): void => {
  const { random, log, checks, follower, options } = run
  run.counts.crashes++
  run.life++
  run.note(`${run.now} crash`)
  // the append under way may have come through
  if (run.appending !== null && random.chance(0.5)) append(run, run.appending.decisions)
  run.appending = null
  run.engine = makeEngine(run.engineOptions)
  const alive = [...checks.states().keys()]
    .map((stream) => log.load(stream))
    .filter((state) => !isEmpty(state))
  follower?.restarted()
  const { farewells, unsure } = inDoubt(run, alive, run.answers.upTo())
  for (const state of alive) run.engine.load(state)
  if (options.universe.rules !== undefined)
    judgeAgain(
      run,
      alive.map(({ presentity }) => presentity),
    )
  for (const [presentity, repeated] of farewells) {
    const command = { _tag: "RepeatFarewells", farewells: repeated } as const
    offerAgain(run, { presentity, command, origin: "", ticket: nobody, amends: true })
  }
  run.engine.advance(run.now, random.token)
  for (const [presentity, only] of unsure)
    offer(run, presentity, { _tag: "Redeliver", since: 0, only }, nobody)
}

/** What the log leaves open about NOTIFYs of decisions after a position. */
const inDoubt = ({ log }: Run, alive: readonly State[], from: number) => {
  const deliveries = makeDeliveries()
  const states = new Map<Uri, State>()
  for (const { position, decision } of log.read(0, Number.MAX_SAFE_INTEGER)) {
    const before = states.get(decision.stream) ?? initial(decision.stream)
    const after = fold(before, decision)
    states.set(decision.stream, after)
    if (position <= from) continue
    deliveries.read(decision)
    deliveries.folded({ decision, before, after })
  }
  const unsure = alive.flatMap((state): [Uri, readonly number[]][] => {
    const ids = deliveries.unsureIn(state, (subscription) =>
      deliveries.isReadFrom(state.presentity, subscription.toldIn),
    )
    return ids.length === 0 ? [] : [[state.presentity, ids]]
  })
  return { farewells: deliveries.farewells(), unsure }
}

/** As at a start, before anything that fell due meanwhile, and once the source of rules has been read. */
export const judgeAgain = (run: Run, presentities: readonly Uri[]): void => {
  for (const presentity of presentities) {
    for (const packageName of run.options.universe.bodies.keys()) {
      const command = { _tag: "RefreshWatchers", packageName, kind: "rules" } as const
      offerAgain(run, { presentity, command, origin: "", ticket: nobody, amends: true })
    }
  }
}
