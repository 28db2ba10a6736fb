/**
 * Makes a database on a server: `node make-database.ts URL NAME`.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"

const [url = "", name = ""] = process.argv.slice(2)

const made = Effect.flatMap(PgClient.PgClient, (sql) => sql`CREATE DATABASE ${sql(name)}`)
await Effect.runPromise(Effect.provide(made, PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })))
