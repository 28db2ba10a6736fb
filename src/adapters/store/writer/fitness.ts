/**
 * Whether a database will do, asked before anything is written to it: it is ours or empty, of a layout that this version knows,
 * and this role may do there what a writer does.
 */
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import { StoreUnfit } from "../../../ports/claim.ts"
import { moduleTableNames } from "../../../ports/presence-tables.ts"
import type { TableNames } from "../../../ports/presence-tables.ts"
import { newestMigration } from "../postgres/migrations.ts"
import { missingText, neededRights } from "./rights.ts"
import type { Session } from "./session.ts"

export interface Layout {
  /** The newest migration that has run; 0: none. */
  readonly done: number
  /** Whether there is a row that says who writes. */
  readonly hasWriters: boolean
}

/** Tables that are named in a message. */
const namesMax = 6

type Unfit = (why: string, fix: string) => StoreUnfit

/**
 * @param second opens another session of the same kind, for a moment
 * @param theirs tables of others that are meant to be there, by name
 * @param tables what the presence tables are called
 */
export const fitnessOf = Effect.fnUntraced(function* (
  session: Session,
  second: Effect.Effect<number, SqlError.SqlError>,
  store: string,
  theirs: readonly string[],
  tables: TableNames = moduleTableNames,
) {
  const unfit: Unfit = (why, fix) => new StoreUnfit({ store, why, fix })
  const pooled = yield* sessionFault(session, second, unfit)
  if (pooled !== null) return yield* pooled
  const place = yield* placeOf(session)
  const fault = placeFault(place, unfit)
  if (fault !== null) return yield* fault
  if (!place.ours) {
    const occupied = yield* foreignFault(session, theirs, place, unfit)
    return occupied === null ? ({ done: 0, hasWriters: false } satisfies Layout) : yield* occupied
  }
  const denied = yield* rightsFault(session, tables, place, unfit)
  if (denied !== null) return yield* denied
  const done = yield* doneIn(session)
  const outdated = yield* layoutFault(session, done, place, unfit)
  return outdated === null ? ({ done, hasWriters: place.writers } satisfies Layout) : yield* outdated
})

/** Null: the statements of one connection reach one session, which is its own. */
const sessionFault = Effect.fnUntraced(function* (
  session: Session,
  second: Effect.Effect<number, SqlError.SqlError>,
  unfit: Unfit,
) {
  const [before] = yield* session.ask<{ pid: number }>("SELECT pg_backend_pid() AS pid")
  const other = yield* second
  const [after] = yield* session.ask<{ pid: number }>("SELECT pg_backend_pid() AS pid")
  if (before!.pid !== after!.pid || before!.pid === other) {
    return unfit(
      "statements of one connection reach different sessions of the database, as through a pooler in transaction mode, so nobody can hold it",
      "connect to the database itself, or through a pooler in session mode",
    )
  }
  return null
})

/** Where a session works, and as whom. */
interface Place {
  readonly recovering: boolean
  readonly readonly: boolean
  /** The schema in which it makes tables; null: none of those in its search path is there. */
  readonly schema: string | null
  readonly role: string
  /** Whether it may make tables there. */
  readonly may: boolean
  /** Whether a log of ours is there. */
  readonly ours: boolean
  /** Whether there is a table that says who writes. */
  readonly writers: boolean
}

const placeOf = (session: Session) =>
  Effect.map(
    session.ask<Place>(`SELECT pg_is_in_recovery() AS recovering, current_setting('transaction_read_only') = 'on' AS readonly,
      current_schema()::text AS schema, current_user::text AS role,
      coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may,
      to_regclass('presently_migrations') IS NOT NULL AND to_regclass('events') IS NOT NULL AS ours,
      to_regclass('writers') IS NOT NULL AS writers`),
    ([place]) => place!,
  )

/** Null: it can be written to, and there is a place for tables. */
const placeFault = ({ recovering, readonly, schema, role }: Place, unfit: Unfit): StoreUnfit | null => {
  if (recovering) return unfit("it is a standby server, which nobody can write to", "name the primary server")
  if (readonly) {
    const fix = "name another database, or set default_transaction_read_only to off for it and the role"
    return unfit("it is read-only", fix)
  }
  if (schema === null) {
    const fix = `ALTER ROLE ${role} SET search_path to a schema that is there and that it may use`
    return unfit(`none of the schemas in the search_path of the role ${role} is there for it`, fix)
  }
  return null
}

