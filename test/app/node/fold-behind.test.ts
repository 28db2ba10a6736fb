/**
 * A start after a checkpoint went further than snapshots did: what another server that wrote to the same log once left.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { foldTail } from "../../../src/app/node/fold-tail.ts"
import { decisionOf } from "../../../src/app/testing/store-samples.ts"
import type { Decision } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { freeze } from "../../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore } from "../../../src/ports/event-store.ts"

const streams = ["sip:a@example.com", "sip:b@example.com", "sip:c@example.com"] as unknown as readonly Uri[]

/** A log of whole lives: what was published is removed again now and then. */
const decide = (before: State, removes: boolean): Decision => {
  const { presentity, version } = before
  if (removes && !isEmpty(before)) {
    return decisionOf(presentity, version + 1, {
      events: [
        {
          _tag: "PublicationRemoved",
          packageName: "presence",
          entityTag: `${presentity}-${version}` as EntityTag,
          cause: "requested",
        },
      ],
    })
  }
  const next = decisionOf(presentity, version + 1)
  const created = decisionOf(presentity, 1).events[0]!
  return isEmpty(before)
    ? { ...next, events: [{ ...created, entityTag: `${presentity}-${version + 1}` as EntityTag } as never] }
    : next
}

describe("a start", () => {
  it(
    "finds all that the log says, whatever snapshots and the checkpoint say, and tells each decision once and in order",
    { tags: ["L04", "OPS-writer"] },
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(2), fc.boolean()), { minLength: 1, maxLength: 30 }),
          fc.array(fc.nat(40), { minLength: 3, maxLength: 3 }),
          fc.nat(35),
          // whoever wants to be told of what the snapshots have begins to read earlier, or later
          fc.option(fc.nat(35)),
          async (steps, saved, checkpoint, from) => {
            const store = makeMemoryStore()
            const states = new Map<Uri, State>(streams.map((one) => [one, initial(one)]))
            const known = new Map<string, State>()
            const positions = new Map<string, number>()
            for (const [index, [which, removes]] of steps.entries()) {
              const before = states.get(streams[which]!)!
              const decision = decide(before, removes)
              const after = fold(before, decision)
              states.set(before.presentity, after)
              known.set(`${before.presentity} ${after.version}`, after)
              positions.set(`${before.presentity} ${after.version}`, index + 1)
              await Effect.runPromise(store.append([decision]))
            }
            // each snapshot at any version up to the newest, or none
            const snapshots = streams.map((one, index) => saved[index]! % (states.get(one)!.version + 1))
            await Effect.runPromise(
              store.saveSnapshots(
                streams.flatMap((one, index) => known.get(`${one} ${snapshots[index]!}`) ?? []),
              ),
            )
            const position = Math.min(checkpoint, steps.length)
            await Effect.runPromise(store.saveCheckpoint("tables", { position, at: 1 }))
            const told: string[] = []
            const found = await Effect.runPromise(
              foldTail(
                ({ decision, before }) => {
                  assert.equal(before.version, decision.version - 1)
                  told.push(`${decision.stream} ${decision.version}`)
                },
                from === null ? undefined : { from, read: () => {} },
              ).pipe(Effect.provideService(EventStore, store)),
            )
            assert.equal(found.position, steps.length)
            for (const [index, one] of streams.entries()) {
              const expected = states.get(one)!
              const state = found.states.get(one) ?? { ...initial(one), version: expected.version }
              // when it was decided on last is forgotten with the rest
              const decidedAt = isEmpty(expected) ? 0 : expected.decidedAt
              assert.deepEqual(freeze({ ...state, decidedAt }), freeze({ ...expected, decidedAt }))
              const snapshot = known.get(`${one} ${snapshots[index]!}`)
              // a start does not read that there was nothing, and may be told so once more
              const isLooked = snapshot !== undefined && !isEmpty(snapshot)
              const versions = Array.from({ length: expected.version }, (_, n) => `${one} ${n + 1}`).filter(
                (each, n) => n + 1 > snapshots[index]! || (!isLooked && positions.get(each)! > position),
              )
              assert.deepEqual(
                told.filter((each) => each.startsWith(`${one} `)),
                versions,
              )
            }
          },
        ),
      ),
  )
})
