/**
 * What every event store promises: one suite for all implementations.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { EventStore } from "../../../src/ports/event-store.ts"
import type { Decision, Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { freeze } from "../../../src/domain/presentity/snapshot.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"

type Store = EventStore["Service"]

let names = 0
/** A stream that no other test has seen. */
export const freshStream = (): Uri => `sip:stream-${process.pid}-${++names}@example.com` as Uri

/** The `version`th decision of a stream: a publication that is created, and then modified again and again. */
export const decisionOf = (stream: Uri, version: number, extra: Partial<Decision> = {}): Decision => {
  const body = {
    contentType: "application/pidf+xml",
    text: `<version n="${version}">naïve ☎ \u{1f4de}</version>`,
  }
  const shared = { packageName: "presence", expiresAt: 1_800_000_000_000 + version, body, sender: null }
  const entityTag = `${stream}-${version}` as EntityTag
  const event: Event =
    version === 1
      ? { _tag: "PublicationCreated", entityTag, ...shared }
      : {
          _tag: "PublicationModified",
          entityTag,
          supersedes: `${stream}-${version - 1}` as EntityTag,
          ...shared,
        }
  return {
    stream,
    version,
    at: 1_770_000_000_123 + version * 1001,
    cause: "Publish",
    origin: "udp:192.0.2.1:5060 call 1",
    nonce: `nonce-${stream}-${version}`,
    events: [event],
    ...extra,
  }
}

const chain = (stream: Uri, from: number, to: number): readonly Decision[] =>
  Array.from({ length: to - from + 1 }, (_, index) => decisionOf(stream, from + index))

const stateAfter = (stream: Uri, version: number): State =>
  chain(stream, 1, version).reduce((state, one) => fold(state, one), initial(stream))

