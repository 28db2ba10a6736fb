/**
 * Where rules come from: a folder of files, the table of an XCAP server; and who a watcher is: a trusted proxy's word.
 */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { afterAll, describe, it } from "vitest"
import { asking } from "../../support/admin.ts"
import { holds } from "../../support/condition.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openScene, phoneOpen } from "../../support/scene.ts"
import { startPresence } from "../../support/server.ts"
import { runHere } from "../cli/command.ts"

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
  it(
    "files named one by one are read and followed; one that is not there ends the start",
    { tags: ["AUT-7", "OPS-static_rules"] },
    async (context) => {
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
    },
  )
})

describe("rules in a folder", () => {
  it(
    "read at start, followed, refused when malformed, gone when the file is",
    { tags: ["AUT-7", "OPS-rules_dir"] },
    async (context) => {
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
    },
  )
})

describe.skipIf(cluster === null)("rules in the table xcap", () => {
  it("read at start and followed", { tags: ["OPS-integrated_xcap_server", "AUT-7"] }, async (context) => {
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
  it(
    "is made and followed; with OMA's auid documents of doc_type 32 are",
    { tags: ["OPS-xcap_table", "OPS-pres_rules_auid"] },
    async (context) => {
      const url = cluster!.database()
      const insert = (type: number, watcher: string) =>
        Effect.runPromise(
          PgClient.PgClient.pipe(
            Effect.flatMap(
              (
                sql,
              ) => sql`INSERT INTO xcap_docs (username, domain, doc, doc_type, etag, source, doc_uri, port)
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
    },
  )
})

describe.skipIf(cluster === null)("a table of another name that is gone", () => {
  it(
    "is a source that cannot be read, not one without documents: the rules of the log count",
    { tags: ["AUT-7", "H7"] },
    async (context) => {
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
    },
  )
})

/** What the management port and the command line say to rules put and removed there. */
const putting = async (admin: string | null | undefined, packageName: string, user = "alice") => {
  const ask = asking(admin)
  const path = `/v1/presentities/sip%3A${user}%40example.com/rules?package=${encodeURIComponent(packageName)}`
  const [put, removed] = [await ask("PUT", path, allowing("sip:bob@example.com")), await ask("DELETE", path)]
  const detail = ({ json }: { readonly json: unknown }): unknown =>
    (json as { detail?: string } | null)?.detail
  return [put.status, detail(put), removed.status, detail(removed)]
}

describe("rules put elsewhere than where they come from", () => {
  it(
    "are refused for packages that ask the folder, with the file to write",
    { tags: ["AUT-7", "OPS-rules_dir"] },
    async (context) => {
      const folder = mkdtempSync(join(tmpdir(), "presently-rules-"))
      context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      const settings = {
        admin: "127.0.0.1:0",
        rules_dir: folder,
        watch_policy: ["dialog=rules", "dialog;sla@example.com=rules"],
      }
      const { server } = await openScene(context, settings)
      const expected = (path: string, packageName: string): readonly unknown[] => [
        409,
        `rules of ${packageName} come from rules_dir ${folder}: write ${join(folder, path)}`,
        409,
        `rules of ${packageName} come from rules_dir ${folder}: remove ${join(folder, path)}`,
      ]
      for (const [packageName, path] of [
        ["presence", "alice@example.com.xml"],
        ["dialog", "dialog/alice@example.com.xml"],
        ["dialog;sla", "dialog;sla/alice@example.com.xml"],
      ] as const)
        assert.deepEqual(await putting(server.admin, packageName), expected(path, packageName))
      // what nobody asks is nobody's
      assert.deepEqual(await putting(server.admin, "reg"), [204, undefined, 204, undefined])

      const file = join(folder, "put.txt")
      writeFileSync(file, allowing("sip:bob@example.com"))
      const admin = (server.admin ?? "").replace("http://", "")
      for (const [words, path] of [
        [["put", "alice@example.com", file], "write"],
        [["delete", "alice@example.com"], "remove"],
      ] as const) {
        const said = await runHere(["rules", ...words, "--package", "dialog", "--admin", admin])
        assert.equal(
          said.stderr,
          `presently: rules of dialog come from rules_dir ${folder}: ${path} ${join(folder, "dialog/alice@example.com.xml")}\n`,
        )
        assert.notEqual(said.code, 0)
      }
      // a URL does as well, and a package that there is not is named with those there are
      const url = `${server.admin}/`
      const said = await runHere([
        "rules",
        "put",
        "alice@example.com",
        file,
        "--package",
        "dialogg",
        "--admin",
        url,
      ])
      assert.match(
        said.stderr,
        /^presently: there is no event package dialogg; did you mean dialog\? there are presence, dialog, .*, and NAME\.winfo of each\n$/,
      )
      for (const words of [["get"], ["delete"], ["test", "--watcher", "sip:bob@example.com"]])
        assert.match(
          (await runHere(["rules", ...words, "alice@example.com", "--package", "dialogg", "--admin", admin]))
            .stderr,
          /^presently: there is no event package dialogg; /,
        )
      const secure = await runHere(["rules", "get", "alice@example.com", "--admin", `https://${admin}`])
      assert.match(
        secure.stderr,
        /^presently: https:.* does not speak HTTPS.*: without HTTPS, write HOST:PORT alone\n$/,
      )
      assert.equal(secure.code, 69)
      // the file that is named is the one that is read
      mkdirSync(join(folder, "dialog"))
      writeFileSync(join(folder, "dialog/alice@example.com.xml"), allowing("sip:bob@example.com"))
      const ask = asking(server.admin)
      await eventually(
        200,
        async () =>
          (await ask("GET", "/v1/presentities/sip%3Aalice%40example.com/rules?package=dialog")).status,
      )
    },
  )

  it(
    "are refused for presence, with the file or the line to write",
    { tags: ["AUT-7", "OPS-static_rules"] },
    async (context) => {
      const folder = mkdtempSync(join(tmpdir(), "presently-rules-"))
      context.onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
      const file = join(folder, "rules.xml")
      writeFileSync(file, allowing("sip:bob@example.com"))
      const pair = `sip:alice@example.com=${file}`
      const { server } = await openScene(context, {
        admin: "127.0.0.1:0",
        static_rules: [pair],
        watch_policy: ["dialog=rules"],
      })
      const from = "rules of presence come from static_rules"
      assert.deepEqual(await putting(server.admin, "presence"), [
        409,
        `${from}: write ${file}`,
        409,
        `${from}: take ${pair} out of it`,
      ])
      assert.deepEqual(await putting(server.admin, "presence", "bob"), [
        409,
        `${from}: add sip:bob@example.com=FILE to it`,
        409,
        `${from}, which names no file for sip:bob@example.com`,
      ])
      assert.deepEqual(await putting(server.admin, "dialog"), [204, undefined, 204, undefined])
    },
  )

  it.skipIf(cluster === null)(
    "are refused for presence, and so is hard state",
    { tags: ["AUT-7", "OPS-integrated_xcap_server", "OPS-pidf_manipulation"] },
    async (context) => {
      const { server } = await openScene(context, {
        admin: "127.0.0.1:0",
        memory: false,
        database_url: cluster!.database(),
        integrated_xcap_server: true,
        pidf_manipulation: true,
        watch_policy: ["dialog=rules"],
      })
      const have = (what: string): string => `have the XCAP server ${what} of sip:alice@example.com there`
      const from = "rules of presence come from the table xcap (integrated_xcap_server)"
      assert.deepEqual(await putting(server.admin, "presence"), [
        409,
        `${from}: ${have("write those")}`,
        409,
        `${from}: ${have("remove those")}`,
      ])
      assert.deepEqual(await putting(server.admin, "dialog"), [204, undefined, 204, undefined])
      const ask = asking(server.admin)
      const answer = await ask("PUT", "/v1/presentities/sip%3Aalice%40example.com/hard-state", phoneOpen)
      assert.deepEqual(
        [answer.status, (answer.json as { detail: string }).detail],
        [409, `hard state of presence comes from the table xcap (pidf_manipulation): ${have("write that")}`],
      )
    },
  )
})

describe("who a watcher is", () => {
  it(
    "P-Asserted-Identity counts from a trusted peer, and from nobody else",
    { tags: ["5025-3.1.1.1-a", "T4"] },
    async (context) => {
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
    },
  )
})
