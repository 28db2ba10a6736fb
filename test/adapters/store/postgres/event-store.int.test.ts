import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { ownConnection } from "../../../../src/adapters/store/postgres/append-connection.ts"
import type { AppendConnection } from "../../../../src/adapters/store/postgres/append-connection.ts"
import { embeddedClient } from "../../../../src/adapters/store/postgres/embedded.ts"
import { makePostgresStore } from "../../../../src/adapters/store/postgres/event-store.ts"
import { makePartitions, migrate } from "../../../../src/adapters/store/postgres/migrations.ts"
import { makePresenceTables } from "../../../../src/adapters/store/postgres/presence-tables.ts"
import { freshNonce } from "../../../../src/app/nonce.ts"
import { decisionOf, freshStream } from "../../../../src/app/testing/store-samples.ts"
import type { Decision, Event } from "../../../../src/domain/presentity/events.ts"
import { fold } from "../../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../../src/domain/presentity/state.ts"
import type { State } from "../../../../src/domain/presentity/state.ts"
import type { RowKey } from "../../../../src/domain/projections/rows.ts"
import { set, values } from "../../../../src/domain/table.ts"
import type { DialogStart, EntityTag, Uri } from "../../../../src/domain/vocabulary.ts"
import { sharedPostgres } from "../../../support/postgres.ts"
import type { SharedPostgres } from "../../../support/postgres.ts"
import { describeStore } from "../../../support/store-contract.ts"

const cluster: SharedPostgres | null = await sharedPostgres()
afterAll(() => cluster?.remove())

const databases: readonly [string, () => Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, unknown>][] = [
  ["PGlite", () => embeddedClient(null)],
  ...(cluster === null
    ? []
    : ([
        [
          "PostgreSQL",
          () =>
            PgClient.layer({ url: Redacted.make(cluster.database()), multiplex: true, maxConnections: 4 }),
        ],
      ] satisfies [string, () => Layer.Layer<PgClient.PgClient | SqlClient.SqlClient, unknown>][])),
]

