/**
 * A program that embeds the core ends and begins again, over every kind of store: the log says what happened, once.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Layer } from "effect"
import { afterAll, describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { Presence, embeddedStore, postgresStore, storeOf } from "../../../src/app/index.ts"
import type { Decision } from "../../../src/domain/presentity/events.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { sharedPostgres } from "../../support/postgres.ts"

const folder = mkdtempSync(join(tmpdir(), "presently-restart-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const cluster = await sharedPostgres()
const database = cluster?.database()

const shared = makeMemoryStore()
const own = makeMemoryLog()
const promised = () =>
  storeOf({
    append: (decisions) => Promise.resolve(own.append(decisions)),
    load: (streams) => Promise.resolve(streams.map(own.load)),
    read: (after, max) => Promise.resolve(own.read(after, max)),
    history: (stream, after, max) => Promise.resolve(own.history(stream, after, max)),
  })

type Store = NonNullable<NonNullable<Parameters<typeof Presence.make>[0]>["store"]>

const alice = "sip:alice@example.com"
const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="t"/></presence>`

const eventsOf = (log: readonly Decision[]): readonly string[] =>
  log.flatMap(({ events }) => events.map(({ _tag }) => _tag))

/** Some came and went, some watch until the end, one list of watchers among them. */
const firstLife = async (store: Store): Promise<number> => {
  const program = await Presence.make({ store })
  const take = async (watch: AsyncIterable<unknown>): Promise<void> => {
    for await (const _ of watch);
  }
  for (let index = 0; index < 3; index++) {
    const watch = await program.watch({ presentity: alice, watcher: `sip:w${index}@example.com` })
    const taken = take(watch)
    await program.settle()
    await watch.close()
    await taken
  }
  const open = [
    await program.watch({ presentity: alice, watcher: "sip:bob@example.com" }),
    await program.watch({ presentity: alice, watcher: alice, event: "presence.winfo" }),
  ].map(take)
  await program.publish({ presentity: alice, body, expires: 36_000 })
  await program.settle()
  await program.close()
  await Promise.all(open)
  return open.length
}

const stores: readonly (readonly [string, number, (() => Store) | null])[] = [
  ["memory that outlives the program", 50, () => Layer.succeed(EventStore, shared)],
  ["a store of one's own", 50, promised],
  ["PostgreSQL", 50, database === undefined ? null : () => postgresStore(database)],
  ["the embedded database", 3, () => embeddedStore(folder)],
]

describe("a program that begins again", () => {
  it.for(stores.filter(([, , store]) => store !== null))(
    "writes nothing when nothing happened, over %s",
    { tags: ["A3", "OPS-seen", "L08"], timeout: 120_000 },
    async ([, starts, store]) => {
      const open = await firstLife(store!())
      let before: number | null = null
      for (let start = 1; start <= starts; start++) {
        const program = await Presence.make({ store: store!() })
        await program.settle()
        const log = await program.history(alice)
        before ??= log.length
        deepStrictEqual(log.length, before, `start ${start}`)
        if (start === starts) {
          const events = eventsOf(log)
          ok(!events.includes("NotificationFailed"))
          // each ended once: by itself, or with the program
          deepStrictEqual(events.filter((tag) => tag === "SubscriptionTerminated").length, 3 + open)
          const { items } = await program.seen("sip:w0@example.com", alice)
          deepStrictEqual(
            items.map(({ state, delivery }) => `${state} ${delivery}`),
            ["active answered", "terminated answered"],
          )
          const why = await program.why(alice, "sip:bob@example.com")
          ok(/ended with the program that it was within/.test(why.text), why.text)
        }
        await program.close()
      }
    },
  )

  it(
    "of a program that was killed it is written once, at the next start, that its watchers are gone",
    { tags: ["A3"] },
    async () => {
      const log = makeMemoryLog()
      const store = () => Layer.succeed(EventStore, makeMemoryStore(log))
      const killed = await Presence.make({ store: store() })
      await killed.watch({ presentity: alice, watcher: "sip:bob@example.com" })
      await killed.publish({ presentity: alice, body, expires: 36_000 })
      await killed.settle()
      // it is never closed
      const lengths: number[] = []
      for (let start = 1; start <= 3; start++) {
        const program = await Presence.make({ store: store() })
        await program.settle()
        lengths.push(log.read(0, 100).length)
        await program.close()
      }
      deepStrictEqual(new Set(lengths).size, 1)
      const ends = log
        .read(0, 100)
        .flatMap(({ decision }) =>
          decision.events.some(({ _tag }) => _tag === "SubscriptionTerminated") ? decision : [],
        )
      deepStrictEqual(
        ends.map(({ cause, events }) => [cause, events.length]),
        [["Abandon", 1]],
      )
    },
  )

  it(
    "does not answer for watchers that are somewhere else: their subscriptions stay, and wait for a server",
    { tags: ["A3", "L12"] },
    async () => {
      const { alice: of, dialogOf, subscribe } = await import("../../support/builders.ts")
      const { begin } = await import("../../support/one-life.ts")
      const { makeMemoryTables } = await import("../../support/memory-tables.ts")
      const { presence } = await import("../../../src/domain/packages/pidf.ts")
      const { makeRegistry } = await import("../../../src/domain/packages/registry.ts")
      const { xmlCodec } = await import("../../../src/adapters/xml/codec.ts")
      const packages = makeRegistry([presence({ xml: xmlCodec })])
      const log = makeMemoryLog()
      const server = await begin(makeMemoryStore(log), makeMemoryTables(), { packages })
      await server.ask(of, subscribe({ packageName: "presence", dialog: dialogOf(1), expires: 3600 }))
      await server.settled()
      await server.kill()
      const before = log.read(0, 100).length
      const program = await Presence.make({ store: Layer.succeed(EventStore, makeMemoryStore(log)) })
      await program.settle()
      await program.publish({ presentity: of, body, expires: 600 })
      await program.settle()
      await program.close()
      const since = log.read(before, 100).flatMap(({ decision }) => decision.events.map(({ _tag }) => _tag))
      ok(!since.includes("SubscriptionTerminated") && !since.includes("NotificationFailed"), since.join(" "))
      const next = await begin(makeMemoryStore(log), makeMemoryTables(), { packages })
      await next.settled()
      // the last one may not have arrived: nobody knew
      deepStrictEqual(
        next.sent.map(({ state, no }) => [no, state]),
        [[1, "active"]],
      )
      await next.kill()
    },
  )
})
