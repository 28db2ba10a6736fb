/**
 * A server that is told to stop, as a process: what is under way is decided and answered, what became of NOTIFYs is written down,
 * and so are the tables.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { on } from "../../support/checked-store.ts"
import { commandFile } from "../../support/command-file.ts"
import { compileCache } from "../../support/compile-cache.ts"
import { freePort, sharedPostgres } from "../../support/postgres.ts"
import { ofTests } from "../../support/reaper.ts"
import { answer, openPhone, pidf, script, tuple } from "../../support/sip-client.ts"

const main = commandFile()
const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const serve = async (context: TestContext, url: string) => {
  const port = await freePort()
  const settings = ["--database-url", url, "--set", "db_update_period=0", "--set", "notify_min_interval=0"]
  const server = ofTests(
    spawn(
      process.execPath,
      [main, "serve", "--listen", `udp:127.0.0.1:${port}`, "--admin", "off", ...settings],
      {
        stdio: ["ignore", "pipe", "inherit"],
        env: { ...process.env, ...compileCache },
      },
    ),
  )
  await new Promise<void>((resolve) => {
    server.stdout!.on("data", (bytes: Buffer) => {
      if (bytes.toString().includes("ready in")) resolve()
    })
  })
  const phone = await openPhone({ portOf: () => port }, "udp")
  context.onTestFinished(() => phone.close())
  const gone = once(server, "exit")
  return { phone, gone, tellToStop: () => server.kill("SIGTERM") }
}

describe.skipIf(cluster === null)("a server process that is told to stop", () => {
  it(
    "waits for the answer to a NOTIFY that has left, and writes down that it came",
    { tags: ["L08", "OPS-stop"] },
    async (context) => {
      const url = cluster!.database()
      const { phone, gone, tellToStop } = await serve(context, url)
      const watcher = script(phone, { user: "bob" })
      await watcher.subscribe()
      const notify = await watcher.notify()
      tellToStop()
      answer(phone, notify)
      await gone
      assert.deepEqual(await on(url, "SELECT cause FROM events ORDER BY pos"), [
        { cause: "Subscribe" },
        { cause: "RecordDeliveries" },
      ])
    },
  )

  it("writes the tables, whatever their period", { tags: ["OPS-stop", "TBL-4"] }, async (context) => {
    const url = cluster!.database()
    const { phone, gone, tellToStop } = await serve(context, url)
    const { raw } = await script(phone, { user: "alice" }).publish({}, pidf(tuple("t", "open")))
    assert.equal(raw.status, 200)
    tellToStop()
    await gone
    assert.deepEqual(await on(url, "SELECT username FROM presentity"), [{ username: "alice" }])
  })
})
