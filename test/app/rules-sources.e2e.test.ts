/**
 * Where rules come from: a folder of files, the table of an XCAP server; and who a watcher is: a trusted proxy's word.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { afterAll, describe, it } from "vitest"
import { sharedPostgres } from "../support/postgres.ts"
import { ruleFor, ruleset } from "../support/rules-builders.ts"
import { openScene } from "../support/scene.ts"
import { startPresence } from "../support/server.ts"
import { holds } from "../support/condition.ts"

const allowing = (watcher: string): string => ruleset(ruleFor(watcher, "allow"))

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

/** Asks until the answer is the one expected: sources are looked at every now and then. */
const eventually = async (expected: number, ask: () => Promise<number>): Promise<void> => {
  let status = 0
  await holds(
    () => `${expected}, still ${status}`,
    async () => (status = await ask()) === expected,
  )
}

describe("rules of single presentities", () => {
  it("AUT-7 OPS-static_rules: files named one by one are read and followed; one that is not there ends the start", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-rules-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, "rules.xml")
    writeFileSync(file, allowing("sip:bob@example.com"))
    const { another } = await openScene(context, { static_rules: [`sip:alice@example.com=${file}`] })
    const fetchAs = async (user: string): Promise<number> =>
      (await (await another(user)).subscribe({ Expires: "0" })).raw.status
    await eventually(200, () => fetchAs("bob"))
    assert.equal(await fetchAs("carol"), 403)
    writeFileSync(file, allowing("sip:carol@example.com"))
    await eventually(403, () => fetchAs("bob"))
    for (const [settings, fault] of [
      [{ static_rules: [`sip:alice@example.com=${file}.not`] }, /static_rules = .*: expected URI=FILE/],
      [{ static_rules: ["nonsense"] }, /static_rules = nonsense: expected URI=FILE/],
      [{ static_rules: [`sip:alice@example.com=${file}`], rules_dir: folder }, /rules come from one place/],
    ] as const) {
      await assert.rejects(startPresence(settings), (error: Error) => fault.test(JSON.stringify(error)))
    }
  })
})

describe("rules in a folder", () => {
  it("AUT-7 OPS-rules_dir: read at start, followed, refused when malformed, gone when the file is", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-rules-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, "alice@example.com.xml")
    writeFileSync(file, allowing("sip:bob@example.com"))
    const { another } = await openScene(context, { rules_dir: folder })
    const fetchAs = async (user: string): Promise<number> =>
      (await (await another(user)).subscribe({ Expires: "0" })).raw.status
    await eventually(200, () => fetchAs("bob"))
    assert.equal(await fetchAs("carol"), 403)

    const bob = await another("bob")
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
    await bob.notified({ state: "active" })
    writeFileSync(file, "<ruleset")
    await new Promise((resolve) => setTimeout(resolve, 2500))
    assert.equal(await fetchAs("bob"), 200)

    writeFileSync(file, allowing("sip:carol@example.com"))
    await bob.notified({ state: "terminated;reason=rejected", body: null })
    assert.equal(await fetchAs("carol"), 200)

    rmSync(file)
    await eventually(202, () => fetchAs("carol"))
  })
})

describe.skipIf(cluster === null)("rules in the table xcap", () => {
  it("OPS-integrated_xcap_server AUT-7: read at start and followed", async (context) => {
    const url = cluster!.database()
    const settings = {
      memory: false,
      database_url: url,
      integrated_xcap_server: true,
      xcap_poll_interval: 1,
    }
    const { another } = await openScene(context, settings)
    const run = (statement: (sql: PgClient.PgClient) => Effect.Effect<unknown, unknown>): Promise<unknown> =>
      Effect.runPromise(
        PgClient.PgClient.pipe(
          Effect.flatMap(statement),
          Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
        ),
      )
    const fetchAs = async (user: string): Promise<number> =>
      (await (await another(user)).subscribe({ Expires: "0" })).raw.status
    assert.equal(await fetchAs("bob"), 202)
    await run(
      (sql) => sql`INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port)
        VALUES ('alice', 'example.com', convert_to(${allowing("sip:bob@example.com")}, 'UTF8'), 2, 'e', 0,
          'index', 0)`,
    )
    await eventually(200, () => fetchAs("bob"))
    await run(
      (sql) =>
        sql`UPDATE xcap SET doc = convert_to(${ruleset(ruleFor("sip:bob@example.com", "block"))}, 'UTF8')`,
    )
    await eventually(403, () => fetchAs("bob"))
    await run((sql) => sql`DELETE FROM xcap`)
    await eventually(202, () => fetchAs("bob"))
  })
})

