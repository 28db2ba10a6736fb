/**
 * A server whose stop has more to write than its time suffices for: what is not written then is made up for by the next start,
 * but the log is handed back, so that no successor has to wait for it.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Logger, Scope } from "effect"
import { afterAll, describe, it } from "vitest"
import { readConfig } from "../../../src/app/config/config.ts"
import { startServer } from "../../../src/app/server/start-server.ts"
import { on } from "../../support/checked-store.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { openPhone, pidf, script, tuple } from "../../support/sip-client.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const people = 40

/** Each person's row of a table takes so long that not all can be written by the end. */
const slowTable = [
  "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.25); RETURN NEW; END $$",
  "CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON presentity FOR EACH ROW EXECUTE FUNCTION slow()",
]

describe.skipIf(cluster === null)("a stop that does not come to its end", () => {
  it("hands the log back all the same", { tags: ["OPS-stop"] }, async (context) => {
    const url = cluster!.database()
    const defaults = { listen: ["udp:127.0.0.1:0"], admin: "off", database_url: url, db_update_period: 0 }
    const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults })
    const scope = Effect.runSync(Scope.make())
    const server = await Effect.runPromise(
      startServer(config, { stopWithin: "4 seconds" }).pipe(
        Scope.provide(scope),
        Effect.provide(Logger.layer([])),
      ),
    )
    await Effect.runPromise(server.ready)
    await on(url, ...slowTable)
    const port = Number(server.addresses()[0]!.split(":").at(-1))
    const phone = await openPhone({ portOf: () => port }, "udp")
    context.onTestFinished(() => phone.close())
    for (let person = 0; person < people; person++) {
      const { raw } = await script(phone, { user: `p${person}` }).publish({}, pidf(tuple("t", "open")))
      assert.equal(raw.status, 200)
    }
    await Effect.runPromise(Scope.close(scope, Exit.void))
    const [row] = (await on(
      url,
      `SELECT (SELECT count(*)::int FROM presentity) AS written, (SELECT application FROM writers) AS holder,
         (SELECT count(*)::int FROM claims WHERE ended IS NULL) AS held`,
    )) as readonly { written: number; holder: string; held: number }[]
    assert.ok(row!.written < people, `${row!.written} were written: the stop had time enough`)
    assert.deepEqual([row!.holder, row!.held], ["", 0])
  })
})
