/**
 * A program whose log is taken by another writer: from then on nothing is said from memory, nobody is told anything, and the
 * program is told once who has it.
 */
import assert from "node:assert/strict"
import { Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { LogIsTaken, Presence, postgresStore } from "../../../src/app/index.ts"
import type { Notification, PresenceFault, PresenceRefused, StoreFault } from "../../../src/app/index.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { on } from "../../support/checked-store.ts"
import { holds } from "../../support/condition.ts"
import { started } from "../../support/log-writer.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const open = pidf(tuple("phone", "open"))

const cluster = await sharedPostgres()

/** Whether it is refused because the log is somebody else's. */
const isRefused = (error: unknown): true => {
  const { status, cause } = error as PresenceRefused
  assert.equal(status, 503, String(error))
  assert.ok((cause as StoreFault).cause instanceof LogIsTaken, String(error))
  return true
}

const taken = new LogIsTaken({
  store: "the log",
  holder: { program: "another", host: "b", pid: 7, version: "1", since: 0, epoch: 2 },
  fix: "stop it",
})

describe("a program whose log is taken", () => {
  it.skipIf(cluster === null)(
    "answers nothing from memory, tells nobody anything, and is told once who has the log",
    { tags: ["OPS-writer", "LIB-8"] },
    async () => {
      const url = cluster!.database()
      const faults: PresenceFault[] = []
      const presence = await Presence.make({
        store: postgresStore(url),
        onFault: (fault) => void faults.push(fault),
      })
      const told: Notification[] = []
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      void (async () => {
        for await (const notification of watch) told.push(notification)
      })()
      const { entityTag } = await presence.publish({ presentity: alice, body: open, expires: 600 })
      await holds("bob is told of it", () => told.length > 1)
      const before = told.length
      assert.equal(presence.isPublished(alice), true)
      // as when this one was silent for a lease: its session and its place in the table are gone
      await on(
        url,
        `UPDATE writers SET epoch = epoch + 1, application = 'presently writer of nobody', session = 0, lock = 1, process = ''`,
      )
      const other = await started(url)
      const isUnsure = (): boolean => {
        try {
          presence.isPublished(alice)
          return false
        } catch (error) {
          return (error as PresenceRefused).cause !== undefined
        }
      }
      await holds("it knows that the log is taken", isUnsure)
      for (const question of [
        () => presence.isPublished(alice),
        () => presence.isPublished("sip:nobody@example.com"),
        () => presence.sphere(alice),
      ])
        assert.throws(question, isRefused)
      for (let round = 0; round < 2; round++) {
        await Promise.all(
          [
            presence.expose("presence"),
            presence.publish({ presentity: alice, body: open }),
            presence.publish({ presentity: alice, entityTag, expires: 600 }),
            // 412 and 481 by memory
            presence.publish({ presentity: alice, entityTag: "no.such", expires: 600 }),
            watch.refresh(),
            presence.watch({ presentity: alice, watcher: "sip:carol@example.com" }),
            presence.setRules(alice, null),
            presence.setHardState(alice, open),
            presence.terminate({ presentity: alice }),
          ].map((asked) => assert.rejects(asked, isRefused)),
        )
        // longer than it takes to come back
        await new Promise((resolve) => setTimeout(resolve, 600))
      }
      assert.deepEqual(
        faults.map((fault) => [
          fault._tag,
          fault._tag === "StoreAway" && (fault.cause as StoreFault).cause instanceof LogIsTaken,
        ]),
        [["StoreAway", true]],
      )
      assert.equal(told.length, before)
      const rows = (): Promise<readonly unknown[]> => on(url, "SELECT pos FROM events")
      const { length } = await rows()
      await presence.close()
      assert.equal((await rows()).length, length)
      await other.stop()
    },
  )

  it(
    "is told of it though the store was away for another reason before",
    { tags: ["OPS-writer", "LIB-8"] },
    async () => {
      const memory = makeMemoryStore()
      const claim = { sure: true, taken: null as LogIsTaken | null, fails: false }
      const faults: PresenceFault[] = []
      const away = Effect.fail(new StoreUnavailable({ cause: new Error("connection reset") }))
      const presence = await Presence.make({
        store: Layer.succeed(EventStore, {
          ...memory,
          append: (...asked) => (claim.fails ? away : memory.append(...asked)),
          claim: { isSure: () => claim.sure, taken: () => claim.taken },
        }),
        onFault: (fault) => void faults.push(fault),
      })
      await presence.setRules(alice, null)
      claim.fails = true
      claim.sure = false
      await assert.rejects(presence.publish({ presentity: alice, body: open }), /connection reset/)
      // what it would be answered by memory needs nothing of the store, and is not sure all the same
      assert.throws(() => presence.isPublished(alice), /somebody else may have the log by now/)
      await assert.rejects(presence.setRules(alice, null), (error: PresenceRefused) => error.status === 503)
      claim.taken = taken
      for (let round = 0; round < 3; round++) {
        assert.throws(() => presence.isPublished(alice), isRefused)
        await assert.rejects(presence.publish({ presentity: alice, body: open }), isRefused)
      }
      assert.deepEqual(
        faults.map((fault) => [
          fault._tag,
          fault._tag === "StoreAway" && (fault.cause as StoreFault).cause === taken,
        ]),
        [
          ["StoreAway", false],
          ["StoreAway", true],
        ],
      )
      await presence.close()
    },
  )
})
