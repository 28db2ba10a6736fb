import { deepStrictEqual } from "node:assert/strict"
import { Context, Effect, Logger } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { makeProjector } from "../../../src/app/node/projector.ts"
import type { CommittedDecision } from "../../../src/domain/engine/engine.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { PresenceTables } from "../../../src/ports/presence-tables.ts"
import type { TableChange } from "../../../src/ports/presence-tables.ts"

const alice = "sip:alice@example.com" as Uri

const stored = (version: number, tag: string): CommittedDecision => {
  const event: Event = {
    _tag: "PublicationCreated",
    packageName: "presence",
    entityTag: tag as EntityTag,
    expiresAt: 9_000_000,
    body: null,
    sender: null,
  }
  const before = { ...initial(alice), version: version - 1 }
  const decision = { stream: alice, version, at: version, cause: "", origin: "", nonce: "", events: [event] }
  return { decision, before, after: fold(before, decision) }
}

describe("the projector", () => {
  it(
    "what could not be written is written with what came since, and that is said once each time",
    { tags: ["L05"] },
    async () => {
      const said: string[] = []
      const written: (readonly TableChange[])[] = []
      let isUp = false
      const tables: PresenceTables["Service"] = {
        together: (work) => work,
        write: (changes) =>
          isUp
            ? Effect.sync(() => void written.push(changes))
            : Effect.fail(new StoreUnavailable({ cause: new Error("permission denied for table watchers") })),
      }
      const store = makeMemoryStore()
      const services = Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables))
      const logger = Logger.make(({ message }) => void said.push(String(message)))
      await Effect.runPromise(
        Effect.gen(function* () {
          let position = 0
          const projector = yield* makeProjector(
            { periodSeconds: 1, decisionsMax: 10 },
            { committed: () => ({ position, at: position }), oldestInFlight: () => null },
          ).pipe(Effect.provideContext(services))
          for (const tag of ["a", "b"]) {
            projector.note([stored(++position, tag)])
            yield* projector.flush
          }
          deepStrictEqual(projector.lag(), { streams: 1, decisions: 2 })
          deepStrictEqual(yield* store.checkpoint("tables"), null)
          isUp = true
          yield* projector.flush
          deepStrictEqual(projector.lag(), { streams: 0, decisions: 0 })
          deepStrictEqual(yield* store.checkpoint("tables"), { position: 2, at: 2 })
        }).pipe(Effect.provide(Logger.layer([logger]))),
      )
      deepStrictEqual(
        written.map((changes) =>
          changes.flatMap(({ keys }) => keys.map((key) => (key.table === "presentity" ? key.etag : ""))),
        ),
        [["a", "b"]],
      )
      deepStrictEqual(said, [
        "the tables cannot be written (permission denied for table watchers): tried again and again",
        "the tables are written again",
      ])
    },
  )

  it(
    "a write that never ends, not even when it is told to, is made again",
    { tags: ["T40", "L05"] },
    async () => {
      const tables: PresenceTables["Service"] = {
        // as a transaction on a connection that is gone: it waits for its own end
        together: (work) => (++writes === 1 ? Effect.uninterruptible(Effect.never) : work),
        write: () => Effect.void,
      }
      let writes = 0
      const store = makeMemoryStore()
      const services = Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables))
      await Effect.runPromise(
        Effect.gen(function* () {
          const projector = yield* makeProjector(
            { periodSeconds: 1, decisionsMax: 10, writeMillis: 5 },
            { committed: () => ({ position: 1, at: 1 }), oldestInFlight: () => null },
          ).pipe(Effect.provideContext(services))
          projector.note([stored(1, "a")])
          yield* projector.flush
          deepStrictEqual(projector.lag(), { streams: 1, decisions: 1 })
          yield* projector.flush
          deepStrictEqual(projector.lag(), { streams: 0, decisions: 0 })
          deepStrictEqual(yield* store.checkpoint("tables"), { position: 1, at: 1 })
        }).pipe(Effect.provide(Logger.layer([]))),
      )
    },
  )

  it(
    "of a write that dies, or whose caller goes away, nothing is lost",
    { tags: ["T40", "L05"] },
    async () => {
      const fates = [Effect.die(new Error("Connection closed")), Effect.never]
      const written: string[] = []
      const tables: PresenceTables["Service"] = {
        together: (work) => fates.shift() ?? work,
        write: (changes) =>
          Effect.sync(() => {
            for (const { keys } of changes)
              for (const key of keys) written.push(key.table === "presentity" ? key.etag : "")
          }),
      }
      const store = makeMemoryStore()
      const services = Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables))
      await Effect.runPromise(
        Effect.gen(function* () {
          let position = 0
          const projector = yield* makeProjector(
            { periodSeconds: 1, decisionsMax: 10 },
            { committed: () => ({ position, at: position }), oldestInFlight: () => null },
          ).pipe(Effect.provideContext(services))
          projector.note([stored(++position, "a")])
          yield* projector.flush
          projector.note([stored(++position, "b")])
          yield* Effect.timeoutOption(projector.flush, "5 millis")
          projector.note([stored(++position, "c")])
          yield* projector.flush
          deepStrictEqual(written, ["a", "b", "c"])
          deepStrictEqual(yield* store.checkpoint("tables"), { position: 3, at: 3 })
        }).pipe(Effect.provide(Logger.layer([]))),
      )
    },
  )

  it(
    "the place up to which NOTIFYs are answered never goes back, and is said of an older log when it is known",
    { tags: ["L08"] },
    async () => {
      const tables: PresenceTables["Service"] = { together: (work) => work, write: () => Effect.void }
      const flushed = (store: EventStore["Service"], oldest: () => number | null) =>
        Effect.map(
          makeProjector(
            { periodSeconds: 1, decisionsMax: 10 },
            { committed: () => ({ position: 10, at: 10_000 }), oldestInFlight: oldest },
          ).pipe(
            Effect.provideContext(Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables))),
          ),
          ({ flush }) => flush,
        )
      const placeOf = (store: EventStore["Service"]) =>
        Effect.map(store.checkpoint("answered"), (known) => known?.position ?? null)
      await Effect.runPromise(
        Effect.gen(function* () {
          for (const [before, started] of [
            [7, 7],
            [null, null],
          ] as const) {
            const store = makeMemoryStore()
            yield* store.saveCheckpoint("tables", { position: 9, at: 1 })
            if (before !== null) yield* store.saveCheckpoint("answered", { position: before, at: 1 })
            let oldest: number | null = 5_000
            const flush = yield* flushed(store, () => oldest)
            yield* flush
            deepStrictEqual(yield* placeOf(store), started)
            oldest = null
            yield* flush
            deepStrictEqual(yield* placeOf(store), 10)
          }
        }).pipe(Effect.provide(Logger.layer([]))),
      )
    },
  )

  it(
    "each 500th state of a stream becomes a landmark, however writes fall and fail",
    { tags: ["L04"] },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat({ max: 400 }), fc.boolean()), { minLength: 4, maxLength: 8 }),
          async (writes) => {
            let isUp = true
            const tables: PresenceTables["Service"] = {
              together: <A, E>(work: Effect.Effect<A, E>) =>
                Effect.suspend((): Effect.Effect<A, E | StoreUnavailable> =>
                  isUp ? work : Effect.fail(new StoreUnavailable({ cause: "no" })),
                ),
              write: () => Effect.void,
            }
            const store = makeMemoryStore()
            const services = Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables))
            await Effect.runPromise(
              Effect.gen(function* () {
                let version = 0
                let state = initial(alice)
                const states = [state]
                const projector = yield* makeProjector(
                  { periodSeconds: 1, decisionsMax: 10 },
                  { committed: () => ({ position: version, at: version }), oldestInFlight: () => null },
                ).pipe(Effect.provideContext(services))
                for (const [count, succeeds] of [...writes, [1, true] as const]) {
                  for (let n = 0; n < count; n++) {
                    const { decision } = stored(++version, `tag ${version}`)
                    const before = state
                    state = fold(before, { ...decision, events: version % 2 === 0 ? [] : decision.events })
                    states.push(state)
                    projector.note([{ decision, before, after: state }])
                  }
                  isUp = succeeds
                  yield* projector.flush
                }
                const expected = states
                  .filter((one) => one.version > 0 && one.version % 500 === 0)
                  .toReversed()
                deepStrictEqual(yield* store.landmarksBack(alice, version + 1, 100), expected)
              }).pipe(Effect.provide(Logger.layer([]))),
            )
          },
        ),
        { numRuns: 10 },
      )
    },
  )
})
