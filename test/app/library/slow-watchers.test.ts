/**
 * Whoever takes its time: one newest state waits for it, what it was not told is counted, and nothing grows without bound.
 */
import assert from "node:assert/strict"
import { Effect, Layer, Stream } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { FellBehind, Presence, PresenceService, memoryStore } from "../../../src/app/index.ts"
import type { Notification, PresenceApi } from "../../../src/app/index.ts"
import { bodyInShort } from "../../support/ruled.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"

const shownIn = ({ body }: Notification): string => bodyInShort(body).replace(/=.*/, "")

/** Publishes documents one after the other, each stored before the next. */
const publisher = (presence: PresenceApi) => {
  let entityTag: string | undefined
  return async (id: string): Promise<void> => {
    const body = pidf(tuple(id, "open"))
    const published = await presence.publish({
      presentity: alice,
      body,
      ...(entityTag === undefined ? {} : { entityTag }),
    })
    entityTag = published.entityTag
    await presence.settle()
  }
}

const gate = () => {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { open, opened }
}

describe("a watcher that is slow", { tags: ["LIB-watch"] }, () => {
  it(
    "has done with a notification when its loop asks for the next; that shows the newest state and counts what was left out",
    { tags: ["LIB-watch", "LIB-8"] },
    async () => {
      const presence = await Presence.make()
      const publish = publisher(presence)
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      const seen: (readonly [string, number])[] = []
      const busy = gate()
      const reading = (async () => {
        for await (const notification of watch) {
          seen.push([shownIn(notification), notification.skipped])
          if (seen.length === 2) await busy.opened
        }
      })()
      for (const id of ["A", "B", "C", "D"]) await publish(id)
      assert.deepEqual(seen, [
        ["-", 0],
        ["A", 0],
      ])
      // it is still busy, so nobody says that it has answered
      const { items } = await presence.seen(bob, alice)
      assert.deepEqual(
        items.map(({ delivery }) => delivery),
        ["answered", "under way"],
      )
      busy.open()
      await presence.settle()
      await presence.settle()
      await publish("E")
      assert.deepEqual(seen.slice(2), [
        ["D", 2],
        ["E", 0],
      ])
      await presence.close()
      await reading
    },
  )

  it("has one waiting at most, whatever is asked again meanwhile", { tags: ["LIB-8"] }, async () => {
    const presence = await Presence.make()
    const publish = publisher(presence)
    const watch = await presence.watch({ presentity: alice, watcher: bob })
    for (let index = 0; index < 50; index++) await watch.refresh()
    await publish("A")
    await watch.refresh()
    await presence.settle()
    const items = watch[Symbol.asyncIterator]()
    const { value } = (await items.next()) as IteratorYieldResult<Notification>
    assert.deepEqual([shownIn(value), value.skipped >= 51], ["A", true])
    await watch.close()
    const last = (await items.next()) as IteratorYieldResult<Notification>
    assert.equal(last.value.state, "terminated")
    assert.equal((await items.next()).done, true)
    await presence.close()
  })

  it(
    "law: what it takes and what it is told was left out are all the changes there were",
    { tags: ["LIB-8"] },
    async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.oneof(
              { weight: 3, arbitrary: fc.constantFrom("A", "B", "C") },
              { weight: 2, arbitrary: fc.constant("take") },
            ),
            {
              maxLength: 30,
            },
          ),
          async (steps) => {
            const presence = await Presence.make()
            const publish = publisher(presence)
            const watch = await presence.watch({ presentity: alice, watcher: bob })
            const items = watch[Symbol.asyncIterator]()
            let [present, changes, counted] = ["", 0, 0]
            let waiting: Promise<IteratorResult<Notification>> | null = null
            let last = ""
            const take = async (): Promise<void> => {
              waiting ??= items.next()
              await presence.settle()
              const got = await Promise.race([
                waiting,
                new Promise<null>((resolve) => setImmediate(resolve, null)),
              ])
              if (got === null || got.done === true) return
              waiting = null
              last = shownIn(got.value)
              counted += got.value.skipped + 1
            }
            for (const step of steps) {
              if (step === "take") await take()
              else {
                if (step !== present) changes++
                present = step
                await publish(step)
              }
            }
            for (let index = 0; index < 4; index++) await take()
            if (present !== "") assert.equal(last, present)
            // the first tells that nothing is there; changes back to what was shown last need no word
            assert.ok(counted <= changes + 1 && counted >= 1, `${counted} of ${changes}`)
            await presence.close()
          },
        ),
        { numRuns: 40 },
      )
    },
  )

  it("the same as a stream of Effect", { tags: ["LIB-8"] }, async () => {
    const seen = await Effect.runPromise(
      Effect.gen(function* () {
        const presence = yield* PresenceService
        const taken: (readonly [string, number])[] = []
        let entityTag: string | undefined
        yield* presence.watch({ presentity: alice, watcher: bob }).pipe(
          Stream.take(2),
          Stream.runForEach((notification) =>
            Effect.gen(function* () {
              taken.push([shownIn(notification), notification.skipped])
              for (const id of taken.length === 1 ? ["A", "B", "C"] : []) {
                const body = pidf(tuple(id, "open"))
                const tag = entityTag === undefined ? {} : { entityTag }
                entityTag = (yield* presence.publish({ presentity: alice, body, ...tag })).entityTag
                yield* presence.settle
              }
            }),
          ),
        )
        const bad = yield* Effect.flip(presence.publish({ presentity: 5 as never }))
        return [taken, bad._tag] as const
      }).pipe(Effect.provide(Presence.layer().pipe(Layer.provide(memoryStore())))),
    )
    assert.deepEqual(seen, [
      [
        ["-", 0],
        ["C", 2],
      ],
      "PresenceRefused",
    ])
  })
})

