/**
 * A data folder that is moved or removed while its server runs.
 */
import assert from "node:assert/strict"
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { PgClient } from "@effect/sql-pg"
import { Effect, ManagedRuntime } from "effect"
import { describe, it } from "vitest"
import { layerEmbedded } from "../../../../src/adapters/store/layers.ts"
import { newProgramName } from "../../../../src/adapters/store/postgres/connections.ts"
import { holds } from "../../../support/condition.ts"
import { emptyEmbedded } from "../../../support/embedded.ts"
import { dataFolder, postmasterOf, serverEnds } from "../../../support/private-server.ts"

describe("a data folder that is moved while its server runs", { tags: ["OPS-data"] }, () => {
  for (const isEmptied of [false, true]) {
    const how = isEmptied ? "and has an empty one in its place" : "away"
    it(`${how}: the program says so, and makes no new database`, async (context) => {
      const folder = await emptyEmbedded(dataFolder(context))
      const lines: string[] = []
      const onEvent = (line: string) => Effect.sync(() => void lines.push(line))
      const runtime = ManagedRuntime.make(
        layerEmbedded(folder, { application: newProgramName("test"), onEvent }),
      )
      const ask = (statement: string) =>
        runtime.runPromise(Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(statement)))
      await ask("CREATE TABLE kept AS SELECT 1 AS n")
      const server = postmasterOf(folder)
      const other = `${folder}-moved`
      renameSync(folder, other)
      if (isEmptied) mkdirSync(folder, { mode: 0o700 })
      await holds("it is told", () => lines.length > 0)
      assert.equal(lines.length, 1)
      assert.match(
        lines[0]!,
        /postgres is not there any more, so its folder was moved or removed while this program runs on it: put it back/,
      )
      assert.ok(!existsSync(`${folder}/postgres`))
      assert.equal(postmasterOf(other), server)
      // what is connected goes on
      assert.deepEqual(await ask("SELECT n FROM kept"), [{ n: 1 }])
      if (isEmptied) rmSync(folder, { recursive: true })
      renameSync(other, folder)
      await holds("it is back", () => lines.length > 1)
      assert.match(lines[1]!, /runs again$/)
      assert.equal(postmasterOf(folder), server)
      assert.deepEqual(await ask("SELECT n FROM kept"), [{ n: 1 }])
      await runtime.dispose()
      await serverEnds(folder)
    })
  }
})
