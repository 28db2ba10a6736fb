/**
 * A server without sockets: pump and projector over a store whose appends go as the test says.
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
 * How an append goes: it is stored and said so; it is stored and never answered; it fails; it is never answered, and stored later
 * (`comeThrough`).
 */
export type Fate = "stored" | "unanswered" | "failed" | "late"

export interface FaultyStore {
  readonly service: EventStore["Service"]
  /** Of the next append that has something to store; after it all goes well again. */
  readonly next: (fate: Fate) => void
  /** What was `late` until now. */
  readonly comeThrough: () => void
  /** Nonces of what is late: who asked for it is gone. */
  readonly orphaned: () => readonly string[]
}

export const makeFaultyStore = (log: MemoryLog): FaultyStore => {
  const memory = makeMemoryStore(log)
  let fate: Fate = "stored"
  /** What is tried again meets the same fate until it is given up. */
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
  /** NOTIFYs that have left, and those of them without an outcome. */
  readonly sent: readonly Notify[]
  readonly flying: Notify[]
  /** What followers of the log were told of. */
  readonly told: readonly Decision[]
  readonly ask: (presentity: Uri | null, command: Command) => Promise<Answer>
  readonly report: (notify: Notify, outcome: DeliveryOutcome) => void
  /** All is decided, stored and told. */
  readonly settled: () => Promise<void>
  /** What was known is written down, and the tables with it. */
  readonly stop: () => Promise<void>
  /** As kill -9. */
  readonly kill: () => Promise<void>
}

/** @param over what is different from a server's pump; `now`: its clock */
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
