/**
 * `presently erase` as its users have it: on PostgreSQL and on the embedded database, after a server that was in use.
 */
import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, it } from "vitest"
import { answer, openPhone, pidf, script, tuple } from "../../support/sip-client.ts"
import { filesWith } from "../../support/files.ts"
import { startPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { patient, run } from "./command.ts"

const cluster = await startPostgres()
const folder = mkdtempSync(join(tmpdir(), "presently-erase-"))
afterAll(() => {
  cluster?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const zerlinde = "sip:zerlinde@example.com"

/**
 * Somebody of whom nothing else has the name publishes, is watched, and watches.
 *
 * @returns what must not be found afterwards
 */
const lived = async (port: number): Promise<readonly string[]> => {
  const phone = await openPhone({ portOf: () => port }, "udp")
  const body = pidf(tuple("zerlinde-phone", "open"))
  const device = script(phone, { user: "zerlinde", presentity: zerlinde })
  assert.equal((await device.publish({ Expires: "600" }, body)).raw.status, 200)
  const bob = script(phone, { user: "bob", presentity: zerlinde })
  assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
  answer(phone, await bob.notify())
  const watching = script(phone, { user: "zerlinde", presentity: "sip:bob@example.com" })
  assert.equal((await watching.subscribe({ Expires: "600" })).raw.status, 200)
  answer(phone, await watching.notify())
  assert.equal((await watching.subscribe({ Expires: "900" })).raw.status, 200)
  answer(phone, await watching.notify())
  phone.close()
  return ["zerlinde", device.callId, watching.callId]
}

describe.skipIf(cluster === null)("erase", () => {
  for (const store of ["PostgreSQL", "embedded"] as const) {
    it(
      `T38 CLI: nothing of the person is in any file of ${store}, and verify finds nothing wrong`,
      patient,
      async () => {
        const url = store === "PostgreSQL" ? cluster!.database() : null
        const data = url === null ? join(folder, "data") : null
        const place = url === null ? ["--data", data!] : ["--database-url", url]
        const server = await startPresence({ memory: false, database_url: url, data, erasable: true })
        let words: readonly string[] = []
        try {
          words = await lived(server.udpPort)
          const busy = await run(["erase", zerlinde, ...place])
          assert.notEqual(busy.code, 0)
          assert.match(
            busy.stderr,
            url === null ? /in use/ : /nobody was erased: a server is at work on this database/,
          )
        } finally {
          await server.stop()
        }
        const files = url === null ? data! : cluster!.data
        assert.notDeepEqual(filesWith(files, words), [])
        const erased = await run(["erase", zerlinde, ...place])
        assert.equal(erased.code, 0, erased.stderr)
        const standIn = /^erased; the log says (sip:erased-[0-9a-f]{12}@erased\.invalid) from now on/.exec(
          erased.stdout,
        )?.[1]
        assert.ok(standIn !== undefined && !erased.stdout.includes("left to do"), erased.stdout)
        assert.deepEqual(filesWith(files, words), [])
        for (const more of [[], ["--from-start"]]) {
          const verified = await run(["verify", ...place, ...more])
          assert.equal(verified.code, 0, verified.stdout + verified.stderr)
        }
        const bob = await run(["history", "sip:bob@example.com", ...place])
        assert.ok(bob.stdout.includes(standIn), bob.stdout + bob.stderr)
        const file = join(folder, `${store}.case`)
        const exported = await run(["export", "--case", file, ...place, "sip:bob@example.com", standIn])
        assert.equal(exported.code, 0, exported.stderr)
        const text = readFileSync(file, "utf8")
        assert.ok(text.includes(standIn) && !words.some((word) => text.includes(word)))
        const again = await run(["erase", zerlinde, ...place])
        assert.match(again.stderr, /nobody was erased: the log knows nobody called sip:zerlinde@example\.com/)
        assert.equal(again.code, 1)
      },
    )
  }
})
