/**
 * Runs the whole way of a message before the first one comes, so that the first thousand do not pay for its compilation: from the
 * octets of a request to its answer and NOTIFYs, with encryption, hashes and the form in which decisions are stored.
 *
 * It happens in nodes of its own, with a store in memory and a transport without a network. There are two, which take turns: code that
 * has only ever seen one takes that one's functions for constants, and is thrown away when the server's own node comes. Of the
 * server's database only the statement of an append is run, for a decision that no log can take: one that does not follow its
 * predecessor.
 *
 * The first part comes before the sockets open, beside the reading of the log, with several messages at once as a busy server has
 * them. The rest, and what of the first part is not done when they open all the same, takes only time in which the event loop has
 * nothing else to do, one message at a time: no request waits for it for longer than one message takes.
 */
import { Context, Effect } from "effect"
import { make as makeSip } from "../../adapters/sip/stack.ts"
import { makeMemoryStore } from "../../adapters/store/memory.ts"
import { makeRehearsal } from "../../adapters/store/postgres/rehearsal.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { allowEveryone, defaultLimits } from "../../domain/presentity/context.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import { freeze } from "../../domain/presentity/snapshot.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { storedSnapshot } from "../../encoding/stored-snapshot.ts"
import { EventStore } from "../../ports/event-store.ts"
import { PresenceTables } from "../../ports/presence-tables.ts"
import { makeProjector } from "./projector.ts"
import { makePump, pumpDefaults } from "./pump.ts"
import { makeLoopback, peerAddress } from "./warm-up/loopback.ts"
import { makePeer, presentitiesMax } from "./warm-up/peer.ts"
import { answerMillis, within } from "./within.ts"

export interface WarmUpOptions {
  readonly packages: Packages
  /** The most processor time that it takes; 0: nothing is done. */
  readonly millisMax: Millis
  /** What it takes of that at once, whether the event loop is idle or not. */
  readonly firstMillis: Millis
  /** Run when that is over. */
  readonly firstDone: Effect.Effect<unknown>
  /** Whether requests can come: from then on it takes idle time only. */
  readonly isOpen: () => boolean
  /** Whether real requests do the same by now. */
  readonly isOver: () => boolean
  /** The server's store, while it may write to a database; null: it may not, or there is none. */
  readonly database: () => EventStore["Service"] | null
}

/** How often it looks whether the event loop had nothing to do. */
const lookMillis = 2

/** What one request counts for at most: other work may come between its steps. */
const requestMillisMax = 5

/** Turns from one append in the server's database to the next, and from one write of the tables to the next. */
const appendEvery = 8
const writeEvery = 256

export const warmUp = (options: WarmUpOptions): Effect.Effect<void> =>
  Effect.ensuring(options.millisMax <= 0 ? Effect.void : run(options), options.firstDone)

const run = ({
  packages,
  millisMax,
  firstMillis,
  firstDone,
  isOpen,
  isOver,
  database,
}: WarmUpOptions): Effect.Effect<void> =>
  Effect.gen(function* () {
    const nodes = [yield* makeNode(packages), yield* makeNode(packages)]
    const untilIdle = makeUntilIdle(isOver, isOpen, firstMillis)
    let spent = 0
    let isFirst = true
    for (let turn = 1; spent < millisMax; turn++) {
      const node = nodes[turn % nodes.length]!
      const together = isOpen() ? 1 : presentitiesMax
      if (isFirst && spent >= firstMillis) {
        isFirst = false
        yield* firstDone
      }
      yield* untilIdle(spent)
      if (isOver()) return
      const began = processorMillis()
      yield* node.requests(together)
      spent += Math.min(processorMillis() - began, together * requestMillisMax)
      const store = turn % appendEvery === 0 ? database() : null
      // the answer can be lost with the connection, and a stop must not wait for it
      if (store !== null) yield* Effect.ignore(within(answerMillis, store.append([outOfOrder])))
      if (turn % writeEvery < nodes.length) yield* node.write
    }
  }).pipe(Effect.scoped)

/** Processor time of this thread so far. */
const processorMillis = (): Millis => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** Waits until the event loop has been idle for about as long as was spent, or until it is over: a busy one may never be idle. */
const makeUntilIdle = (
  isOver: () => boolean,
  isOpen: () => boolean,
  firstMillis: Millis,
): ((spent: Millis) => Effect.Effect<void>) => {
  const from = performance.eventLoopUtilization()
  /** What may be spent without any idle time. */
  let advance = firstMillis
  const wait = (spent: Millis): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isOpen()) advance = Math.min(advance, spent)
      return isOver() || performance.eventLoopUtilization(from).idle + advance > spent
        ? Effect.void
        : Effect.flatMap(pause, () => wait(spent))
    })
  return wait
}

/** By the process's own clock: that of a server may stand still, or jump. */
const pause = Effect.callback<void>((resume) => {
  const timer = setTimeout(() => resume(Effect.void), lookMillis)
  return Effect.sync(() => clearTimeout(timer))
})

/** A decision that every store refuses: nothing came before it on its stream. It holds nothing personal, so no key is made for it. */
export const outOfOrder: Decision = {
  stream: "presently:warm-up" as Uri,
  version: 2 ** 40,
  at: 0,
  cause: "WarmUp",
  origin: "",
  nonce: "warm-up",
  events: [],
}

/** The smallest server, in memory, with a peer that asks it. It lives as long as the scope. */
export const makeNode = Effect.fnUntraced(function* (packages: Packages) {
  const rehearse = makeRehearsal()
  const memory = makeMemoryStore()
  const store: EventStore["Service"] = {
    ...memory,
    append: (decisions, requesters = []) => {
      rehearse(decisions, requesters)
      return memory.append(decisions, requesters)
    },
    saveSnapshots: (states) =>
      Effect.sync(() => {
        for (const state of states) JSON.stringify(storedSnapshot(freeze(state)))
      }),
  }
  const services = Context.make(EventStore, store).pipe(
    Context.add(PresenceTables, { together: (work) => work, write: () => Effect.void }),
  )
  const peer = makePeer()
  const loopback = makeLoopback((bytes) => {
    const answer = peer.take(bytes.toString("latin1"))
    if (answer !== null) setImmediate(() => loopback.receive(Buffer.from(answer, "latin1")))
  })
  const sip = makeSip({
    transports: [loopback.transport],
    listen: [{ transport: "udp", host: "127.0.0.1", port: 5060 }],
    notifyTargets: [peerAddress],
    packages,
    // a package of one's own may fail; that is told when it does so for somebody
    onDefect: () => {},
  })
  const pump = yield* makePump(
    {
      ...pumpDefaults,
      packages,
      limits: { ...defaultLimits, notifyIntervalMillis: 0 },
      authorize: allowEveryone,
      onDefect: () => {},
    },
    { notify: sip.notify },
  ).pipe(Effect.provideContext(services))
  const projector = yield* makeProjector({ periodSeconds: 0, decisionsMax: 1 }, pump).pipe(
    Effect.provideContext(services),
  )
  pump.listen({ stored: projector.note })
  yield* pump.recover
  yield* Effect.orDie(sip.listen(pump.handler))
  yield* pump.start
  return {
    /** So many requests at once, with all that comes of them. @param count at most `presentitiesMax` */
    requests: (count: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        for (let sent = 0; sent < count; sent++) loopback.receive(Buffer.from(peer.next(), "latin1"))
        return pump.settle
      }),
    /** Snapshots and tables. */
    write: projector.flush,
    /** What its SIP side has counted. */
    counters: sip.counters,
  }
})
