/**
 * Brings a database to the present layout: `migrations/NNNN_name.sql`, each once, in order.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { Migrator, SqlClient } from "effect/sql"

/** `src/adapters/store` and `dist/adapters/store` are equally deep, so this holds for both. */
const folder = join(import.meta.dirname, "../../../../migrations")

/** The extended protocol takes one command at a time; a DO block makes one of a whole file. */
const loader: Migrator.Loader = Effect.sync(() =>
  readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .sort()
    .map((file): Migrator.ResolvedMigration => {
      const separator = file.indexOf("_")
      const run = Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const script = readFileSync(join(folder, file), "utf8")
        yield* sql.unsafe(`DO $whole$ BEGIN EXECUTE $script$${script}$script$; END $whole$`)
      })
      const name = file.slice(separator + 1, -".sql".length)
      return [Number(file.slice(0, separator)), name, Effect.succeed({ default: run })]
    }),
)

/** The number of the newest. */
export const newestMigration = (): number =>
  Math.max(
    ...readdirSync(folder).flatMap((file) => (file.endsWith(".sql") ? [Number.parseInt(file, 10)] : [])),
  )

/** Runs what has not run yet; safe when several servers start at once. */
export const migrate = Migrator.make({})({ loader, table: "presently_migrations" }).pipe(Effect.asVoid)

/** Partitions of the log for the month of `now` and the one after. */
export const makePartitions = Effect.fnUntraced(function* (now: Date) {
  const sql = yield* SqlClient.SqlClient
  const next = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1))
  for (const moment of [now, next]) yield* sql`SELECT presently_make_partition(${moment})`
})
