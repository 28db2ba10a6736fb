/**
 * A program that uses the database in a data folder: runs the statements that it reads, until its input ends.
 */
import { createInterface } from "node:readline"
import { PgClient } from "@effect/sql-pg"
import { Effect, Logger } from "effect"
import { layerEmbedded } from "../../src/adapters/store/layers.ts"
import { newProgramName } from "../../src/adapters/store/postgres/connections.ts"

const [folder = "", programs = ""] = process.argv.slice(2)

const work = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* sql`SELECT 1`
  console.log("ready")
  const statements = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  for (;;) {
    const next = yield* Effect.promise(() => statements.next())
    if (next.done === true) return
    const answer = yield* sql
      .unsafe(JSON.parse(next.value) as string)
      .pipe(Effect.catch((cause) => Effect.succeed({ error: String(cause.cause ?? cause) })))
    console.log(JSON.stringify(answer))
  }
})

const options = { application: newProgramName("test"), ...(programs === "" ? {} : { programs }) }
void Effect.runPromise(
  work.pipe(Effect.provide(layerEmbedded(folder, options)), Effect.provide(Logger.layer([]))),
).catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : String(cause))
  process.exitCode = 1
})
