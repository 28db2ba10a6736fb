/**
 * Erases a person from the store of the running server: watchers are notified, and requests wait while name and key are removed.
 */
import { Clock, Effect } from "effect"
import { pseudonym } from "../../adapters/store/encryption/encrypted-decision.ts"
import { erase, mentionsPerson } from "../../domain/presentity/erase.ts"
import type { State } from "../../domain/presentity/state.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import type { Projector } from "../node/projector.ts"
import type { Pump } from "../node/pump.ts"
import { recordFact } from "../retention/compact.ts"
import { remainsOf, requireErasable } from "./erasable.ts"
import { EraseRefused } from "./erase-refused.ts"
import {
  scrubStorage,
  terminateAll,
  shredKey,
  removeIdentity,
  renewLandmarks,
  tablesUnwritten,
} from "./erasure-steps.ts"
import type { Erased } from "./erasure-steps.ts"
import { mentionsOf } from "./mentions.ts"

/** What the server provides for it. */
export interface EraserParts {
  readonly log: LogAdmin["Service"]
  readonly pump: Pick<Pump, "ask" | "engine" | "pausedFor">
  readonly projector: Pick<Projector, "flush" | "lag">
}

/** Decided together, as requests are. */
const askedAtOnce = 500

/** @param eraser for the log: `management port 127.0.0.1 ada` */
export const makeEraser = ({ log, pump, projector }: EraserParts) => {
  const { erasure } = log
  return Effect.fn("Erase.eraseLive")(function* (person: Uri, eraser: string) {
    const now = yield* Clock.currentTimeMillis
    yield* requireErasable(log, person)
    if ((yield* erasure.servers) > 0) {
      return yield* new EraseRefused({
        why: "another server is at work on this database and has keys in its memory: stop it first",
      })
    }
    const mentions = yield* mentionsOf(erasure, person)
    const remains = yield* remainsOf(erasure, person)
    const key = yield* removeIdentity(erasure, person)
    yield* recordFact(log, { _tag: "PersonErased", standIn: pseudonym(key.id) }, now, "Erase", eraser)
    const states = (): readonly State[] =>
      [...pump.engine.presentities()].flatMap((stream) => pump.engine.state(stream) ?? [])
    const command = { _tag: "Erase", person, silent: false } as const
    const alive = states().filter((state) => erase(state, command).events.length > 0)
    yield* Effect.forEach(
      alive,
      ({ presentity }) =>
        Effect.filterOrFail(
          pump.ask(presentity, command, eraser),
          ({ _tag }) => _tag === "Accepted",
          () => new EraseRefused({ why: `${presentity} could not be decided on: try again` }),
        ),
      { concurrency: askedAtOnce, discard: true },
    )
    let ended = 0
    let unsure: Effect.Success<ReturnType<typeof shredKey>> = []
    yield* pump.pausedFor(
      Effect.gen(function* () {
        yield* projector.flush
        if (projector.lag().decisions > 0) return yield* new EraseRefused({ why: tablesUnwritten })
        // what was decided meanwhile
        const at = yield* Clock.currentTimeMillis
        ended = yield* terminateAll(log, person, {
          now: at,
          by: eraser,
          oldestInFlight: pump.engine.oldestInFlight,
        })
        const concerned = states().filter((state) => mentionsPerson(state, person))
        unsure = yield* shredKey(log, key)
        return [...concerned.map(({ presentity }) => presentity), person]
      }),
    )
    yield* renewLandmarks(log, unsure)
    const left = yield* scrubStorage(log)
    const erased: Erased = {
      standIn: pseudonym(key.id),
      ended: Math.max(alive.length, ended),
      ...mentions,
      remains,
      left,
    }
    return erased
  })
}
