/**
 * Webhooks in PostgreSQL. Whoever lost the log says no more how far each of them was told.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { SqlError } from "effect/sql"
import type { StoreUnavailable } from "../../../ports/event-store.ts"
import { deadLettersMax } from "../../../ports/webhook-store.ts"
import type { DeadLetter, Webhook, WebhookStore } from "../../../ports/webhook-store.ts"
import { fenced } from "../writer/claim.ts"
import { unavailable } from "./unavailable.ts"

interface WebhookColumns extends Omit<Webhook, "position" | "createdAt"> {
  readonly position: string
  readonly createdAt: Date
}
interface DeadLetterColumns extends Omit<DeadLetter, "givenUpAt"> {
  readonly givenUpAt: Date
}

export const makeWebhookStore = (sql: PgClient.PgClient): WebhookStore["Service"] => {
  const store = statementsOf(sql)
  const own =
    <Args extends readonly unknown[], A>(write: (...args: Args) => Effect.Effect<A, StoreUnavailable>) =>
    (...args: Args): Effect.Effect<A, StoreUnavailable> =>
      unavailable(fenced(sql, write(...args)))
  return {
    ...store,
    add: own(store.add),
    remove: own(store.remove),
    progress: own(store.progress),
    stop: own(store.stop),
    bury: own(store.bury),
    unbury: own(store.unbury),
  }
}

const statementsOf = (sql: PgClient.PgClient): WebhookStore["Service"] => ({
  list: unavailable(
    sql<WebhookColumns>`
      SELECT id, url, types, presentity, secret, position::text AS "position", created_at AS "createdAt",
        created_by AS "createdBy", stopped
      FROM webhooks ORDER BY created_at, id`,
  ).pipe(
    Effect.map((rows) =>
      rows.map((row) => ({ ...row, position: Number(row.position), createdAt: row.createdAt.getTime() })),
    ),
  ),
  add: (one) =>
    done(sql`
      INSERT INTO webhooks (id, url, types, presentity, secret, position, created_at, created_by, stopped)
      VALUES (${one.id}, ${one.url}, ${one.types as string[] | null}::text[], ${one.presentity}, ${one.secret},
        ${one.position}, ${new Date(one.createdAt)}, ${one.createdBy}, ${one.stopped})`),
  remove: (id) =>
    Effect.map(
      unavailable(sql`DELETE FROM webhooks WHERE id = ${id} RETURNING id`),
      (rows) => rows.length > 0,
    ),
  progress: (id, position) =>
    done(sql`UPDATE webhooks SET position = ${position} WHERE id = ${id} AND position < ${position}`),
  stop: (id, why) => done(sql`UPDATE webhooks SET stopped = ${why} WHERE id = ${id}`),
  bury: (id, letter) =>
    done(
      sql`
        INSERT INTO webhook_dead_letters (webhook, id, presentity, type, body, given_up_at, attempts, error)
        SELECT id, ${letter.id}, ${letter.presentity}, ${letter.type}, ${letter.body}, ${new Date(letter.givenUpAt)},
          ${letter.attempts}, ${letter.error}
        FROM webhooks WHERE id = ${id}
        ON CONFLICT (webhook, id) DO UPDATE SET given_up_at = excluded.given_up_at, attempts = excluded.attempts,
          error = excluded.error`.pipe(
        Effect.andThen(sql`
        DELETE FROM webhook_dead_letters WHERE webhook = ${id} AND id IN (
          SELECT id FROM webhook_dead_letters WHERE webhook = ${id}
          ORDER BY given_up_at DESC, id OFFSET ${deadLettersMax})`),
      ),
    ),
  deadLetters: (id) =>
    unavailable(
      sql<DeadLetterColumns>`
        SELECT id, presentity, type, body, given_up_at AS "givenUpAt", attempts, error
        FROM webhook_dead_letters WHERE webhook = ${id} ORDER BY given_up_at DESC, id`,
    ).pipe(Effect.map((rows) => rows.map((row) => ({ ...row, givenUpAt: row.givenUpAt.getTime() })))),
  unbury: (id, letter) =>
    done(sql`DELETE FROM webhook_dead_letters WHERE webhook = ${id} AND id = ${letter}`),
})

const done = (statement: Effect.Effect<unknown, SqlError.SqlError>) => Effect.asVoid(unavailable(statement))
