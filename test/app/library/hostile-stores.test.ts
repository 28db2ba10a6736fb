/**
 * Stores of the program that reject, throw, never say or answer what cannot be: a start fails with the reason, a request gets 503
 * with it, and nothing hangs.
 */
import assert from "node:assert/strict"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { Effect, Layer } from "effect"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { Presence, postgresStore, storeOf } from "../../../src/app/index.ts"
import type { PresenceFault, PresenceRefused, PromiseStore, StoreFault } from "../../../src/app/index.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { holds } from "../../support/condition.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const open = pidf(tuple("phone", "open"))

const boom = (): never => {
  throw new Error("disk full")
}

const fine = () => {
  const log = makeMemoryLog()
  const store: PromiseStore = {
    append: async (decisions) => log.append(decisions),
    load: async (streams) => streams.map(log.load),
    read: async (after, max) => log.read(after, max),
    history: async (stream, after, max) => log.history(stream, after, max),
  }
  return store
}

type Broken = readonly [how: string, answer: (...args: readonly unknown[]) => unknown, why: RegExp]

const anything: readonly Broken[] = [
  ["rejects", async () => Promise.reject(new Error("disk full")), /disk full/],
  ["rejects with nothing", async () => Promise.reject(undefined), /undefined/],
  [
    "rejects with what cannot be said",
    async () => Promise.reject(Object.create(null)),
    /it cannot be said why/,
  ],
  ["throws", boom, /disk full/],
  ["gives nothing", async () => undefined, /undefined/],
  ["gives no promise", () => 5, /5/],
  ["gives text", async () => "rows", /rows|map/],
]

const never = (): Promise<never> => new Promise(() => {})
const silent: Broken = ["never says", never, /no answer in 0\.2 s \(option storeWait\)/]
const silentAppend: Broken = [
  "never says",
  never,
  /^service unavailable: the store is away \(the event store: append: no answer in 3 s, after which an append is given up\)$/,
]

const rows = (over: object): unknown => [
  {
    position: 1,
    decision: {
      stream: alice,
      version: 1,
      at: 1,
      cause: "Publish",
      origin: "",
      nonce: "n",
      events: [],
      ...over,
    },
  },
]

const reads: readonly Broken[] = [
  ...anything,
  silent,
  [
    "gives positions that stand still",
    async () => Array(500).fill((rows({}) as readonly unknown[])[0]),
    /position 1 out of order/,
  ],
  [
    "gives more than asked",
    async () =>
      Array.from({ length: 501 }, (_, i) => ({ ...(rows({}) as readonly object[])[0], position: i + 1 })),
    /501 rows/,
  ],
  ["gives a decision at NaN", async () => rows({ at: Number.NaN }), /a decision at NaN/],
  ["gives a decision of version 0", async () => rows({ version: 0 }), /version 0/],
  ["gives a decision without stream", async () => rows({ stream: 5 }), /without stream/],
  ["gives events that are none", async () => rows({ events: [{ _tag: "Nonsense" }] }), /./],
  ["gives events that are no list", async () => rows({ events: 5 }), /./],
]

describe("a store that cannot be read", { tags: ["LIB-8"] }, () => {
  it.each(reads)("that %s fails the start, with the reason", { tags: ["LIB-8"] }, async (_, answer, why) => {
    const faults: PresenceFault[] = []
    await assert.rejects(
      Presence.make({
        store: storeOf({ ...fine(), read: answer } as PromiseStore),
        storeWait: 0.2,
        onFault: (fault) => void faults.push(fault),
      }),
      (error: StoreFault) => {
        assert.equal(error._tag, "StoreFault", String(error))
        assert.match(error.message, why)
        return true
      },
    )
    assert.deepEqual(faults, [])
  })

  it(
    "one of Effect's own that dies, or never opens, fails the start as well",
    { tags: ["LIB-8"] },
    async () => {
      const dying = Layer.succeed(EventStore, {
        ...makeMemoryStore(),
        checkpoint: () => Effect.die(new Error("no table")),
      })
      const throwing = Layer.succeed(EventStore, { ...makeMemoryStore(), snapshots: boom })
      const closed = Layer.effect(EventStore, Effect.never)
      const failing = Layer.effect(EventStore, Effect.fail(new Error("no such folder")))
      for (const [store, why] of [
        [dying, /checkpoint: no table/],
        [throwing, /snapshots: disk full/],
        [closed, /open: it took longer than 0\.1 s/],
        [failing, /open: no such folder/],
      ] as const)
        await assert.rejects(Presence.make({ store, storeWait: 0.1 }), why)
    },
  )

  it("PostgreSQL that is away is named with host, port and reason", { tags: ["LIB-8"] }, async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    await assert.rejects(
      Presence.make({ store: postgresStore(`postgres://x:secret@127.0.0.1:${port}/none`) }),
      (error: StoreFault) => {
        assert.equal(error._tag, "StoreFault")
        assert.match(error.message, new RegExp(`ECONNREFUSED.*127\\.0\\.0\\.1:${port}`))
        assert.doesNotMatch(error.message, /secret/)
        assert.ok(error.cause instanceof Error)
        return true
      },
    )
  })

  it(
    "PostgreSQL that takes the connection and says nothing is given up in time",
    { tags: ["LIB-8"] },
    async (context) => {
      const server = createServer(() => {})
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      context.onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      await assert.rejects(
        Presence.make({ store: postgresStore(`postgres://x:y@127.0.0.1:${port}/none`), storeWait: 0.3 }),
        /it took longer than 0\.3 s \(option storeWait\)/,
      )
    },
  )

  it("members that are none are named", { tags: ["LIB-8"] }, () => {
    for (const own of [
      null,
      5,
      {},
      { ...fine(), append: 5 },
      {
        ...fine(),
        get load() {
          return boom()
        },
      },
    ])
      assert.throws(() => storeOf(own as never), /^OptionsInvalid: storeOf: /)
  })
})