/** Null: the database is empty, or another program has made the log in it meanwhile, and tables may be made in it. */
const foreignFault = Effect.fnUntraced(function* (
  session: Session,
  theirs: readonly string[],
  { schema, role, may }: Place,
  unfit: Unfit,
) {
  const found = yield* session.ask<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
         AND c.relname <> 'presently_migrations' AND NOT c.relname = ANY ($1::text[])
         AND (to_regclass('presently_migrations') IS NULL OR to_regclass('events') IS NULL)
         AND NOT EXISTS (SELECT FROM pg_depend d
           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
       ORDER BY c.relname`,
    [theirs],
  )
  if (found.length > 0) {
    const names = found.slice(0, namesMax).map(({ name }) => name)
    const more = found.length > namesMax ? ` and ${found.length - namesMax} more` : ""
    return unfit(
      `it holds tables of something else (${names.join(", ")}${more}) and no log of presently`,
      "give presently a database of its own; presently import takes over what is in another server's",
    )
  }
  if (!may) {
    const fix = `GRANT CREATE ON SCHEMA ${schema} TO ${role}, or connect as the database's owner`
    return unfit(`the role ${role} may not make tables in it`, fix)
  }
  return null
})

/** Null: the role may do what a writer does. */
const rightsFault = Effect.fnUntraced(function* (
  session: Session,
  tables: TableNames,
  { role, schema }: Place,
  unfit: Unfit,
) {
  const needed = neededRights(tables)
  const denied = yield* session.ask<{ n: number }>(
    `SELECT t.n::int FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS t(name, kind, needed, n)
       CROSS JOIN LATERAL (SELECT CASE t.kind WHEN 'function' THEN to_regproc(quote_ident(t.name))::oid
         ELSE to_regclass(quote_ident(t.name))::oid END AS id) AS c
     WHERE c.id IS NOT NULL AND NOT CASE t.kind WHEN 'sequence' THEN has_sequence_privilege(c.id, t.needed)
       WHEN 'function' THEN has_function_privilege(c.id, t.needed) ELSE has_table_privilege(c.id, t.needed) END
     ORDER BY t.n`,
    [needed.map(({ name }) => name), needed.map(({ kind }) => kind), needed.map(({ right }) => right)],
  )
  if (denied.length > 0) {
    const names = missingText(
      denied.map(({ n }) => needed[n - 1]!),
      needed,
    )
    const fix = `connect as the role that made them, or GRANT ALL ON ALL TABLES IN SCHEMA ${schema} TO ${role}, and ON ALL SEQUENCES, and EXECUTE ON ALL FUNCTIONS`
    return unfit(`the role ${role} may not read and write ${names}`, fix)
  }
  return null
})

const doneIn = (session: Session) =>
  Effect.map(
    session.ask<{ done: number }>(
      "SELECT coalesce(max(migration_id), 0)::int AS done FROM presently_migrations",
    ),
    ([row]) => row?.done ?? 0,
  )

/** Null: the layout is one that this version knows, or may bring up to date. */
const layoutFault = Effect.fnUntraced(function* (
  session: Session,
  done: number,
  { role, may }: Place,
  unfit: Unfit,
) {
  const newest = newestMigration()
  if (done > newest) {
    const fix = "run that version here, or restore the backup made before it"
    return unfit(`its layout is ${done} of ${newest}: a newer version has been at work`, fix)
  }
  if (done < newest) {
    const [owner] = yield* session.ask<{ name: string; ours: boolean }>(
      `SELECT pg_get_userbyid(relowner)::text AS name, pg_has_role(relowner, 'USAGE') AS ours
       FROM pg_class WHERE oid = 'events'::regclass`,
    )
    if (owner?.ours === false || !may) {
      return unfit(
        `its layout is ${done} of ${newest}, and the role ${role} may not change it`,
        `start once as ${owner?.name ?? "its owner"}`,
      )
    }
  }
  return null
})

/** What no waiting cures: a role, password or database that the server does not know. */
export const unfitFor = (store: string, cause: unknown): StoreUnfit | null => {
  const code = codeOf(cause)
  if (code === "3D000") {
    return new StoreUnfit({ store, why: "there is no such database", fix: "make it, or correct the name" })
  }
  if (code === "25006") {
    return new StoreUnfit({
      store,
      why: "it can only be read: a standby server, or a database that is set to that",
      fix: "name the primary server",
    })
  }
  if (code?.startsWith("28") === true || code === "42501") {
    const why = messageOf(cause)
    return new StoreUnfit({ store, why, fix: "correct role and password, or what the role may do" })
  }
  return null
}

/** The SQLSTATE, or the system's code, of whatever went wrong. */
export const codeOf = (cause: unknown): string | null => {
  for (let one: unknown = cause, depth = 0; one instanceof Error && depth < 6; depth++) {
    const { code, reason } = one as { readonly code?: unknown; readonly reason?: unknown }
    if (typeof code === "string") return code
    one = reason ?? one.cause
  }
  return null
}

/** The innermost message of an error of the driver, in one line. */
export const messageOf = (cause: unknown): string => {
  let message = String(cause)
  for (let one: unknown = cause, depth = 0; one instanceof Error && depth < 6; depth++) {
    message = one.message
    one = (one as { readonly reason?: unknown }).reason ?? one.cause
  }
  return message.split("\n")[0] ?? ""
}
