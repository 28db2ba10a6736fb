/**
 * The tables beside a simulation: the real projector, informed by the real front of the log.
 */
import { deepStrictEqual } from "node:assert/strict"
import { Context, Effect } from "effect"
import { makeMemoryStore } from "../../src/adapters/store/memory.ts"
import type { MemoryLog } from "../../src/adapters/store/memory.ts"
import { storedOf } from "../../src/app/history/stored.ts"
import { foldTail } from "../../src/app/node/fold-tail.ts"
import { makeFront } from "../../src/app/node/log-front.ts"
import { makeProjector } from "../../src/app/node/projector.ts"
import type { Follower } from "../../src/app/testing/simulator.ts"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import { isEmpty } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { EventStore } from "../../src/ports/event-store.ts"
import { PresenceTables } from "../../src/ports/presence-tables.ts"
import { makeMemoryTables, rowsNamed } from "./memory-tables.ts"

export const followed = (log: MemoryLog): Follower => {
  const store = makeMemoryStore(log)
  const tables = makeMemoryTables()
  const services = Context.make(EventStore, store).pipe(Context.add(PresenceTables, tables.service))
  const begin = () => {
    const front = makeFront({
      read: store.read,
      found: ({ decision }) =>
        Effect.gen(function* () {
          const stored = yield* storedOf(store, decision)
          const [present] = yield* store.load([decision.stream])
          projector.note([stored], present)
        }),
      seen: () => {},
      isUnderWay: () => false,
      moved: () => {},
      run: (effect) => Effect.runSync(effect),
    })
    const projector = Effect.runSync(
      makeProjector(
        { periodSeconds: 0, decisionsMax: Number.POSITIVE_INFINITY },
        { committed: front.last, oldestInFlight: () => null },
      ).pipe(Effect.provideContext(services)),
    )
    const { position, at } = Effect.runSync(
      foldTail((stored) => projector.note([stored])).pipe(Effect.provideContext(services)),
    )
    front.begin(position, at)
    return { front, projector }
  }
  let now = begin()
  return {
    stored: (stored, position) => {
      now.projector.note(stored)
      now.front.passed(
        stored.map(({ decision }) => decision),
        position,
      )
    },
    // nobody states how far they are: the log does
    late: () => Effect.runSync(Effect.orDie(now.front.catchUp)),
    restarted: () => {
      now = begin()
    },
    quiet: (states) => {
      Effect.runSync(Effect.orDie(now.front.catchUp))
      Effect.runSync(now.projector.flush)
      const all = [...states]
      deepStrictEqual(tables.rows(), rowsNamed(all), "the tables are not what the log says")
      const frozen = (compared: readonly State[]) =>
        compared.map(freeze).sort((left, right) => (left.presentity < right.presentity ? -1 : 1))
      const alive = all.filter((state) => !isEmpty(state))
      const saved = Effect.runSync(Effect.orDie(store.snapshots("", 1000)))
      deepStrictEqual(frozen(saved), frozen(alive), "the snapshots are not what the log says")
    },
  }
}
