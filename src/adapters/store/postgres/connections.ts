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

/**
 * Connections of servers of earlier versions, which know of no claim and have keys of persons in their memory. Those of this version
 * have the log, or write nothing: who only waits for it has read nothing either.
 */
export const otherServers = (sql: PgClient.PgClient) =>
  counted(sql`
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, ${earlier})`)

/** The same, and other commands that are at work. */
export const otherPrograms = (sql: PgClient.PgClient) =>
  counted(sql`
    SELECT count(*)::int AS count FROM pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, ${program})
      AND NOT starts_with(application_name, ${server})
      AND application_name <> current_setting('application_name')`)

const counted = <E>(statement: Effect.Effect<readonly object[], E>): Effect.Effect<number, E> =>
  Effect.map(statement, ([row]) => (row as { readonly count: number } | undefined)?.count ?? 0)
