/**
 * What the store knows of time: when it was last told what the clock said, what it holds that is newest, and its own clock.
 *
 * In `checkpoints`: `clock BOOT`, with what the clock said (`at`) and the milliseconds since the machine's start (`pos`);
 * `clock doubted`, when the clock went ahead with nobody to confirm it (`at`), and by how many milliseconds (`pos`).
 * A server that lost the log remembers nothing in it: it would remove what the next one has.
 */
import type { PgClient } from "@effect/sql-pg"
import { Effect } from "effect"
import type { Millis } from "../../../domain/vocabulary.ts"
import type { Beat, ClockWitness, DatabaseClock, Doubt } from "../../../ports/log-admin.ts"
import { fenced } from "../writer/claim.ts"
import { answering } from "./unavailable.ts"

export const makeClockWitness = (sql: PgClient.PgClient): ClockWitness =>
  answering({
    /** The database's clock. */
    look: sql<{ at: number; is_local: boolean }>`
    SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS at,
      coalesce(inet_client_addr() = inet_server_addr(), true) AS is_local`.pipe(
      Effect.map(([row]): DatabaseClock => ({ at: row!.at, isLocal: row!.is_local })),
    ),

    /** Null: nothing has been told since the machine started, or ever. */
    lastBeat: sql<{ name: string; pos: bigint; at: Date }>`
    SELECT name, pos, at FROM checkpoints WHERE name LIKE 'clock %' AND name <> 'clock doubted'
    ORDER BY at DESC LIMIT 1`.pipe(
      Effect.map(([row]): Beat | null =>
        row === undefined ? null : { boot: row.name.slice(6), uptime: Number(row.pos), at: row.at.getTime() },
      ),
    ),

    beat: ({ boot, uptime, at }: Beat) =>
      fenced(
        sql,
        sql`
      WITH older AS (
        DELETE FROM checkpoints WHERE name LIKE 'clock %' AND name NOT IN ('clock doubted', ${`clock ${boot}`}))
      INSERT INTO checkpoints (name, pos, at)
      VALUES (${`clock ${boot}`}, ${Math.round(uptime)}::bigint, to_timestamp(${at}::float8 / 1000.0))
      ON CONFLICT (name) DO UPDATE SET pos = excluded.pos, at = excluded.at`,
      ).pipe(Effect.asVoid),

    /** Of what is stored: the newest decision, the newest seal; 0: there is none. */
    newest: sql<{ decided: Date | null; sealed: Date | null }>`
    SELECT (SELECT at FROM events ORDER BY pos DESC LIMIT 1) AS decided,
      (SELECT at FROM seals ORDER BY position DESC LIMIT 1) AS sealed`.pipe(
      Effect.map(([row]): Millis => Math.max(row?.decided?.getTime() ?? 0, row?.sealed?.getTime() ?? 0)),
    ),

    doubt: sql<{ pos: bigint; at: Date }>`SELECT pos, at FROM checkpoints WHERE name = 'clock doubted'`.pipe(
      Effect.map(([row]): Doubt | null =>
        row === undefined ? null : { by: Number(row.pos), at: row.at.getTime() },
      ),
    ),

    saveDoubt: ({ at, by }: Doubt) =>
      fenced(
        sql,
        sql`
      INSERT INTO checkpoints (name, pos, at)
      VALUES ('clock doubted', ${Math.round(by)}::bigint, to_timestamp(${at}::float8 / 1000.0))
      ON CONFLICT (name) DO UPDATE SET pos = excluded.pos, at = excluded.at`,
      ).pipe(Effect.asVoid),

    clearDoubt: fenced(sql, sql`DELETE FROM checkpoints WHERE name = 'clock doubted'`).pipe(Effect.asVoid),
  })