export const eventStoreContract = (
  name: string,
  withStore: <A>(use: (store: Store) => Promise<A>) => Promise<A>,
) => {
  const run = <A, E>(use: (store: Store) => Effect.Effect<A, E>) =>
    withStore((store) => Effect.runPromise(use(store)))
  const sameState = (one: State | undefined, other: State | null): void =>
    assert.deepStrictEqual(one === undefined ? null : freeze(one), other === null ? null : freeze(other))

  describe(`event store contract: ${name}`, () => {
    it("what is appended is loaded, byte for byte and in order", () =>
      run((store) =>
        Effect.gen(function* () {
          const stream = freshStream()
          const appended = yield* store.append(chain(stream, 1, 3))
          assert.strictEqual(appended.conflicts.size, 0)
          const history = yield* store.history(stream, 0, 10)
          assert.deepStrictEqual(
            history.map((one) => one.decision),
            chain(stream, 1, 3),
          )
          assert.strictEqual(history.at(-1)?.position, appended.position)
          const [state] = yield* store.load([stream])
          sameState(state, stateAfter(stream, 3))
        }),
      ))

    it("a stream never seen is empty at version 0, and streams come in the order asked", () =>
      run((store) =>
        Effect.gen(function* () {
          const [one, other, never] = [freshStream(), freshStream(), freshStream()]
          yield* store.append([decisionOf(one, 1), decisionOf(other, 1), decisionOf(one, 2)])
          const states = yield* store.load([never, other, one])
          assert.deepStrictEqual(
            states.map((state) => [state.presentity, state.version]),
            [
              [never, 0],
              [other, 1],
              [one, 2],
            ],
          )
        }),
      ))

    it("an append at the wrong version stores nothing of that stream and all of the others", () =>
      run((store) =>
        Effect.gen(function* () {
          const [moved, fine] = [freshStream(), freshStream()]
          yield* store.append(chain(moved, 1, 2))
          const stale = decisionOf(moved, 2, { nonce: "another writer" })
          const { conflicts } = yield* store.append([stale, decisionOf(fine, 1), decisionOf(moved, 3)])
          assert.deepStrictEqual([...conflicts], [moved])
          const ahead = yield* store.append([decisionOf(moved, 5)])
          assert.deepStrictEqual([...ahead.conflicts], [moved])
          const skipped = yield* store.append([decisionOf(freshStream(), 2)])
          assert.strictEqual(skipped.conflicts.size, 1)
          const states = yield* store.load([moved, fine])
          assert.deepStrictEqual(
            states.map((state) => state.version),
            [2, 1],
          )
        }),
      ))

    it(
      "an append repeated after a doubtful outcome is stored once and counts as stored",
      { tags: ["3903-6-c"] },
      () =>
        run((store) =>
          Effect.gen(function* () {
            const [one, other] = [freshStream(), freshStream()]
            const batch = [...chain(one, 1, 3), decisionOf(other, 1)]
            const first = yield* store.append(batch)
            const again = yield* store.append(batch)
            assert.strictEqual(again.conflicts.size, 0)
            assert.isAtLeast(again.position, first.position)
            const history = yield* store.history(one, 0, 10)
            assert.strictEqual(history.length, 3)
          }),
        ),
    )

    it("of many appends at one version exactly one wins", { tags: ["3903-6-g"] }, () =>
      run((store) =>
        Effect.gen(function* () {
          const stream = freshStream()
          yield* store.append([decisionOf(stream, 1)])
          const racing = Array.from({ length: 8 }, (_, index) =>
            store.append([decisionOf(stream, 2, { nonce: `racer-${index}` })]),
          )
          const results = yield* Effect.all(racing, { concurrency: "unbounded" })
          assert.strictEqual(results.filter(({ conflicts }) => conflicts.size === 0).length, 1)
          const [state] = yield* store.load([stream])
          assert.strictEqual(state?.version, 2)
        }),
      ),
    )

    it("reading in pages sees every decision once, in one order, each stream in version order", () =>
      run((store) =>
        Effect.gen(function* () {
          const [start] = (yield* store.append([decisionOf(freshStream(), 1)])) && [yield* endOf(store)]
          const streams = Array.from({ length: 20 }, freshStream)
          const writers = streams.map((stream) =>
            Effect.forEach([1, 2, 3], (version) => store.append([decisionOf(stream, version)])),
          )
          yield* Effect.all(writers, { concurrency: "unbounded" })
          const seen: Decision[] = []
          let after = start ?? 0
          for (;;) {
            const page = yield* store.read(after, 7)
            for (const one of page) {
              assert.isAbove(one.position, after)
              after = one.position
              seen.push(one.decision)
            }
            if (page.length < 7) break
          }
          for (const stream of streams) {
            const versions = seen.filter((one) => one.stream === stream).map((one) => one.version)
            assert.deepStrictEqual(versions, [1, 2, 3])
          }
          assert.strictEqual(seen.length, 60)
        }),
      ))

    it("a snapshot only saves folding, and an older one never replaces a newer", { tags: ["L04"] }, () =>
      run((store) =>
        Effect.gen(function* () {
          const stream = freshStream()
          yield* store.append(chain(stream, 1, 4))
          yield* store.saveSnapshots([stateAfter(stream, 3)])
          yield* store.saveSnapshots([stateAfter(stream, 2)])
          const [state] = yield* store.load([stream])
          sameState(state, stateAfter(stream, 4))
          const saved = yield* store.snapshots("", 10_000)
          sameState(
            saved.find((one) => one.presentity === stream),
            stateAfter(stream, 3),
          )
        }),
      ),
    )

    it("a presentity with nothing alive keeps its version and is no longer listed", () =>
      run((store) =>
        Effect.gen(function* () {
          const stream = freshStream()
          const removed: Event = {
            _tag: "PublicationRemoved",
            packageName: "presence",
            entityTag: `${stream}-1` as EntityTag,
            cause: "requested",
          }
          const gone = decisionOf(stream, 2, { events: [removed] })
          yield* store.append([decisionOf(stream, 1), gone])
          yield* store.saveSnapshots([stateAfter(stream, 1)])
          yield* store.saveSnapshots([fold(stateAfter(stream, 1), gone)])
          const [state] = yield* store.load([stream])
          assert.strictEqual(state?.version, 2)
          const saved = yield* store.snapshots("", 10_000)
          assert.isFalse(saved.some((one) => one.presentity === stream))
          const next = yield* store.append([decisionOf(stream, 3)])
          assert.strictEqual(next.conflicts.size, 0)
        }),
      ))

    it("snapshots come in pages, each once", () =>
      run((store) =>
        Effect.gen(function* () {
          const streams = Array.from({ length: 5 }, freshStream).sort()
          yield* store.append(streams.map((stream) => decisionOf(stream, 1)))
          yield* store.saveSnapshots(streams.map((stream) => stateAfter(stream, 1)))
          const seen: Uri[] = []
          for (let after = ""; ;) {
            const page = yield* store.snapshots(after, 2)
            seen.push(...page.map((one) => one.presentity))
            if (page.length < 2) break
            after = page.at(-1)!.presentity
          }
          assert.deepStrictEqual(seen.filter((one) => streams.includes(one)).sort(), streams)
        }),
      ))

    it("landmarks are found by version and by instant, the newest that fits, whole", { tags: ["L04"] }, () =>
      run((store) =>
        Effect.gen(function* () {
          const [stream, other] = [freshStream(), freshStream()]
          yield* store.append([...chain(stream, 1, 9), decisionOf(other, 1)])
          const marks = [3, 6, 9].map((version) => stateAfter(stream, version))
          yield* store.saveLandmarks(marks.toReversed())
          yield* store.saveLandmarks(marks.slice(1, 2))
          for (const [version, expected] of [
            [2, null],
            [3, 3],
            [5, 3],
            [8, 6],
            [9, 9],
            [700, 9],
          ] as const) {
            const found = yield* store.landmarkBefore(stream, version)
            sameState(found ?? undefined, expected === null ? null : stateAfter(stream, expected))
            const { at } = decisionOf(stream, version)
            const then = yield* store.landmarkAt(stream, at)
            sameState(then ?? undefined, expected === null ? null : stateAfter(stream, expected))
            const before = yield* store.landmarkAt(stream, at - 1)
            assert.isBelow(before?.version ?? 0, version)
          }
          assert.deepStrictEqual(
            (yield* store.landmarksBack(stream, 9, 10)).map((one) => one.version),
            [6, 3],
          )
          assert.deepStrictEqual(
            (yield* store.landmarksBack(stream, 10, 2)).map((one) => one.version),
            [9, 6],
          )
          for (const none of [other, freshStream()]) {
            assert.isNull(yield* store.landmarkAt(none, Number.MAX_SAFE_INTEGER / 1000))
            assert.isNull(yield* store.landmarkBefore(none, 500))
            assert.deepStrictEqual(yield* store.landmarksBack(none, 500, 5), [])
          }
        }),
      ),
    )

    it("a landmark with nothing alive says what it was, not only its version", () =>
      run((store) =>
        Effect.gen(function* () {
          const stream = freshStream()
          const event: Event = { _tag: "RemoteTargetChanged", dialog: 1, remoteTarget: "sip:nobody" }
          const decisions = [1, 2].map((version) => decisionOf(stream, version, { events: [event] }))
          yield* store.append(decisions)
          const state = decisions.reduce((so, one) => fold(so, one), initial(stream))
          yield* store.saveLandmarks([state])
          const found = yield* store.landmarkBefore(stream, 2)
          assert.isAbove(found?.decidedAt ?? 0, 0)
          sameState(found ?? undefined, state)
        }),
      ))

    it("history backwards is history, turned round", () =>
      run((store) =>
        Effect.gen(function* () {
          const stream = freshStream()
          yield* store.append([...chain(stream, 1, 7), decisionOf(freshStream(), 1)])
          const forward = yield* store.history(stream, 0, 10)
          for (const before of [1, 2, 5, 8, 100]) {
            for (const max of [1, 3, 100]) {
              const expected = forward.filter((one) => one.decision.version < before).toReversed()
              assert.deepStrictEqual(yield* store.historyBack(stream, before, max), expected.slice(0, max))
            }
          }
          assert.deepStrictEqual(yield* store.historyBack(freshStream(), 8, 100), [])
        }),
      ))

    it("a checkpoint is what was saved last", () =>
      run((store) =>
        Effect.gen(function* () {
          yield* store.saveCheckpoint("delivery", { position: 4, at: 1_770_000_000_001 })
          yield* store.saveCheckpoint("delivery", { position: 9, at: 1_770_000_000_002 })
          assert.deepStrictEqual(yield* store.checkpoint("delivery"), { position: 9, at: 1_770_000_000_002 })
        }),
      ))
  })
}

const endOf = (store: Store) =>
  Effect.gen(function* () {
    let after = 0
    for (;;) {
      const page = yield* store.read(after, 1000)
      if (page.length === 0) return after
      after = page.at(-1)!.position
    }
  })
