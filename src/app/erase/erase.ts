/**
 * Erases a person: ends what lives, stores the fact that somebody is erased, takes away key, name and everything that is not
 * encrypted, and makes the bytes go.
 *
 * Cut off anywhere, it can be begun again under the same URI. Once the name is gone nobody is found under it, and the last step is
 * made again all the same.
 */
import type { PgClient } from "@effect/sql-pg"
import { Clock, Context, Data, Effect } from "effect"
import { makeAudit } from "../../adapters/store/audit.ts"
import { decodeRow } from "../../adapters/store/codec.ts"
import { makeErasing } from "../../adapters/store/erasing.ts"
import type { Erasing } from "../../adapters/store/erasing.ts"
import { isPersonalOrigin, touchEvent, touchSnapshot } from "../../adapters/store/personal.ts"
import { makePostgresStore } from "../../adapters/store/postgres.ts"
import { purge } from "../../adapters/store/purge.ts"
import { coverOf, newPersonKey, standIn } from "../../adapters/store/sealed.ts"
import type { PersonKey } from "../../adapters/store/sealed.ts"
import { exclusively, makePresenceTables } from "../../adapters/store/tables.ts"
import type { TableNames } from "../../adapters/store/tables.ts"
import type { Stored } from "../../domain/engine/engine.ts"
import { EventStore, PresenceTables } from "../../domain/ports.ts"
import { erase as erasure, speaksOf } from "../../domain/presentity/erase.ts"
import type { Event } from "../../domain/presentity/events.ts"
import { fold } from "../../domain/presentity/evolve.ts"
import { retentionStream } from "../../domain/presentity/retention.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import { makeProjector } from "../projector.ts"
import type { Projector } from "../projector.ts"
import { freshNonce } from "../pump.ts"
import type { Pump } from "../pump.ts"
import { recordFact } from "../retention/compact.ts"
import { verifyTables } from "../tables/verify.ts"

/** Nobody was erased. */
export class EraseRefused extends Data.TaggedError("EraseRefused")<{ readonly why: string }> {
  readonly exitCode = 1
  override get message(): string {
    return `nobody was erased: ${this.why}`
  }
}

export interface Erased {
  /** What the person is called from now on. */
  readonly standIn: Uri
  /** Streams in which something of the person was alive, and was ended. */
  readonly ended: number
  /** Documents of others that name the person, and stay; the first `mentionsMax`. */
  readonly mentions: readonly { readonly stream: Uri; readonly version: number }[]
  readonly mentionsLeft: number
  /** What could not be made to go from the files, one line each. */
  readonly left: readonly string[]
}

const mentionsMax = 1000

/**
 * From a store that no server is at work on; nobody is told.
 *
 * @param by for the log: `erase ada`
 */
export const erase = Effect.fn("Erase.erase")(function* (
  sql: PgClient.PgClient,
  names: TableNames,
  person: Uri,
  now: Millis,
  by: string,
) {
  const erasing = makeErasing(sql)
  yield* requireErasable(sql, names, erasing, person)
  yield* requireStopped(sql, erasing)
  const mentions = yield* mentionsOf(sql, person)
  const key = yield* nameless(erasing, person)
  yield* recordFact(sql, { _tag: "PersonErased", standIn: standIn(key.id) }, now, "Erase", by)
  const ended = yield* end(sql, names, erasing, person, now, by, () => null)
  yield* forget(sql, erasing, key)
  const left = yield* clean(sql, names)
  const erased: Erased = { standIn: standIn(key.id), ended, ...mentions, left }
  return erased
})

/** What a server lends to it. */
export interface EraserParts {
  readonly sql: PgClient.PgClient
  readonly names: TableNames
  readonly pump: Pick<Pump, "ask" | "engine" | "pausedFor">
  readonly projector: Pick<Projector, "flush" | "lag">
}

/**
 * From the store of the server that this runs in: watchers are told, and requests wait while the name and the key are taken away.
 *
 * @param by for the log: `admin ada`
 */
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

const tablesUnwritten = "the tables could not be written: try again"

/** The key of a person, also of one that has none. */
const nameless = (erasing: Erasing, person: Uri) =>
  Effect.map(erasing.keyOf(person), (key) => key ?? newPersonKey(person))

/** Takes away name and key, and what stands in clear beside the log. */
const forget = (sql: PgClient.PgClient, erasing: Erasing, key: PersonKey) => {
  const person = key.person as Uri
  return exclusively(
    sql,
    Effect.gen(function* () {
      yield* erasing.dropLandmarks(person)
      for (const one of yield* erasing.saved(person)) {
        yield* erasing.put({ ...one, state: touchSnapshot(one.state, person, coverOf(key)) })
      }
      yield* erasing.forget(person, standIn(key.id))
    }),
  )
}

/** @returns what could not be made to go, one line each */
const clean = Effect.fnUntraced(function* (sql: PgClient.PgClient, names: TableNames) {
  // what was folded with the name in it is folded anew, without
  yield* verifyTables(sql, names, { fromStart: true, repair: true })
  const small = ["streams", "snapshots", "landmarks", "person_keys", "webhooks", "webhook_dead_letters"]
  return yield* purge(sql, [...small, ...Object.values(names)])
})