describe("iterations", { tags: ["LIB-8"] }, () => {
  it(
    "every one ends at once when it begins after the close, and when the close comes",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make()
      const watch = await presence.watch({ presentity: alice, watcher: bob })
      const count = async (items: AsyncIterable<unknown>): Promise<number> => {
        let found = 0
        for await (const _ of items) found++
        return found
      }
      const before = [presence.notifications, presence.decisions, presence.feed(), watch].map(count)
      await presence.close()
      await Promise.all(before)
      assert.deepEqual(
        await Promise.all([presence.notifications, presence.decisions, presence.feed(), watch].map(count)),
        [0, 0, 0, 0],
      )
      await assert.rejects(presence.watch({ presentity: alice, watcher: bob }), /stopping/)
      await assert.rejects(presence.fetch({ presentity: alice, watcher: bob }), /stopping/)
      await presence.close()
      await presence.settle()
    },
  )

  it(
    "one that is slower than queueMax allows gives what it has, and then throws what it was",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make({ queueMax: 3 })
      const publish = publisher(presence)
      const slow = presence.decisions[Symbol.asyncIterator]()
      const all = presence.notifications[Symbol.asyncIterator]()
      const feed = presence.feed({ types: ["E_PRESENCE_EXPOSED"] })[Symbol.asyncIterator]()
      const first = feed.next()
      for (const id of ["A", "B", "C", "D", "E"]) await publish(id)
      for (let index = 0; index < 3; index++) assert.equal((await slow.next()).done, false)
      await assert.rejects(
        slow.next(),
        (error: Error) => error instanceof FellBehind && /decisions: more than 3/.test(error.message),
      )
      assert.equal((await slow.next()).done, true)
      // nobody has put anything there
      await all.return?.()
      for (let index = 0; index < 30; index++) await presence.expose("presence")
      assert.equal((await first).done, false)
      await assert.rejects(
        (async () => {
          for (;;) if ((await feed.next()).done === true) return
        })(),
        /feed: more than 3/,
      )
      await presence.close()
    },
  )

  it("await using closes what was made, and what is watched", { tags: ["LIB-8"] }, async () => {
    const ended: string[] = []
    {
      await using presence = await Presence.make()
      await using watch = await presence.watch({ presentity: alice, watcher: bob, expires: 60 })
      assert.equal(watch.expires, 60)
      void (async () => {
        for await (const { state } of watch) ended.push(state)
      })()
      await presence.settle()
    }
    assert.deepEqual(ended, ["active", "terminated"])
  })

  it("watch and refresh say what was granted", { tags: ["LIB-8"] }, async () => {
    const presence = await Presence.make({ limits: { maxExpiresSubscribe: 3600 } })
    const watch = await presence.watch({ presentity: alice, watcher: bob, expires: 7200 })
    assert.deepEqual([watch.expires, await watch.refresh(7200), await watch.refresh(60)], [3600, 3600, 60])
    assert.equal((await presence.watch({ presentity: alice, watcher: bob })).expires, 3600)
    await presence.close()
  })
})
