/**
 * A running server erases a person from its own store: watchers are told, and requests wait while name and key are taken away.
 */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Effect } from "effect"
import { makeErasing } from "../../adapters/store/erasing.ts"
import { standIn } from "../../adapters/store/sealed.ts"
import type { TableNames } from "../../adapters/store/tables.ts"
import { speaksOf } from "../../domain/presentity/erase.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Projector } from "../projector.ts"
import type { Pump } from "../pump.ts"
import { recordFact } from "../retention/compact.ts"
import { requireErasable } from "./erasable.ts"
import { EraseRefused } from "./erase-refused.ts"
import { mentionsOf } from "./mentions.ts"
import { clean, end, forget, nameless, tablesUnwritten } from "./steps.ts"
import type { Erased } from "./steps.ts"

/** What a server lends to it. */
export interface EraserParts {
  readonly sql: PgClient.PgClient
  readonly names: TableNames
  readonly pump: Pick<Pump, "ask" | "engine" | "pausedFor">
  readonly projector: Pick<Projector, "flush" | "lag">
}

/** @param by for the log: `management port 127.0.0.1 ada` */
export const makeEraser = ({ sql, names, pump, projector }: EraserParts) => {
  const erasing = makeErasing(sql)
  return Effect.fn("Erase.eraseLive")(function* (person: Uri, by: string) {
    const now = yield* Clock.currentTimeMillis
    yield* requireErasable(sql, names, erasing, person)
    if ((yield* erasing.servers) > 0) {
      return yield* new EraseRefused({
        why: "another server is at work on this database and has keys in its memory: stop it first",
      })
    }
    const mentions = yield* mentionsOf(sql, person)
    const key = yield* nameless(erasing, person)
    yield* recordFact(sql, { _tag: "PersonErased", standIn: standIn(key.id) }, now, "Erase", by)
    const isConcerned = (stream: Uri): boolean => {
      const state = pump.engine.state(stream)
      return state !== undefined && speaksOf(state, person)
    }
    let told = 0
    for (const stream of [...pump.engine.presentities()].filter(isConcerned)) {
      const answer = yield* pump.ask(stream, { _tag: "Erase", person, silent: false }, by)
      if (answer._tag === "Rejected") {
        return yield* new EraseRefused({ why: `${stream} could not be decided on: try again` })
      }
      told++
    }
    let ended = 0
    yield* pump.pausedFor(
      Effect.gen(function* () {
        yield* projector.flush
        if (projector.lag().decisions > 0) return yield* new EraseRefused({ why: tablesUnwritten })
        // what came in between
        const at = yield* Clock.currentTimeMillis
        ended = yield* end(sql, names, erasing, person, at, by, pump.engine.oldestInFlight)
        const concerned = [...pump.engine.presentities()].filter(isConcerned)
        yield* forget(sql, erasing, key)
        return [...concerned, person]
      }),
    )
    const left = yield* clean(sql, names)
    const erased: Erased = { standIn: standIn(key.id), ended: Math.max(told, ended), ...mentions, left }
    return erased
  })
}