describe.skipIf(cluster === null)("a table of another name", () => {
  it("OPS-xcap_table OPS-pres_rules_auid: is made and followed; with OMA's auid documents of doc_type 32 are", async (context) => {
    const url = cluster!.database()
    const insert = (type: number, watcher: string) =>
      Effect.runPromise(
        PgClient.PgClient.pipe(
          Effect.flatMap(
            (sql) => sql`INSERT INTO xcap_docs (username, domain, doc, doc_type, etag, source, doc_uri, port)
              VALUES ('alice', 'example.com', convert_to(${allowing(watcher)}, 'UTF8'), ${type}::int, 'e', 0, 'index', 0)`,
          ),
          Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
        ),
      )
    const settings = {
      memory: false,
      database_url: url,
      integrated_xcap_server: true,
      xcap_table: "xcap_docs",
      xcap_poll_interval: 1,
    }
    const first = await openScene(context, settings)
    await insert(2, "sip:bob@example.com")
    await insert(32, "sip:carol@example.com")
    const fetchAs = (scene: typeof first, user: string) => async (): Promise<number> =>
      (await (await scene.another(user)).subscribe({ Expires: "0" })).raw.status
    await eventually(200, fetchAs(first, "bob"))
    assert.equal(await fetchAs(first, "carol")(), 403)
    await first.server.stop()
    const second = await openScene(context, {
      ...settings,
      pres_rules_auid: "org.openmobilealliance.pres-rules",
    })
    await eventually(200, fetchAs(second, "carol"))
    assert.equal(await fetchAs(second, "bob")(), 403)
  })
})

describe.skipIf(cluster === null)("a table of another name that is gone", () => {
  it("AUT-7 H7: is a source that cannot be read, not one without documents: the rules of the log count", async (context) => {
    const url = cluster!.database()
    const run = <A>(statement: (sql: PgClient.PgClient) => Effect.Effect<A, unknown>): Promise<A> =>
      Effect.runPromise(
        PgClient.PgClient.pipe(
          Effect.flatMap(statement),
          Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
        ),
      )
    const settings = {
      memory: false,
      database_url: url,
      integrated_xcap_server: true,
      xcap_table: "xcap_docs",
      xcap_poll_interval: 1,
      rules_wait: 1,
      no_rules: "allow",
    }
    const first = await openScene(context, settings)
    await run(
      (sql) => sql`INSERT INTO xcap_docs (username, domain, doc, doc_type, etag, source, doc_uri, port)
        VALUES ('alice', 'example.com', convert_to(${ruleset(ruleFor("sip:bob@example.com", "block"))}, 'UTF8'),
          2, 'e', 0, 'index', 0)`,
    )
    const fetchAs = (scene: typeof first, user: string) => async (): Promise<number> =>
      (await (await scene.another(user)).subscribe({ Expires: "0" })).raw.status
    await eventually(403, fetchAs(first, "bob"))
    await first.server.stop()
    await run((sql) => sql`ALTER TABLE xcap_docs RENAME TO elsewhere`)
    const second = await openScene(context, settings)
    assert.equal(await fetchAs(second, "bob")(), 403)
    const [there] = await run(
      (sql) => sql<{ name: string | null }>`SELECT to_regclass('xcap_docs')::text AS name`,
    )
    assert.equal(there?.name, null)
  })
})

describe("who a watcher is", () => {
  it("5025-3.1.1.1-a T4: P-Asserted-Identity counts from a trusted peer, and from nobody else", async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "presently-rules-"))
    context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, "alice@example.com.xml"), allowing("sip:bob@example.com"))
    const asserted = { Expires: "0", "P-Asserted-Identity": '"Bob" <sip:bob@example.com>' }
    const trusting = await openScene(context, { rules_dir: folder, trusted_peers: ["127.0.0.1"] })
    await eventually(
      200,
      async () => (await (await trusting.another("mallory")).subscribe(asserted)).raw.status,
    )
    const doubting = await openScene(context, { rules_dir: folder })
    await eventually(
      403,
      async () => (await (await doubting.another("mallory")).subscribe(asserted)).raw.status,
    )
  })
})
