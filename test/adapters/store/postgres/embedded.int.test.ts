/**
 * The folder of a database within the process: what is found there at a start.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { embeddedClient } from "../../../../src/adapters/store/postgres/embedded.ts"
import { emptyWithin } from "../../../support/embedded.ts"

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-embedded-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Opens the folder, does one thing, and closes it. */
const once = <A>(folder: string, use: (sql: PgClient.PgClient) => Effect.Effect<A, unknown>): Promise<A> =>
  Effect.runPromise(PgClient.PgClient.pipe(Effect.flatMap(use), Effect.provide(embeddedClient(folder))))

const inhabitants = (folder: string): readonly string[] => readdirSync(folder).sort()

describe("the folder of a database within the process", () => {
  it(
    "a database that was killed while it was made is made again, and one that was made is kept",
    { tags: ["OPS-data"] },
    async (context) => {
      const folder = folderOf(context)
      mkdirSync(join(folder, "pg", "base"), { recursive: true })
      writeFileSync(join(folder, "pg", "PG_VERSION"), "17\n")
      writeFileSync(join(folder, "pg.unfinished"), "")
      await once(folder, (sql) => sql`CREATE TABLE kept AS SELECT 42 AS answer`)
      assert.deepStrictEqual(inhabitants(folder), ["pg"])
      assert.deepStrictEqual(await once(folder, (sql) => sql`SELECT answer FROM kept`), [{ answer: 42 }])
    },
  )

  it(
    "a folder that holds something else, or is in use, is refused and left alone",
    { tags: ["OPS-data"] },
    async (context) => {
      const strange = folderOf(context)
      mkdirSync(join(strange, "pg"))
      writeFileSync(join(strange, "pg", "PG_VERSION"), "17\n")
      const refused = await Effect.runPromiseExit(Effect.provide(PgClient.PgClient, embeddedClient(strange)))
      assert.include(String(refused), "DataFolderUnusable")
      assert.deepStrictEqual(readdirSync(join(strange, "pg")), ["PG_VERSION"])
      const used = folderOf(context)
      writeFileSync(join(used, "presently.pid"), `${process.pid}\n`)
      const inUse = await Effect.runPromiseExit(Effect.provide(PgClient.PgClient, embeddedClient(used)))
      assert.include(String(inUse), "DataFolderInUse")
      assert.deepStrictEqual(inhabitants(used), ["presently.pid"])
    },
  )

  it.skipIf(!existsSync("/proc/self/stat"))(
    "the lock of a process that was killed does not count, even when its number has come again",
    { tags: ["OPS-data"] },
    async (context) => {
      const folder = await emptyWithin(folderOf(context))
      writeFileSync(join(folder, "presently.pid"), `${process.pid} 1\n`)
      await once(folder, (sql) => {
        const lock = readFileSync(join(folder, "presently.pid"), "utf8")
        assert.match(lock, new RegExp(`^${process.pid} \\d{2,}\n$`))
        return sql`SELECT 1`
      })
      const killed = spawn(process.execPath, ["--eval", ""])
      await new Promise((resolve) => killed.once("exit", resolve))
      writeFileSync(join(folder, "presently.pid"), `${killed.pid}\n`)
      await once(folder, (sql) => sql`SELECT 1`)
      assert.deepStrictEqual(inhabitants(folder), ["pg"])
    },
  )
})
