/**
 * A store examined from outside while tests use it: statements, checks, a server with live state.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { readConfig } from "../../src/app/config/config.ts"
import type { SettingName } from "../../src/app/config/settings.ts"
import { checkStore } from "../../src/app/integrity/verify-store.ts"
import type { CheckedStore } from "../../src/app/integrity/verify-store.ts"
import type { VerifyOptions } from "../../src/app/integrity/verify.ts"
import { answer, openPhone, pidf, script, tuple } from "./sip-client.ts"

export const on = (url: string, ...statements: readonly string[]): Promise<readonly unknown[]> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const sql = yield* PgClient.PgClient
      let rows: readonly unknown[] = []
      for (const statement of statements) rows = yield* sql.unsafe(statement)
      return rows
    }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))) as Effect.Effect<
      readonly unknown[]
    >,
  )

/** `presently verify` without a process of its own. */
export const checked = (
  settings: Readonly<Partial<Record<SettingName, unknown>>>,
  options: Partial<VerifyOptions> = {},
): Promise<CheckedStore> => {
  const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults: settings })
  const all = { fromStart: false, repair: false, ...options }
  return Effect.runPromise(checkStore(config, "verify", all) as Effect.Effect<CheckedStore>)
}

/** Alice publishes, Bob watches. */
export const live = async (port: number): Promise<void> => {
  const phone = await openPhone({ portOf: () => port }, "udp")
  const body = pidf(tuple("phone", "open"))
  assert.equal((await script(phone, { user: "alice" }).publish({ Expires: "600" }, body)).raw.status, 200)
  const bob = script(phone, { user: "bob" })
  assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
  answer(phone, await bob.notify())
  phone.close()
}
