/**
 * A log that forgets: what is due goes, what lives stays as it is, and what is left is still proved.
 */
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, it } from "vitest"
import { eventsIn } from "../../src/adapters/store/encryption/encrypted-decision.ts"
import { personKeysOf } from "../../src/adapters/store/encryption/person-keys.ts"
import { makePostgresStore } from "../../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../../src/adapters/store/postgres/log-admin.ts"
import { migrate } from "../../src/adapters/store/postgres/migrations.ts"
import { makeRetention } from "../../src/adapters/store/postgres/retention-queries.ts"
import { logBefore, documentsBefore, termsOf } from "../../src/app/config/retention-terms.ts"
import { withDigests } from "../../src/app/integrity/dropped-documents.ts"
import { makeSealer } from "../../src/app/node/seal-signer.ts"
import { compact } from "../../src/app/retention/compact.ts"
import { makeDaily } from "../../src/app/retention/daily-compaction.ts"
import { dropDocumentsOf } from "../../src/app/retention/documents.ts"
import type { Decision, Event } from "../../src/domain/presentity/events.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { retentionStream } from "../../src/domain/presentity/retention.ts"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import type { EntityTag, PackageName, Uri } from "../../src/domain/vocabulary.ts"
import type { StoredEvents } from "../../src/ports/stored-events.ts"
import { anySteps, presentities, watchers } from "../support/arbitraries.ts"
import { play } from "../support/history.ts"
import { worlds } from "../support/machine.ts"
import { sharedPostgres } from "../support/postgres.ts"
import { emptyStore, verified } from "../support/projected.ts"
import { allowTampering, flip } from "../support/tampering.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const day = 86_400_000
const begin = Date.UTC(2026, 0, 20)
const now = Date.UTC(2026, 6, 4, 15)

