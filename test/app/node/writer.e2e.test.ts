/**
 * A whole server whose log somebody takes: what it then says on the wire and over its management port.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import { on } from "../../support/checked-store.ts"
import { holds } from "../../support/condition.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../../support/sip-client.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe.skipIf(cluster === null)("a server whose log somebody took", () => {
  it(
    "says 503 for what would have been 412 or a list, repeats no NOTIFY, and names who has the log",
    { tags: ["OPS-writer"] },
    async (context) => {
      const url = cluster!.database()
      const server = await startPresence({
        memory: false,
        database_url: url,
        admin: "127.0.0.1:0",
        domain: ["example.com"],
      })
      const phone = await openPhone(server, "udp")
      context.onTestFinished(async () => {
        phone.close()
        await server.stop()
      })
      const get = async (path: string): Promise<string> => {
        const answered = await fetch(`${server.admin}${path}`)
        return `${answered.status} ${await answered.text()}`
      }
      const alice = script(phone, { user: "alice" })
      assert.equal((await alice.publish({ Expires: "600" }, pidf(tuple("phone", "open")))).raw.status, 200)
      const strange = () =>
        alice.publish({ Expires: "600", "SIP-If-Match": "none" }, pidf(tuple("p", "open")))
      assert.equal((await strange()).raw.status, 412)
      const watcher = await openPhone(server, "udp")
      context.onTestFinished(() => watcher.close())
      const bob = script(watcher, { user: "bob" })
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
      answer(watcher, await bob.notify())
      const other = script(phone, { user: "alice" })
      assert.equal((await other.publish({ Expires: "600" }, pidf(tuple("desk", "open")))).raw.status, 200)
      // not answered: it is repeated after 0.5, 1, 2 and 4 s
      const first = await bob.notify()
      assert.match(
        await get("/status"),
        /"writer":\{"role":"writer","sure":true,"of":\{"program":"a presently server"/,
      )
      assert.match(await get("/metrics"), /^presently_writer_epoch 1$/m)

      await on(
        url,
        "UPDATE writers SET epoch = epoch + 1, program = 'presently serve', host = 'b', pid = 7, version = '9'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'presently writer %' AND datname = current_database()",
      )
      await holds("it noticed", async () => (await get("/status")).includes('"role":"lost"'))
      // what came before that
      for (let more = true; more;) {
        more = await watcher
          .next(() => true, 100)
          .then(
            () => true,
            () => false,
          )
      }
      assert.equal((await strange()).raw.status, 503)
      assert.match(
        await get("/v1/presentities"),
        /^503 .*is taken by presently serve 9, pid 7 on host b, since /,
      )
      assert.match(await get("/ready"), /^503 not ready: /)
      assert.match(await get("/live"), /^200/)
      assert.match(await get("/metrics"), /^presently_writer_lapses_total 1$/m)
      await watcher.hearsNothing(4500)
      answer(watcher, first)
    },
  )
})
