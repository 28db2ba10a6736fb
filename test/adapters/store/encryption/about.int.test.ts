/**
 * What is known of the request behind a decision: kept with it, encrypted with the key of whoever sent it, covered by the chain, and
 * gone with the key.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { makePostgresStore } from "../../../../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../../../../src/adapters/store/postgres/log-admin.ts"
import { makePartitions, migrate } from "../../../../src/adapters/store/postgres/migrations.ts"
import { erase } from "../../../../src/app/erase/erase.ts"
import { decisionOf } from "../../../../src/app/testing/store-samples.ts"
import type { About } from "../../../../src/domain/presentity/about.ts"
import type { Decision } from "../../../../src/domain/presentity/events.ts"
import type { Uri } from "../../../../src/domain/vocabulary.ts"
import { decodeDecision, encodeDecision } from "../../../../src/encoding/decision-codec.ts"
import { lineOf, readLine } from "../../../../src/explain/case/format.ts"
import { startPostgres } from "../../../support/postgres.ts"
import { verified } from "../../../support/projected.ts"

const cluster = await startPostgres(false)
afterAll(() => cluster?.remove())

const alice = "sip:alice@example.com" as Uri
const carol = "sip:carol@example.com" as Uri
const bob = "sip:bob@example.com" as Uri

/** Every part there is, and then as later decisions of the same device say it. */
const whole: About = {
  command: '{"eventId":"bobs-command"}',
  by: {
    account: "bobs-account",
    identity: "sip:bob@trusted.example.com",
    from: "sip:bob@example.com",
    userAgent: "bobs-phone/1.0 ☎",
    source: "udp:192.0.2.77:5060",
  },
  request: "bobs-digest-of-it",
  node: "north",
  epoch: 12,
  profile: '{"phone":"bobs-profile"}',
}
const referring: About = { by: 1, request: "another-digest-of-bob", node: "north", epoch: 12, profile: 1 }
const bobsWords = ["bobs-", "bob@", "another-digest"]

const decisions: readonly (readonly [Decision, Uri | null])[] = [
  [decisionOf(alice, 1, { about: whole }), bob],
  [decisionOf(alice, 2, { about: referring }), bob],
  [decisionOf(alice, 3, { about: { node: "north", epoch: 13 } }), null],
  [decisionOf(alice, 4), null],
  [decisionOf(carol, 1, { about: { request: "carols-digest" } }), null],
]

describe.skipIf(cluster === null)("what is known of a request", () => {
  const scope = Effect.runSync(Scope.make())
  const open = async () => {
    const layer = PgClient.layer({
      url: Redacted.make(cluster!.database()),
      maxConnections: 1,
      applicationName: "presently test",
    })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(
      migrate.pipe(Effect.andThen(makePartitions(new Date())), Effect.provideContext(services)),
    )
    return Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
  }
  let sql: PgClient.PgClient
  beforeAll(async () => {
    sql = await open()
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const written = decisions.map(([decision]) => decision)
  const requesters = decisions.map(([, requester]) => requester)

  it(
    "is read as it was written, and nothing of it stands in the row in clear",
    { tags: ["T38"] },
    async () => {
      const store = makePostgresStore(sql)
      await Effect.runPromise(store.append(written, requesters))
      const read = await Effect.runPromise(store.read(0, 10))
      assert.deepEqual(
        read.map(({ decision }) => decision),
        written,
      )
      const rows = await Effect.runPromise(sql<{ row: string }>`SELECT e::text AS row FROM events e`)
      for (const { row } of rows)
        for (const word of [...bobsWords, "carols-digest"]) assert.notInclude(row, word)
      assert.deepEqual((await verified(sql, { chain: true })).differences, [])
    },
  )

  it("a part that was changed, exchanged or added is no part of the row", { tags: ["T38"] }, async () => {
    const store = makePostgresStore(sql)
    const [before] = await Effect.runPromise(
      sql<{
        events: { a: readonly unknown[] }
      }>`SELECT events FROM events WHERE version = 1 ORDER BY pos LIMIT 1`,
    )
    const { events: stored } = before!
    // by, request, node, command, profile, epoch
    const { a: about } = stored
    for (const changed of [
      about.with(0, { account: "somebody" }),
      about.with(0, null),
      about.with(3, "in clear"),
      about.with(3, null),
      about.slice(0, 1),
      about.with(5, "12"),
    ]) {
      const put = (value: unknown) => sql`
        UPDATE events SET events = ${JSON.stringify(value)}::json
        WHERE pos = (SELECT pos FROM events WHERE version = 1 ORDER BY pos LIMIT 1)`
      await Effect.runPromise(put({ ...stored, a: changed }))
      const failed = await Effect.runPromise(Effect.flip(store.read(0, 10)))
      assert.match(String(failed.cause), /sip:alice@example\.com version 1 at position \d+ cannot be read/)
      await Effect.runPromise(put(stored))
    }
    assert.equal((await Effect.runPromise(store.read(0, 10))).length, written.length)
  })

  it(
    "is gone when whoever sent the request is erased; what others sent stays",
    { tags: ["T38"] },
    async () => {
      await Effect.runPromise(erase(makeLogAdmin(sql), bob, Date.UTC(2030, 0, 1), "erase tester"))
      const read = await Effect.runPromise(makePostgresStore(sql).read(0, written.length))
      assert.deepEqual(
        read.map(({ decision }) => decision.about),
        [
          { node: "north", epoch: 12 },
          { by: 1, node: "north", epoch: 12, profile: 1 },
          { node: "north", epoch: 13 },
          undefined,
          { request: "carols-digest" },
        ],
      )
      assert.deepEqual((await verified(sql, { chain: true })).differences, [])
    },
  )

  it(
    "in a log that is not encrypted it stands as it is, and somebody of whom it speaks cannot be erased",
    { tags: ["T38"] },
    async () => {
      const clear = await open()
      const store = makePostgresStore(clear, { erasable: false })
      await Effect.runPromise(store.append(written, requesters))
      const read = await Effect.runPromise(store.read(0, 10))
      assert.deepEqual(
        read.map(({ decision }) => decision),
        written,
      )
      assert.deepEqual((await verified(clear, { chain: true })).differences, [])
      const refused = await Effect.runPromise(
        Effect.flip(erase(makeLogAdmin(clear), alice, Date.UTC(2030, 0, 1), "erase tester")),
      )
      assert.match(String(refused), /4 decisions up to position 4 hold sip:alice@example\.com in clear/)
    },
  )

  it("is written to case files, and read from them", { tags: ["OPS-case"] }, () => {
    for (const decision of written) {
      const item = { _tag: "decision", recorded: { position: 1, decision }, digest: "" } as const
      assert.deepEqual(readLine(lineOf(item), decision.stream).item, item)
    }
  })

  it(
    "is kept in the text of a decision, without parts that this version does not know",
    { tags: ["L04"] },
    () => {
      for (const decision of written) assert.deepEqual(decodeDecision(encodeDecision(decision)), decision)
      const later = { ...whole, mood: "good" }
      const text = JSON.stringify({ ...written[0], about: later })
      assert.deepEqual(decodeDecision(text).about, whole)
      assert.throws(() => decodeDecision(JSON.stringify({ ...written[0], about: { epoch: "x" } })))
      assert.throws(() => decodeDecision(JSON.stringify({ ...written[0], about: "x" })))
    },
  )
})