describe.skipIf(cluster === null)("retention", () => {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  beforeAll(async () => {
    const layer = PgClient.layer({ url: Redacted.make(cluster!.database()), maxConnections: 2 })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(Effect.provideContext(migrate, services))
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
    await Effect.runPromise(allowTampering(sql))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const rowsOf = (query: string) => Effect.runPromise(sql.unsafe<Record<string, unknown>>(query))
  const tables = () =>
    Promise.all(
      ["presentity", "active_watchers", "watchers"].map((name) =>
        rowsOf(`SELECT * FROM ${name} ORDER BY id`),
      ),
    )

  /** What is over soon, and what goes on with a document from long ago. */
  const beginnings = (["over", "lasting"] as const).flatMap((name): readonly Decision[] => {
    const stream = `sip:${name}@example.com` as Uri
    const packageName = "stub" as PackageName
    const entityTag = `${name}-tag` as EntityTag
    const body = { contentType: "text/plain", text: `what ${name} shows` }
    const headers = [["Call-Info", "<sip:x>"]] as const
    const created: Event = {
      _tag: "PublicationCreated",
      packageName,
      entityTag,
      expiresAt: now,
      body,
      headers,
      sender: null,
    }
    const last: Event =
      name === "over"
        ? { _tag: "PublicationRemoved", packageName, entityTag, cause: "requested" }
        : { _tag: "PublicationRefreshed", packageName, entityTag, supersedes: entityTag, expiresAt: now + 1 }
    return [created, last].map((event, index): Decision => ({
      stream,
      version: index + 1,
      at: 0,
      cause: "Publish",
      origin: "udp:192.0.2.1:5060 call 1",
      nonce: name,
      events: [event],
    }))
  })

  /** A history that takes half a year, with tables, snapshots and seals; `months` of it have partitions of their own. */
  const fill = async (steps: Parameters<typeof play>[1], months: readonly number[]) => {
    await emptyStore(sql)
    for (const { name } of (await rowsOf(
      "SELECT relname AS name FROM pg_class WHERE relname ~ '^events_20'  AND relkind = 'r'",
    )) as { name: string }[]) {
      await rowsOf(`DROP TABLE ${name}`)
    }
    for (const month of months) await rowsOf(`SELECT presently_make_partition('2026-0${month}-05Z')`)
    const played = [...beginnings, ...play(worlds[0]!, steps).log]
    const log = played.map((one, index): Decision => ({
      ...one,
      at: begin + Math.floor(((now - begin) * index) / played.length),
      nonce: `${one.nonce}-${index}`,
    }))
    const store = makePostgresStore(sql)
    const sealer = makeSealer(makeLogAdmin(sql), privateKey, 1)
    let position = 0
    for (const [index, one] of log.entries()) {
      position = (await Effect.runPromise(store.append([one]))).position
      if (index % 7 === 0) await Effect.runPromise(sealer.seal)
    }
    await Effect.runPromise(store.saveCheckpoint("tables", { position, at: log.at(-1)?.at ?? 0 }))
    await verified(sql, { fromStart: true, repair: true })
    const states = new Map<Uri, State[]>()
    for (const one of log) {
      const all = states.get(one.stream) ?? [initial(one.stream)]
      all.push(fold(all.at(-1)!, one))
      states.set(one.stream, all)
    }
    return { log, states, store }
  }

  const anyTerms = fc.record({
    days: fc.integer({ min: 0, max: 170 }),
    documents: fc.option(fc.integer({ min: 1, max: 169 }), { nil: null }),
  })
  const digests = (state: State): unknown => JSON.parse(JSON.stringify(withDigests(freeze(state))))
  const isProved = async () => {
    for (const fromStart of [false, true]) {
      const found = await verified(sql, { fromStart, chain: true, publicKey })
      assert.deepEqual(found.differences, [])
    }
  }

  it(
    "what is due is gone, what lives is as it was, every kept instant can be reached, all of it is proved",
    { tags: ["T38"] },
    async () => {
      const seen = { dropped: 0, kept: 0, forgotten: 0, persons: 0, documents: 0, found: 0 }
      await fc.assert(
        fc.asyncProperty(
          fc.array(anySteps, { minLength: 2, maxLength: 4 }).map((all) => all.flat()),
          fc.uniqueArray(fc.integer({ min: 1, max: 7 })),
          anyTerms,
          fc.array(fc.record({ row: fc.nat(), column: fc.nat(), byte: fc.nat(), bit: fc.nat({ max: 7 }) }), {
            minLength: 3,
            maxLength: 3,
          }),
          async (steps, months, { days, documents }, flips) => {
            const { log, states, store } = await fill(steps, months)
            await isProved()
            const shown = await tables()
            const terms = {
              days,
              documents: new Map(documents === null ? [] : [["stub" as PackageName, documents]]),
            }
            const before = logBefore(terms, now) ?? 0
            const documentsGone = documents === null ? 0 : documentsBefore(documents, now)
            const compacted = await Effect.runPromise(
              compact(makeLogAdmin(sql), terms, now, { by: "compact ada", key: privateKey }),
            )
            const old = log.filter(({ at }) => at < before)
            assert.equal(compacted.decisions, old.length)
            const [left] = await rowsOf(
              `SELECT count(*)::int AS n FROM events WHERE at < to_timestamp(${before / 1000})`,
            )
            assert.deepEqual(left, { n: 0 })
            for (const month of months.filter((one) => Date.UTC(2026, one, 1) <= before)) {
              assert.ok(compacted.months.includes(`2026-0${month}`))
            }
            await isProved()
            assert.deepEqual(await tables(), shown)
            seen.dropped += old.length
            seen.kept += log.length - old.length
            seen.forgotten += compacted.forgotten
            seen.documents += compacted.documents[0]?.documents ?? 0

            for (const [stream, all] of states) {
              const last = all.at(-1)!
              const first =
                log.find((one) => one.stream === stream && one.at >= before)?.version ?? last.version + 1
              const [loaded] = await Effect.runPromise(store.load([stream]))
              if (first > last.version && isEmpty(last)) {
                assert.equal(loaded!.version, 0)
                continue
              }
              assert.equal(loaded!.version, last.version)
              if (!isEmpty(last)) assert.deepEqual(freeze(loaded!), freeze(last))
              // from the beginning that is left, event by event
              let state =
                first === 1
                  ? initial(stream)
                  : (await Effect.runPromise(store.landmarkBefore(stream, first - 1)))!
              assert.equal(state.version, first - 1)
              for (const { decision } of await Effect.runPromise(store.history(stream, first - 1, 10_000))) {
                state = fold(state, decision)
                if (isEmpty(state)) continue
                assert.deepEqual(
                  { ...(digests(state) as object), decidedAt: 0 },
                  { ...(digests(all[decision.version]!) as object), decidedAt: 0 },
                )
              }
              assert.equal(state.version, last.version)
            }
            for (const { events, at } of (await rowsOf("SELECT events, at FROM events")) as {
              events: StoredEvents
              at: Date
            }[]) {
              for (const event of eventsIn(events) as readonly unknown[] as readonly Record<
                string,
                unknown
              >[]) {
                if (event["packageName"] !== "stub" || at.getTime() >= documentsGone) continue
                const body = event["body"] as { text: string } | null | undefined
                assert.ok((body?.text ?? "") === "" && event["headers"] === undefined)
              }
            }
            // the fact says who, and what was told once is not told again
            const facts = await Effect.runPromise(store.history(retentionStream, 0, 10))
            assert.deepEqual(
              facts.map(({ decision }) => `${decision.origin} ${decision.events[0]?._tag}`),
              [
                ...(old.length > 0 ? ["compact ada LogDropped"] : []),
                ...((compacted.documents[0]?.documents ?? 0) > 0 ? ["compact ada DocumentsDropped"] : []),
              ],
            )
            if (compacted.decisions > 0) {
              const idle = await rowsOf(
                "SELECT k.person FROM person_keys k WHERE NOT EXISTS (SELECT FROM events e WHERE strpos(e.events::text, k.id) > 0)",
              )
              assert.deepEqual(idle, [])
              seen.persons += compacted.persons
            }
            const again = await Effect.runPromise(
              compact(makeLogAdmin(sql), terms, now, { by: "compact ada", key: privateKey }),
            )
            assert.deepEqual([again.decisions, again.forgotten, again.months], [0, 0, []])
            await isProved()
            for (const at of flips) {
              if (log.length === old.length) break
              const what = await Effect.runPromise(flip(sql, "events", at))
              if (what === null) continue
              const found = await verified(sql, { chain: true, publicKey })
              assert.notEqual(found.differences.length, 0, what)
              seen.found++
              break
            }
          },
        ),
        { numRuns: 8, endOnFailure: true },
      )
      for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, what)
    },
  )

  it("a month or a document that is gone, and no fact says so, is found", { tags: ["T38"] }, async () => {
    const steps = fc.sample(anySteps, { seed: 11, numRuns: 5 }).flat()
    const statement = (text: string) => sql.unsafe(text)
    for (const [what, change, isCompacted] of [
      ["a month", statement("DELETE FROM events WHERE at < '2026-03-01Z'"), false],
      ["the first row", statement("DELETE FROM events WHERE pos = (SELECT min(pos) FROM events)"), false],
      [
        "documents, with their digests in their place",
        dropDocumentsOf(makeRetention(sql), "stub" as PackageName, 0, now, () => Effect.void),
        false,
      ],
      ["more than was dropped", statement("DELETE FROM events WHERE at < '2026-06-01Z'"), true],
      ["the landmarks", statement("DELETE FROM landmarks"), true],
      ["one landmark", statement("UPDATE landmarks SET version = version + 1000 WHERE is_beginning"), true],
    ] as const) {
      await fill(steps, [1, 2, 3])
      if (isCompacted) {
        await Effect.runPromise(
          compact(makeLogAdmin(sql), { days: 60, documents: new Map() }, now, {
            by: "server",
            key: privateKey,
          }),
        )
        await isProved()
      }
      await Effect.runPromise(Effect.asVoid(change as Effect.Effect<unknown, unknown>))
      const found = await verified(sql, { chain: true })
      assert.notEqual(found.differences.length, 0, what)
    }
  })

  it(
    "whoever drops what was sealed and writes the fact of it by hand has not signed it",
    { tags: ["T38", "T39"] },
    async () => {
      // enough of them that something published long ago has not been dropped with its month
      await fill(fc.sample(anySteps, { seed: 13, numRuns: 20 }).flat(), [1, 2, 3])
      const terms = { days: 60, documents: new Map([["stub" as PackageName, 20]]) }
      await Effect.runPromise(compact(makeLogAdmin(sql), terms, now, { by: "server", key: null }))
      assert.deepEqual((await verified(sql, { chain: true })).differences, [])
      const found = await verified(sql, { chain: true, publicKey })
      assert.deepEqual(
        found.differences.map((one) => `${one.key}: ${one.found}`),
        [
          `${retentionStream}: that sealed decisions were dropped is not signed with this key`,
          `${retentionStream}: that documents of stub were dropped is not signed with this key`,
        ],
      )
    },
  )

  it(
    "a server makes the months to come, brings its tables up to date and drops what is due, once a day",
    { tags: ["OPS-retention"] },
    async () => {
      const { log } = await fill(fc.sample(anySteps, { seed: 17, numRuns: 5 }).flat(), [1, 2])
      await rowsOf("DELETE FROM checkpoints WHERE name = 'tables'")
      let flushed = 0
      const flush = Effect.promise(async () => {
        flushed++
        await rowsOf("INSERT INTO checkpoints SELECT 'tables', max(pos), now() FROM events")
      })
      let paused = 0
      const daily = makeDaily(makeLogAdmin(sql), {
        terms: { days: 1, documents: new Map() },
        key: privateKey,
        flush,
        whilePaused: (work) => {
          paused++
          return work
        },
      })
      await rowsOf("INSERT INTO person_keys VALUES ('nobody', 'sip:nobody@example.com', 'k')")
      await Effect.runPromise(daily.once)
      assert.deepEqual([flushed, paused], [1, 1])
      assert.deepEqual(await rowsOf("SELECT id FROM person_keys WHERE id = 'nobody'"), [])
      const [left] = await rowsOf("SELECT count(*)::int AS n FROM events WHERE at < '2026-07-01Z'")
      assert.deepEqual(left, { n: 0 })
      assert.notEqual(log.length, 0)
      const month = new Date(Date.now() + 31 * day).toISOString().slice(0, 7).replace("-", "_")
      const [made] = await rowsOf(`SELECT to_regclass('events_${month}') IS NOT NULL AS made`)
      assert.deepEqual(made, { made: true })
      await isProved()
    },
  )

  it(
    "an attempt that was cut off is finished by the next, and nothing is told twice",
    { tags: ["T38"] },
    async () => {
      const steps = fc.sample(anySteps, { seed: 5, numRuns: 5 }).flat()
      const terms = { days: 60, documents: new Map([["stub" as PackageName, 20]]) }
      const broken = [
        "DROP TABLE IF EXISTS events_",
        "DELETE FROM landmarks",
        "WITH empty",
        "UPDATE events e",
        "UPDATE landmarks l",
        "INSERT INTO landmarks",
      ]
      for (const part of broken) {
        // compaction by another client does not take keys from the memory of this one
        for (const person of [...presentities, ...watchers]) personKeysOf(sql).forget(person)
        await fill(steps, [1, 2, 3])
        const failing = new Proxy(sql, {
          apply: (target, self, [strings, ...rest]: [TemplateStringsArray | string, ...unknown[]]) =>
            Array.isArray(strings) && strings.join("?").includes(part)
              ? Effect.die(new Error("cut off"))
              : (Reflect.apply(target as never, self, [strings, ...rest]) as unknown),
          get: (target, name) =>
            name === "unsafe"
              ? (text: string) =>
                  text.includes(part) ? Effect.die(new Error("cut off")) : target.unsafe(text)
              : (Reflect.get(target, name) as unknown),
        })
        const first = await Effect.runPromiseExit(
          compact(makeLogAdmin(failing), terms, now, { by: "server", key: privateKey }),
        )
        assert.equal(Exit.isFailure(first), true, part)
        await isProved()
        await Effect.runPromise(compact(makeLogAdmin(sql), terms, now, { by: "server", key: privateKey }))
        await isProved()
        const [left] = await rowsOf(`SELECT count(*)::int AS n FROM events WHERE at < '2026-05-01Z'`)
        assert.deepEqual(left, { n: 0 }, part)
        const facts = await Effect.runPromise(makePostgresStore(sql).history(retentionStream, 0, 10))
        assert.deepEqual(
          facts.map(({ decision }) => decision.events[0]!._tag),
          ["LogDropped", "DocumentsDropped"],
          part,
        )
      }
    },
  )

  it(
    "days for the log, fewer for documents of a package; anything else is one line",
    { tags: ["OPS-retention"] },
    () => {
      assert.deepEqual(termsOf(["365", "dialog=30"]), {
        terms: { days: 365, documents: new Map([["dialog", 30]]) },
        faults: [],
      })
      assert.deepEqual(termsOf([]).terms, { days: 0, documents: new Map() })
      for (const [entries, fault] of [
        [["x"], /^x: expected DAYS or PACKAGE=DAYS/],
        [["=4"], /^=4: expected/],
        [["365 dialog=30"], /^365 dialog=30: expected/],
        [["99999"], /^99999: expected/],
        [["1", "2"], /^2: there is one time/],
        [["dialog=3", "dialog=4"], /^dialog=4: dialog is given twice/],
        [["30", "dialog=30"], /^dialog=30: decisions are kept for 30 days/],
      ] as const) {
        const { faults } = termsOf(entries)
        assert.equal(faults.length, 1)
        assert.match(faults[0]!, fault)
      }
      assert.equal(logBefore({ days: 34, documents: new Map() }, now), Date.UTC(2026, 4, 1))
      assert.equal(documentsBefore(3, now), Date.UTC(2026, 6, 1))
      assert.equal(now - day * 3 > documentsBefore(3, now), true)
    },
  )
})
