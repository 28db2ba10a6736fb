/**
 * What two servers that wrote to one log at once left behind: checkpoints that went past what only the other still had to write.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import { checked, live, on } from "../../support/checked-store.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, script } from "../../support/sip-client.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe.skipIf(cluster === null)("a log that two servers wrote to", () => {
  const lived = async (): Promise<string> => {
    const url = cluster!.database()
    const server = await startPresence({ memory: false, database_url: url })
    await live(server.udpPort)
    await server.stop()
    assert.equal((await checked({ database_url: url }, { fromStart: true })).after, 0)
    return url
  }

  it(
    "what was acknowledged is there after a start, though the checkpoint says that all of it was written down",
    { tags: ["L04", "OPS-writer"] },
    async () => {
      const url = await lived()
      // as when the other one moved the checkpoint, and this one was killed
      await on(url, "DELETE FROM snapshots", "DELETE FROM presentity", "DELETE FROM watchers")
      const { report } = await checked({ database_url: url })
      assert.ok(
        report.differences.some(({ table, key }) => table === "snapshots" && key === "sip:alice@example.com"),
      )
      assert.ok(report.differences.some(({ table, kind }) => table === "presentity" && kind === "missing"))
      const again = await startPresence({ memory: false, database_url: url })
      const phone = await openPhone(again, "udp")
      const carol = script(phone, { user: "carol" })
      await carol.subscribe({ Expires: "0" })
      const told = await carol.notify()
      answer(phone, told)
      assert.match(told.raw.body.toString(), /open/)
      phone.close()
      await again.stop()
      assert.equal((await checked({ database_url: url }, { fromStart: true })).after, 0)
    },
  )

  it(
    "verify finds snapshots, rows and a checkpoint that are not the log's, and --repair mends them from it",
    { tags: ["L05", "OPS-writer"] },
    async () => {
      const url = await lived()
      await on(
        url,
        "UPDATE snapshots SET version = version - 1",
        "DELETE FROM active_watchers",
        "UPDATE checkpoints SET pos = pos + 1000 WHERE name = 'tables'",
      )
      const found = await checked({ database_url: url })
      const named = found.report.differences.map(({ table, column }) => `${table} ${column}`)
      assert.ok(named.includes("checkpoints pos"), named.join())
      const repaired = await checked({ database_url: url }, { repair: true, fromStart: true })
      assert.equal(repaired.after, 0)
      assert.equal((await checked({ database_url: url }, { fromStart: true })).after, 0)
      const events = await on(
        url,
        "SELECT (SELECT max(pos) FROM events) = (SELECT pos FROM checkpoints WHERE name = 'tables') AS same",
      )
      assert.deepEqual(events, [{ same: true }])
    },
  )
})
