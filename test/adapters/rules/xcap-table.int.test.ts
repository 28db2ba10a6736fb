/**
 * Rules in the table of an XCAP server: what one row holds stands in nobody else's way.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { afterAll, describe, it } from "vitest"
import { openXcapTable } from "../../../src/adapters/rules/xcap-table.ts"
import { presentityOf } from "../../../src/app/presentity-uri.ts"
import type { DocumentPlace } from "../../../src/ports/document-source.ts"
import { presRules } from "../../../src/ports/document-source.ts"
import { startPostgres } from "../../support/postgres.ts"

const cluster = await startPostgres()
afterAll(() => cluster?.remove())

interface Row {
  readonly username: string
  readonly domain?: string
  readonly doc: Buffer
  readonly type?: number
}

const onTable = <A>(
  work: (tools: {
    readonly place: DocumentPlace
    readonly put: (row: Row) => Effect.Effect<unknown, unknown>
    readonly sql: PgClient.PgClient
  }) => Effect.Effect<A, unknown>,
): Promise<A> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      // as the XCAP server for OpenSIPS makes it, without the constraints that would keep odd rows away
      yield* sql`CREATE TABLE xcap (id serial PRIMARY KEY, username text, domain text, doc bytea, doc_type int,
        etag text, source int, doc_uri text, port int)`
      const place = openXcapTable(sql, {
        table: "xcap",
        document: presRules,
        canonical: presentityOf,
        octetsMax: 1_000,
        millisMax: 2_000,
      })
      const put = ({ username, domain = "example.com", doc, type = presRules }: Row) =>
        sql`INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port)
          VALUES (${username}, ${domain}, decode(${doc.toString("hex")}, 'hex'), ${type}::int, 'e', 0, 'u', 0)`
      return yield* work({ place, put, sql })
    }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(cluster!.database()) }))) as Effect.Effect<A>,
  )

const look = Effect.fnUntraced(function* (place: DocumentPlace, isSettled = true) {
  const found = yield* place.look
  if (isSettled) for (const change of found.changes) place.settle(change)
  return {
    changes: found.changes.map(({ presentity, text }) => `${presentity} ${text}`).sort(),
    troubles: found.troubles.map(({ of, why }) => `${of?.presentity ?? "nobody"}: ${why}`),
    listed: found.listed,
  }
})

const text = (of: string): Buffer => Buffer.from(of)

describe.skipIf(cluster === null)("the table xcap", () => {
  it.each([
    ["octets that are not UTF-8", Buffer.from("ff00fe", "hex"), /sip:mallory@example.com: it is not UTF-8/],
    [
      "too long a document",
      Buffer.alloc(1_001, 97),
      /it has 1001 octets, more than rules_document_max = 1000/,
    ],
  ] as const)(
    "%s of one user stop nobody else's change, and are taken when they are mended",
    { tags: ["AUT-7"] },
    (_, doc, why) =>
      onTable(({ place, put, sql }) =>
        Effect.gen(function* () {
          yield* put({ username: "alice", doc: text("allow") })
          yield* put({ username: "mallory", doc })
          const first = yield* look(place)
          assert.deepEqual(first.changes, ["sip:alice@example.com allow"])
          assert.match(first.troubles.join(), why)
          assert.ok(first.listed.has("presence sip:mallory@example.com"))
          yield* sql`UPDATE xcap SET doc = 'block' WHERE username = 'alice'`
          const later = yield* look(place)
          assert.deepEqual(later.changes, ["sip:alice@example.com block"])
          assert.equal(later.troubles.length, 1)
          yield* sql`UPDATE xcap SET doc = 'mended' WHERE username = 'mallory'`
          const mended = yield* look(place)
          assert.deepEqual([mended.changes, mended.troubles], [["sip:mallory@example.com mended"], []])
          assert.deepEqual((yield* look(place)).changes, [])
        }),
      ),
  )

  it("a document that became bad is not gone; a row that is deleted is", { tags: ["AUT-7"] }, () =>
    onTable(({ place, put, sql }) =>
      Effect.gen(function* () {
        yield* put({ username: "alice", doc: text("allow") })
        yield* look(place)
        yield* sql`UPDATE xcap SET doc = '\\xff'::bytea`
        const bad = yield* look(place)
        assert.deepEqual([bad.changes, bad.troubles.length], [[], 1])
        yield* sql`UPDATE xcap SET doc = NULL`
        assert.match((yield* look(place)).troubles.join(), /it has no document/)
        yield* sql`DELETE FROM xcap`
        assert.deepEqual((yield* look(place, false)).changes, ["sip:alice@example.com null"])
        assert.deepEqual((yield* look(place)).changes, ["sip:alice@example.com null"])
        assert.deepEqual((yield* look(place)).changes, [])
      }),
    ),
  )

  it(
    "names that are no address, or would be another's, are named and are nobody's",
    { tags: ["AUT-7"] },
    () =>
      onTable(({ place, put, sql }) =>
        Effect.gen(function* () {
          yield* put({ username: "alice", doc: text("1") })
          for (const [username, domain] of [
            ["", "example.com"],
            ["bob", ""],
            ["bob", "exa mple.com"],
            ["alice:secret", "example.com"],
            ["alice@example.com", "evil.example"],
            ["alice", "example.com;maddr=evil.example"],
            ["alice", "example.com:5060"],
            ["a b", "example.com"],
          ] as const)
            yield* put({ username, domain, doc: text("2") })
          yield* sql`INSERT INTO xcap (username, domain, doc, doc_type) VALUES (NULL, 'example.com', '3', 2)`
          const { changes, troubles } = yield* look(place)
          assert.deepEqual(changes, ["sip:alice@example.com 1"])
          assert.equal(troubles.length, 9)
          for (const one of troubles) assert.match(one, /^nobody: username .* are no address of anybody$/)
        }),
      ),
  )

  it("of several rows of one presentity the first counts, in whatever spelling", { tags: ["AUT-7"] }, () =>
    onTable(({ place, put, sql }) =>
      Effect.gen(function* () {
        yield* put({ username: "alice", domain: "EXAMPLE.com", doc: text("first") })
        yield* put({ username: "alice", doc: text("second") })
        const { changes, troubles } = yield* look(place)
        assert.deepEqual(changes, ["sip:alice@example.com first"])
        assert.match(troubles.join(), /is of the same presentity, and counts/)
        yield* sql`DELETE FROM xcap WHERE domain = 'EXAMPLE.com'`
        assert.deepEqual((yield* look(place)).changes, ["sip:alice@example.com second"])
      }),
    ),
  )

  it(
    "what is not settled is told again, also when more documents are fetched than at one time",
    { tags: ["AUT-7"] },
    () =>
      onTable(({ place, sql }) =>
        Effect.gen(function* () {
          yield* sql`INSERT INTO xcap (username, domain, doc, doc_type)
          SELECT 'u' || n, 'example.com', convert_to('d' || n, 'UTF8'), 2 FROM generate_series(1, 450) AS n`
          assert.equal((yield* look(place, false)).changes.length, 450)
          assert.equal((yield* look(place)).changes.length, 450)
          assert.equal((yield* look(place)).changes.length, 0)
        }),
      ),
  )

  it(
    "a table that is not there, or does not answer in time, says nothing of anybody",
    { tags: ["AUT-7"] },
    () =>
      onTable(({ place, put, sql }) =>
        Effect.gen(function* () {
          yield* put({ username: "alice", doc: text("1") })
          yield* look(place)
          yield* sql`ALTER TABLE xcap RENAME TO away`
          const failed = yield* Effect.result(place.look)
          assert.match(
            failed._tag === "Failure" ? failed.failure.message : "",
            /^table xcap cannot be read: relation/,
          )
          yield* sql`ALTER TABLE away RENAME TO xcap`
          const silent = yield* sql.withTransaction(
            Effect.andThen(
              sql`LOCK TABLE xcap IN ACCESS EXCLUSIVE MODE`,
              Effect.promise(() => Effect.runPromise(Effect.result(place.look))),
            ),
          )
          assert.match(
            silent._tag === "Failure" ? silent.failure.message : "",
            /^table xcap cannot be read: it did not answer in time/,
          )
          assert.deepEqual((yield* look(place)).changes, [])
        }),
      ),
  )
})
