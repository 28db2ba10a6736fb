/**
 * A server without sockets: pump and projector over a store whose appends have the outcome that the test chooses.
 */
import { Context, Effect, Exit, Logger, Scope } from "effect"
import { makeMemoryStore } from "../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../src/adapters/store/memory.ts"
import { makeProjector } from "../../src/app/node/projector.ts"
import type { Projector } from "../../src/app/node/projector.ts"
import { makePump, pumpDefaults } from "../../src/app/node/pump.ts"
import type { Pump } from "../../src/app/node/pump.ts"
import type { Answer, Command, DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../src/domain/presentity/context.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { EventStore, StoreUnavailable } from "../../src/ports/event-store.ts"
import { PresenceTables } from "../../src/ports/presence-tables.ts"
import type { MemoryTables } from "./memory-tables.ts"
import { packages } from "./stub-package.ts"

/**
 * The outcome of an append: stored and confirmed; stored without an answer; failed; or without an answer and stored
 * later (`comeThrough`).
 */
export type Fate = "stored" | "unanswered" | "failed" | "late"

export interface FaultyStore {
  readonly service: EventStore["Service"]
  /** The outcome of the next append with something to store; later ones succeed. */
  readonly next: (fate: Fate) => void
  /** Stores what has been `late` so far. */
  readonly comeThrough: () => void
  /** Nonces of what is late, whose requesters are gone. */
  readonly orphaned: () => readonly string[]
}

export const makeFaultyStore = (log: MemoryLog): FaultyStore => {
  const memory = makeMemoryStore(log)
  let fate: Fate = "stored"
  /** A repeated append has the same outcome until it is given up. */
  let stuck: { readonly nonce: string; readonly fate: Fate } | null = null
  let late: (readonly Decision[])[] = []
  return {
    next: (chosen) => (fate = chosen),
    comeThrough: () => {
      for (const decisions of late) log.append(decisions)
      late = []
    },
    orphaned: () => late.flat().map(({ nonce }) => nonce),
    service: {
      ...memory,
      append: (decisions) =>
        Effect.suspend(() => {
          const nonce = decisions[0]?.nonce ?? ""
          if (stuck?.nonce !== nonce) {
            stuck = { nonce, fate }
            fate = "stored"
            if (stuck.fate === "late") late.push(decisions)
            if (stuck.fate === "unanswered") log.append(decisions)
          }
          switch (stuck.fate) {
            case "stored":
              return memory.append(decisions)
            case "failed":
              return Effect.fail(new StoreUnavailable({ cause: "no" }))
            default:
              return Effect.never
          }
        }),
    },
  }
}

export interface Life {
  readonly pump: Pump
  readonly projector: Projector
  /** NOTIFYs that were sent, and those of them without an outcome. */
  readonly sent: readonly Notify[]
  readonly flying: Notify[]
  /** The decisions passed to followers of the log. */
  readonly told: readonly Decision[]
  readonly ask: (presentity: Uri | null, command: Command) => Promise<Answer>
  readonly report: (notify: Notify, outcome: DeliveryOutcome) => void
  /** Resolves when everything is decided, stored and passed on. */
  readonly settled: () => Promise<void>
  /** Stops in order: outcomes are recorded, and tables written. */
  readonly stop: () => Promise<void>
  /** Stops like kill -9. */
  readonly kill: () => Promise<void>
}

/** @param over differences from a server's pump; `now`: its clock */
export const begin = async (
  store: EventStore["Service"],
  tables: MemoryTables,
  over: Partial<Parameters<typeof makePump>[0]> = {},
): Promise<Life> => {
  const scope = Effect.runSync(Scope.make())
  let isOver = false
  const mine: EventStore["Service"] = {
    ...store,
    append: (decisions, requesters) =>
      Effect.suspend(() => (isOver ? Effect.never : store.append(decisions, requesters))),
  }
  const services = Context.make(EventStore, mine).pipe(Context.add(PresenceTables, tables.service))
  const sent: Notify[] = []
  const flying: Notify[] = []
  const told: Decision[] = []
  const quietly = Logger.layer([])
  const run = <A>(effect: Effect.Effect<A>): Promise<A> => Effect.runPromise(Effect.provide(effect, quietly))
  const { pump, projector } = await run(
    Effect.gen(function* () {
      const pump: Pump = yield* makePump(
        {
          packages,
          limits: { ...defaultLimits, notifyIntervalMillis: 0 },
          authorize: allowEveryone,
          ...pumpDefaults,
          patienceMillis: 5,
          ...over,
        },
        {
          notify: (notifications) => {
            sent.push(...notifications)
            flying.push(...notifications)
          },
          stored: (stored, present) => {
            told.push(...stored.map(({ decision }) => decision))
            projector.note(stored, present)
          },
          outage: () => {},
        },
      )
      const projector: Projector = yield* makeProjector(
        { periodSeconds: 0, decisionsMax: Number.POSITIVE_INFINITY },
        { committed: () => pump.committed(), oldestInFlight: pump.oldestInFlight },
      )
      yield* pump.recover
      return { pump, projector }
    }).pipe(Effect.provideContext(services)),
  )
  await run(Effect.provideService(pump.start, Scope.Scope, scope))
  const settled = async (): Promise<void> => {
    do await run(pump.settle)
    while (pump.status() === "down")
  }
  const kill = (): Promise<void> => {
    isOver = true
    return run(Scope.close(scope, Exit.void))
  }
  return {
    pump,
    projector,
    sent,
    flying,
    told,
    ask: (presentity, command) =>
      new Promise((answer) => pump.handler.submit({ presentity, command, origin: "udp:a b 1", answer })),
    report: (notify, outcome) => {
      flying.splice(flying.indexOf(notify), 1)
      pump.handler.delivered(notify.presentity, notify.no, notify.cseq, outcome)
    },
    settled,
    stop: async () => {
      await settled()
      await run(pump.drain.pipe(Effect.andThen(pump.record), Effect.andThen(projector.flush)))
      await kill()
    },
    kill,
  }
}