const requireErasable = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  names: TableNames,
  erasing: Erasing,
  person: Uri,
) {
  if (person.startsWith("presently:") || /^sip:erased-[0-9a-f]{12}@erased\.invalid$/.test(person)) {
    return yield* new EraseRefused({ why: `${person} is no person` })
  }
  if (!(yield* erasing.isKnown(person))) {
    const [retention] = yield* makePostgresStore(sql).load([retentionStream])
    if (retention?.retained?.erased !== undefined) yield* clean(sql, names)
    return yield* new EraseRefused({ why: `the log knows nobody called ${person}` })
  }
  let count = 0
  let newest = 0n
  for (let after = 0n; ;) {
    const page = yield* erasing.clearRows(person, after)
    if (page.length === 0) break
    for (const row of page) {
      if (!isAbout(row, person)) continue
      count++
      newest = row.position
    }
    after = page.at(-1)!.position
  }
  if (count > 0) {
    return yield* new EraseRefused({
      why:
        `${count} decisions up to position ${newest} hold ${person} in clear, from when erasable was off; they are part of what ` +
        "the chain proves and cannot be changed: drop them first with presently compact --set retention=DAYS",
    })
  }
})

/** What lives is looked for in snapshots: they must know all of it. */
const requireStopped = Effect.fnUntraced(function* (sql: PgClient.PgClient, erasing: Erasing) {
  if ((yield* erasing.servers) > 0) {
    return yield* new EraseRefused({
      why: "a server is at work on this database: ask it, with --admin HOST:PORT, or stop it first",
    })
  }
  const audit = makeAudit(sql)
  const { tables, last } = yield* audit.positions
  for (let after = tables; after < last;) {
    const page = yield* audit.decisions(after, last)
    if (page.some(({ stream }) => stream !== retentionStream)) {
      return yield* new EraseRefused({
        why: "the tables are behind the log: start the server once, and stop it again",
      })
    }
    after = page.at(-1)?.position ?? last
  }
})

/** Whether a decision that is not encrypted says something personal of somebody. */
const isAbout = (
  { stream, origin, events }: { readonly stream: string; readonly origin: string; readonly events: unknown },
  person: Uri,
): boolean => {
  const isOwn = stream === person
  let found = isOwn && isPersonalOrigin(origin)
  const own = <A>(value: A): A => {
    found ||= isOwn
    return value
  }
  const theirs = (text: string, watcher: Uri | null): string => {
    found ||= watcher === person
    return text
  }
  const watcher = (uri: Uri): Uri => theirs(uri, uri) as Uri
  const touch = { body: own, header: own, own, watcher, theirs, address: theirs }
  for (const event of decodeRow({ origin, events }, () => undefined).events) touchEvent(event, touch)
  return found
}

/** Documents of others that name the person. O(the log). */
const mentionsOf = Effect.fnUntraced(function* (sql: PgClient.PgClient, person: Uri) {
  const audit = makeAudit(sql)
  const { last } = yield* audit.positions
  const found: { readonly stream: Uri; readonly version: number }[] = []
  let left = 0
  for (let after = 0; after < last;) {
    const page = yield* audit.decisions(after, last)
    if (page.length === 0) break
    for (const { stream, version, events } of page) {
      if (stream === person || typeof events === "string") continue
      if (!events.some((event) => documentIn(event).includes(person))) continue
      if (found.length < mentionsMax) found.push({ stream, version })
      else left++
    }
    after = page.at(-1)!.position
  }
  return { mentions: found, mentionsLeft: left }
})

const documentIn = (event: Event): string => {
  const headers = "headers" in event ? (event.headers ?? []).map(([, value]) => value).join("\n") : ""
  if ("body" in event) return `${event.body?.text ?? ""}\n${headers}`
  return event._tag === "RulesReplaced" ? (event.rules?.text ?? "") : ""
}

/** Ends what lives; tables and snapshots go along. */
const end = Effect.fnUntraced(function* (
  sql: PgClient.PgClient,
  names: TableNames,
  erasing: Erasing,
  person: Uri,
  now: Millis,
  by: string,
  oldestInFlight: () => Millis | null,
) {
  const store = makePostgresStore(sql)
  const committed = { position: 0, at: 0 }
  const services = Context.make(EventStore, store).pipe(
    Context.add(PresenceTables, makePresenceTables(sql, names)),
  )
  const projector = yield* makeProjector(
    { periodSeconds: 0, decisionsMax: Number.POSITIVE_INFINITY },
    { committed: () => committed, oldestInFlight },
  ).pipe(Effect.provideContext(services))
  let ended = 0
  for (const stream of yield* erasing.aliveIn(person)) {
    const [before] = yield* store.load([stream])
    const events = before === undefined ? [] : erasure(before, { _tag: "Erase", person, silent: true }).events
    if (before === undefined || events.length === 0) continue
    const decision: Stored["decision"] = {
      stream,
      version: before.version + 1,
      at: Math.max(now, before.decidedAt),
      cause: "Erase",
      origin: by,
      nonce: freshNonce(),
      events,
    }
    const { position, conflicts } = yield* store.append([decision])
    if (conflicts.size > 0) {
      return yield* new EraseRefused({
        why: `somebody writes to ${stream}: a server is at work on this database`,
      })
    }
    committed.position = position
    committed.at = Math.max(committed.at, decision.at)
    projector.note([{ decision, before, after: fold(before, decision) }])
    ended++
  }
  yield* projector.flush
  if (projector.lag().decisions > 0) {
    return yield* new EraseRefused({ why: tablesUnwritten })
  }
  return ended
})