for (const [name, open] of databases) {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  beforeAll(async () => {
    const services = await Effect.runPromise(Layer.buildWithScope(open(), scope))
    await Effect.runPromise(
      migrate.pipe(Effect.andThen(makePartitions(new Date())), Effect.provideContext(services)),
    )
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  describeStore(name, () => makePostgresStore(sql))
  if (name === "PostgreSQL") {
    let appends: AppendConnection
    beforeAll(() => {
      appends = ownConnection(sql, scope)
    })
    describeStore(`${name}, appends over a connection of their own`, () =>
      makePostgresStore(sql, { appends }),
    )
  }

  it(
    `the hundredth refresh, which changes nothing, weighs at most 400 octets on ${name}`,
    { tags: ["OPS-erasable"] },
    async () => {
      const alice = freshStream()
      const [before, nonce] = [freshNonce(), freshNonce()]
      const refresh = {
        ...decisionOf(alice, 1),
        cause: "Publish",
        origin: "udp:192.0.2.20:5060 a84b4c76e66710@192.0.2.20 100",
        nonce,
        events: [
          {
            _tag: "PublicationRefreshed",
            packageName: "presence",
            entityTag: `${nonce}.2s` as EntityTag,
            supersedes: `${before}.2r` as EntityTag,
            expiresAt: Date.UTC(2030, 0, 1),
          },
        ],
      } satisfies Decision
      await Effect.runPromise(makePostgresStore(sql).append([refresh]))
      const [row] = await Effect.runPromise(
        sql<{ octets: number }>`
        SELECT pg_column_size(e.*)::int AS octets FROM events e JOIN streams h ON h.id = e.stream WHERE h.stream = ${alice}`,
      )
      assert.isAtMost(row!.octets, 400)
    },
  )

  describe(`tables on ${name}`, () => {
    const start: DialogStart = {
      callId: "c".repeat(70),
      localTag: "to",
      remoteTag: "from",
      localUri: "<sip:alice@example.com>",
      remoteUri: "<sip:bob@example.com>",
      remoteTarget: "sip:bob@192.0.2.1",
      routeSet: ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>"],
      remoteCseq: 7,
      localContact: "sip:presence@192.0.2.9",
      flow: "udp:192.0.2.9:5060",
      source: "192.0.2.1:5060",
    }
    const subscribed = (stream: Uri): State =>
      fold(initial(stream), {
        version: 1,
        at: 1_700_000_000_500,
        events: [
          {
            _tag: "SubscriptionCreated",
            no: 1,
            packageName: "presence",
            eventId: null,
            watcher: "sip:bob@example.com" as Uri,
            status: "active",
            polite: false,
            matched: null,
            giveUpAt: null,
            expiresAt: 9_999_999_999_000,
            dialog: 1,
            start,
            remoteCseq: 7,
          },
        ],
      })

    it(
      "the version table holds the numbers that readers of the module expect",
      { tags: ["TBL-1"] },
      async () => {
        const rows = await Effect.runPromise(
          sql<{ table_name: string; table_version: number }>`SELECT * FROM version ORDER BY table_name`,
        )
        assert.deepStrictEqual(
          rows.map((row) => [row.table_name, row.table_version]),
          [
            ["active_watchers", 12],
            ["presentity", 5],
            ["watchers", 4],
            ["xcap", 4],
          ],
        )
      },
    )

    it(
      "rows are written, brought up to date and deleted; what is too wide is cut",
      { tags: ["TBL-1", "TBL-2"] },
      async () => {
        const stream = freshStream()
        const tables = makePresenceTables(sql)
        const state = subscribed(stream)
        const keys: RowKey[] = [
          { table: "active_watchers", no: 1, ended: null },
          { table: "watchers", packageName: "presence", watcher: "sip:bob@example.com" as Uri },
        ]
        await Effect.runPromise(tables.write([{ state, keys }]))
        await Effect.runPromise(tables.write([{ state, keys }]))
        const rows = await Effect.runPromise(
          sql<Record<string, unknown>>`SELECT * FROM active_watchers WHERE presentity_uri = ${stream}`,
        )
        assert.strictEqual(rows.length, 1)
        const { id: _, ...row } = rows[0]!
        assert.deepStrictEqual(row, {
          presentity_uri: stream,
          watcher_username: "bob",
          watcher_domain: "example.com",
          to_user: stream.slice(4, stream.indexOf("@")),
          to_domain: "example.com",
          event: "presence",
          event_id: "",
          to_tag: "to",
          from_tag: "from",
          callid: "c".repeat(64),
          local_cseq: 0,
          remote_cseq: 7,
          contact: "sip:bob@192.0.2.1",
          record_route: "<sip:p1.example.com;lr>,<sip:p2.example.com;lr>",
          expires: 2_147_483_647,
          status: 1,
          reason: "",
          version: 0,
          socket_info: "udp:192.0.2.9:5060",
          local_contact: "sip:presence@192.0.2.9",
          sharing_tag: null,
        })
        const watchers = await Effect.runPromise(
          sql<Record<string, unknown>>`SELECT * FROM watchers WHERE presentity_uri = ${stream}`,
        )
        assert.deepStrictEqual(
          watchers.map(({ id: _id, ...rest }) => rest),
          [
            {
              presentity_uri: stream,
              watcher_username: "bob",
              watcher_domain: "example.com",
              event: "presence",
              status: 1,
              reason: "",
              inserted_time: 1_700_000_000,
            },
          ],
        )
        const after = fold(state, {
          version: 2,
          at: 1_700_000_001_000,
          events: [
            { _tag: "SubscriptionTerminated", no: 1, reason: "timeout", silent: true, waitsUntil: null },
          ],
        })
        const { activeWatcherRow } = await import("../../../../src/domain/projections/rows.ts")
        const ended = activeWatcherRow(state, 1)!
        await Effect.runPromise(
          tables.write([{ state: after, keys: [{ table: "active_watchers", no: 1, ended }, keys[1]!] }]),
        )
        const left = await Effect.runPromise(
          sql<{
            n: number
          }>`SELECT (SELECT count(*) FROM active_watchers WHERE presentity_uri = ${stream})::int
          + (SELECT count(*) FROM watchers WHERE presentity_uri = ${stream})::int AS n`,
        )
        assert.strictEqual(left[0]?.n, 0)
      },
    )

    it(
      "a publication is one row whose body is its document, through changes of entity-tag",
      { tags: ["TBL-1"] },
      async () => {
        const stream = freshStream()
        const tables = makePresenceTables(sql)
        const one = fold(initial(stream), decisionOf(stream, 1))
        const two = fold(one, decisionOf(stream, 2))
        const key = (version: number): RowKey => ({
          table: "presentity",
          packageName: "presence",
          etag: `${stream}-${version}`,
        })
        await Effect.runPromise(tables.write([{ state: one, keys: [key(1)] }]))
        await Effect.runPromise(tables.write([{ state: two, keys: [key(1), key(2)] }]))
        const user = stream.slice(4, stream.indexOf("@"))
        const rows = await Effect.runPromise(
          sql<{ etag: string; body: string }>`
          SELECT etag, convert_from(body, 'UTF8') AS body FROM presentity WHERE username = ${user}`,
        )
        const event = decisionOf(stream, 2).events[0]!
        assert.deepStrictEqual(
          rows.map((row) => [row.etag, row.body]),
          [[`${stream}-2`.slice(0, 64), event._tag === "PublicationModified" ? event.body!.text : ""]],
        )
      },
    )

    it(
      "watchers with names alike up to the width, and bodies with a NUL, are written like any other",
      { tags: ["TBL-2"] },
      async () => {
        const stream = freshStream()
        const tables = makePresenceTables(sql)
        const long = "w".repeat(70)
        const watcher = (end: string) => `sip:${long}${end}@example.com` as Uri
        const state = ["1", "2"].reduce((before, end, index) => {
          const events = subscribed(stream).subscriptions
          const [one] = [...values(events)]
          return {
            ...before,
            subscriptions: set(before.subscriptions, index + 1, {
              ...one!,
              no: index + 1,
              watcher: watcher(end),
            }),
          }
        }, subscribed(stream))
        const keys = ["1", "2"].map((end): RowKey => ({
          table: "watchers",
          packageName: "presence",
          watcher: watcher(end),
        }))
        await Effect.runPromise(tables.write([{ state, keys }]))
        const rows = await Effect.runPromise(
          sql<{
            name: string
          }>`SELECT watcher_username AS name FROM watchers WHERE presentity_uri = ${stream}`,
        )
        assert.deepStrictEqual(
          rows.map((row) => row.name),
          ["w".repeat(64)],
        )
        const events = decisionOf(stream, 1).events.map(
          (event): Event => ({ ...event, body: { contentType: "text/plain", text: "one\0two" } }) as Event,
        )
        const published = fold(initial(stream), { version: 1, at: 1, events })
        const key: RowKey = { table: "presentity", packageName: "presence", etag: `${stream}-1` }
        await Effect.runPromise(tables.write([{ state: published, keys: [key] }]))
        const user = stream.slice(4, stream.indexOf("@"))
        const [row] = await Effect.runPromise(
          sql<{
            body: string
          }>`SELECT convert_from(body, 'UTF8') AS body FROM presentity WHERE username = ${user}`,
        )
        assert.deepStrictEqual(row, { body: "one" })
      },
    )

    it(
      "headers are whole lines in the table, octet for octet, and nothing where there are none",
      { tags: ["OPS-extra_hdrs"] },
      async () => {
        const stream = freshStream()
        const tables = makePresenceTables(sql)
        const value = Buffer.from("<sip:é@h>", "utf8").toString("latin1")
        const events = decisionOf(stream, 1).events.map(
          (event): Event => ({ ...event, headers: [["Call-Info", value]] }) as Event,
        )
        const state = fold(initial(stream), { version: 1, at: 1, events })
        const key: RowKey = { table: "presentity", packageName: "presence", etag: `${stream}-1` }
        await Effect.runPromise(tables.write([{ state, keys: [key] }]))
        const user = stream.slice(4, stream.indexOf("@"))
        const [row] = await Effect.runPromise(
          sql<{ lines: string | null }>`
          SELECT convert_from(extra_hdrs, 'UTF8') AS lines FROM presentity WHERE username = ${user}`,
        )
        assert.deepStrictEqual(row, { lines: "Call-Info: <sip:é@h>\r\n" })
        const plain = fold(initial(stream), { version: 1, at: 1, events: decisionOf(stream, 1).events })
        await Effect.runPromise(tables.write([{ state: plain, keys: [key] }]))
        const [none] = await Effect.runPromise(
          sql<{ lines: string | null }>`SELECT extra_hdrs AS lines FROM presentity WHERE username = ${user}`,
        )
        assert.deepStrictEqual(none, { lines: null })
      },
    )

    it("the log has a partition for this month and the next, and making them again changes nothing", async () => {
      await Effect.runPromise(
        makePartitions(new Date()).pipe(Effect.provideService(SqlClient.SqlClient, sql)),
      )
      const rows = await Effect.runPromise(
        sql<{ n: number }>`SELECT count(*)::int AS n FROM pg_inherits WHERE inhparent = 'events'::regclass`,
      )
      assert.strictEqual(rows[0]?.n, 3)
    })
  })
}

it("the contract ran on a real PostgreSQL where its binaries are installed", () => {
  assert.strictEqual(databases.length, cluster === null ? 1 : 2)
})