describe("a store that fails while it is used", { tags: ["LIB-8"] }, () => {
  const appends: readonly Broken[] = [
    ...anything.slice(0, 4),
    [
      "gives nothing",
      async () => undefined,
      /append: it answered undefined instead of \{ position, conflicts \}/,
    ],
    ["forgets conflicts", async () => ({ position: 1 }), /conflicts undefined instead of a Set/],
    ["gives conflicts as a list", async () => ({ position: 1, conflicts: [] }), /conflicts an array of 0/],
    [
      "gives position NaN",
      async () => ({ position: Number.NaN, conflicts: new Set() }),
      /instead of \{ position/,
    ],
    [
      "names conflicts of others",
      async () => ({ position: 1, conflicts: new Set(["sip:x@y"]) }),
      /a conflict of "sip:x@y"/,
    ],
    [
      "gives what throws when it is read",
      async () => ({
        get position() {
          return boom()
        },
      }),
      /what cannot be read: disk full/,
    ],
    silentAppend,
    [
      "is the promise of an effect that was interrupted",
      () => Effect.runPromise(Effect.interrupt),
      /append: it was interrupted before it had an answer/,
    ],
  ]

  it(
    "is told once, each request gets 503 with the reason, and it goes on when it is back",
    { tags: ["LIB-8"], timeout: 30_000 },
    async () => {
      await Promise.all(
        appends.map(async ([how, answer, why]) => {
          let isBroken = true
          const own = fine()
          const faults: PresenceFault[] = []
          // a clock that stands still is no reason to wait for ever
          const began = Date.now()
          const presence = await Presence.make({
            now: () => began,
            store: storeOf({
              ...own,
              append: (async (decisions: never) =>
                isBroken ? answer(decisions) : own.append(decisions)) as never,
              load: async (streams) => (isBroken ? boom() : own.load(streams)),
            }),
            onFault: (fault) => void faults.push(fault),
          })
          const asked = [1, 2, 3].map((n) =>
            presence.publish({ presentity: `sip:${n}@example.com`, body: open }).then(
              () => assert.fail(`${how}: it was granted`),
              (error: PresenceRefused) => error,
            ),
          )
          for (const { status, message, cause } of await Promise.all(asked)) {
            assert.equal(status, 503, how)
            assert.match(message, why, how)
            assert.equal((cause as StoreFault)._tag, "StoreFault", how)
          }
          const [fault, ...more] = faults
          assert.deepEqual([fault?._tag, more], ["StoreAway", []], how)
          // and while it is away
          const later = await presence
            .publish({ presentity: alice, body: open })
            .catch((error: PresenceRefused) => error)
          assert.ok(later instanceof Error && later.status === 503 && why.test(later.message), how)
          isBroken = false
          await holds("the store is back", () => faults.length === 2)
          assert.equal(faults[1]?._tag, "StoreBack", how)
          await presence.publish({ presentity: alice, body: open })
          await presence.close()
        }),
      )
    },
  )

  it("answers that come late, or twice, change nothing", { tags: ["LIB-8"] }, async () => {
    const own = fine()
    const late: (() => void)[] = []
    const presence = await Presence.make({
      store: storeOf({
        ...own,
        // resolves twice, and once more when nobody waits
        append: ((decisions: never) =>
          // oxlint-disable-next-line unicorn/no-thenable -- that is what is tried
          Object.defineProperty({}, "then", {
            value: (resolve: (answer: unknown) => void) =>
              void own.append(decisions).then((answer) => {
                resolve(answer)
                resolve(undefined)
                late.push(() => resolve(answer))
              }),
          })) as never,
      }),
    })
    const { entityTag } = await presence.publish({ presentity: alice, body: open })
    for (const again of late) again()
    await presence.publish({ presentity: alice, body: open, entityTag })
    assert.deepEqual(
      (await presence.history(alice)).map(({ version }) => version),
      [1, 2],
    )
    await presence.close()
  })

  it(
    "questions of history that are not answered, or with nonsense, reject in time",
    { tags: ["LIB-8"] },
    async () => {
      for (const [how, answer, why] of [
        ...anything,
        silent,
        ["gives another's", async () => rows({ stream: bob }), /of another stream/],
        [
          "gives versions that stand still",
          async () => [...(rows({}) as []), ...(rows({}) as [])],
          /out of order/,
        ],
      ] as readonly Broken[]) {
        const presence = await Presence.make({
          store: storeOf({ ...fine(), history: answer } as PromiseStore),
          storeWait: 0.2,
        })
        for (const asked of [
          presence.history(alice),
          presence.at(alice, 1),
          presence.seen(bob, alice),
          presence.why(alice, bob),
        ])
          await asked.then(
            () => assert.equal(how, "it was answered"),
            (error: Error) => assert.ok(error instanceof Error, `${how} ${String(why)}`),
          )
        await presence.close()
      }
    },
  )
})
