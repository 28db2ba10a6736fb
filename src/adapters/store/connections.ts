/**
 * Who is connected to a database: servers go by names of their own.
 */
import { randomBytes } from "node:crypto"
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"

const program = "presently "
const server = `${program}writer `
/** What versions before there was a claim called themselves. */
const earlier = `${program}server `

/** The `application_name` of one server, or of one program that keeps its decisions there. */
export const newServerName = (): string => `${server}${randomBytes(4).toString("hex")}`

/** The same of one command: what waits for a log ends what its dead holder has left open, and nothing else. */
export const newProgramName = (command: string): string =>
  `${program}${command} ${randomBytes(4).toString("hex")}`

/** Connections of servers to this database, except those of the server whose client this is. */
export const otherServers = (sql: PgClient.PgClient) => others(sql, server, earlier)

/** The same of whatever of ours may have keys of persons in its memory: servers, an import, another command. */
export const otherPrograms = (sql: PgClient.PgClient) => others(sql, program, program)

const others = (sql: PgClient.PgClient, prefix: string, or: string) =>
  sql<{ count: number }>`
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database()
      AND (starts_with(application_name, ${prefix}) OR starts_with(application_name, ${or}))
      AND application_name <> current_setting('application_name')`.pipe(
    Effect.map(([row]) => row?.count ?? 0),
  )
