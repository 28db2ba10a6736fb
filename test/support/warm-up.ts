/**
 * A warm-up beside a store, as a server has it, for tests of what it leaves there.
 */
import { Effect } from "effect"
import { readConfig } from "../../src/app/config/config.ts"
import { packagesOf } from "../../src/app/config/packages.ts"
import { warmUp } from "../../src/app/node/warm-up.ts"
import type { EventStore } from "../../src/ports/event-store.ts"

/** Those of a server without settings. */
export const packages = packagesOf(readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {} }))

/** Runs until it has made so many appends; gives the conflicts of each. */
export const warmUpBeside = (store: EventStore["Service"], appendsMax: number) =>
  Effect.gen(function* () {
    const conflicts: (readonly string[])[] = []
    yield* warmUp({
      packages,
      millisMax: Number.POSITIVE_INFINITY,
      firstMillis: 40,
      firstDone: Effect.void,
      isOpen: () => false,
      isOver: () => conflicts.length >= appendsMax,
      database: () => ({
        ...store,
        append: (decisions) =>
          Effect.tap(store.append(decisions), (appended) =>
            Effect.sync(() => void conflicts.push([...appended.conflicts])),
          ),
      }),
    })
    return conflicts
  })
