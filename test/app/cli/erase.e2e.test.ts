/**
 * `presently erase` as its users have it: on PostgreSQL and on the embedded database, after a server that was in use.
 */
import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, it } from "vitest"
import { emptyEmbedded } from "../../support/embedded.ts"
import { filesWith } from "../../support/files.ts"
import { startPostgres } from "../../support/postgres.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../../support/sip-client.ts"
import type { Phone } from "../../support/sip-client.ts"
import { patient, runHere } from "./command.ts"

const cluster = await startPostgres(false)
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
const lived = async (phone: Phone) => {
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
  return { bob, watching, words: ["zerlinde", device.callId, watching.callId] }
}

describe.skipIf(cluster === null)("erase", () => {
  for (const store of ["PostgreSQL", "embedded"] as const) {
    it(
      `nothing of the person is in any file of ${store}, and verify finds nothing wrong`,
      { ...patient, tags: ["T38", "CLI"] },
      async () => {
        const url = store === "PostgreSQL" ? cluster!.database() : null
        const data = url === null ? await emptyEmbedded(join(folder, "data")) : null
        const place = url === null ? ["--data", data!] : ["--database-url", url]
        const server = await startPresence({ memory: false, database_url: url, data, erasable: true })
        const phone = await openPhone(server, "udp")
        let words: readonly string[] = []
        try {
          words = (await lived(phone)).words
          const busy = await runHere(["erase", zerlinde, ...place])
          assert.notEqual(busy.code, 0)
          assert.match(busy.stderr, /is taken by a presently server .*: stop that one first/)
        } finally {
          phone.close()
          await server.stop()
        }
        const files = url === null ? data! : cluster!.data
        assert.notDeepEqual(filesWith(files, words), [])
        const erased = await runHere(["erase", zerlinde, ...place])
        assert.equal(erased.code, 0, erased.stderr)
        const standIn = /^erased; the log says (sip:erased-[\w-]{16}@erased\.invalid) from now on/.exec(
          erased.stdout,
        )?.[1]
        assert.ok(standIn !== undefined && !erased.stdout.includes("left to do"), erased.stdout)
        assert.deepEqual(filesWith(files, words), [])
        const verified = await runHere(["verify", ...place, "--from-start"])
        assert.equal(verified.code, 0, verified.stdout + verified.stderr)
        const bob = await runHere(["history", "sip:bob@example.com", ...place])
        assert.ok(bob.stdout.includes(standIn), bob.stdout + bob.stderr)
        const file = join(folder, `${store}.case`)
        const exported = await runHere(["export", "--case", file, ...place, "sip:bob@example.com", standIn])
        assert.equal(exported.code, 0, exported.stderr)
        const text = readFileSync(file, "utf8")
        assert.ok(text.includes(standIn) && !words.some((word) => text.includes(word)))
        const again = await runHere(["erase", zerlinde, ...place])
        assert.match(again.stderr, /nobody was erased: the log knows nobody called sip:zerlinde@example\.com/)
        assert.equal(again.code, 1)
      },
    )

    it(
      `a running server on ${store} tells those who watch, forgets the person and goes on`,
      { ...patient, tags: ["T38", "CLI"] },
      async () => {
        const url = store === "PostgreSQL" ? cluster!.database() : null
        const data = url === null ? await emptyEmbedded(join(folder, "live")) : null
        const files = url === null ? data! : cluster!.data
        const place = url === null ? ["--data", data!] : ["--database-url", url]
        const server = await startPresence({
          memory: false,
          database_url: url,
          data,
          erasable: true,
          admin: "127.0.0.1:0",
        })
        const phone = await openPhone(server, "udp")
        const others = await openPhone(server, "udp")
        const admin = ["--admin", new URL(server.admin!).host]
        let words: readonly string[] = []
        try {
          const hers = await lived(phone)
          words = hers.words
          const carol = script(others, { user: "carol", presentity: "sip:bob@example.com" })
          await carol.subscribe({ Expires: "600" })
          answer(others, await carol.notify())
          const erasing = runHere(["erase", zerlinde, ...admin])
          await hers.bob.notified({ state: "terminated;reason=noresource" })
          await hers.watching.notified({ state: "terminated;reason=noresource", body: null })
          const erased = await erasing
          assert.equal(erased.code, 0, erased.stderr)
          assert.match(
            erased.stdout,
            /^erased; the log says sip:erased-[\w-]{16}@erased\.invalid from now on/,
          )
          assert.ok(erased.stdout.includes("2 presentities") && !erased.stdout.includes("left to do"))
          assert.deepEqual(filesWith(files, words), [])
          const again = await runHere(["erase", zerlinde, ...admin])
          assert.match(
            again.stderr,
            /nobody was erased: the log knows nobody called sip:zerlinde@example\.com/,
          )
          // whom she watched is watched by others as before
          const bob = script(others, { user: "bob", presentity: "sip:bob@example.com" })
          const body = pidf(tuple("bob-phone", "open")).replace('entity="sip:alice', 'entity="sip:bob')
          assert.equal((await bob.publish({ Expires: "600" }, body)).raw.status, 200)
          await carol.notified({ state: "active", body })
          const gone = await hers.watching.subscribe({ Expires: "900" })
          assert.equal(gone.raw.status, 481)
        } finally {
          phone.close()
          others.close()
          await server.stop()
        }
        assert.deepEqual(filesWith(files, words), [])
        for (const more of url === null ? ["--from-start"] : ["--from-start", "--drift"]) {
          const verified = await runHere(["verify", ...place, more])
          assert.equal(verified.code, 0, verified.stdout + verified.stderr)
        }
      },
    )
  }

  it(
    "decisions by rules that named the person are left out when the log is decided again",
    { ...patient, tags: ["T38", "CLI"] },
    async () => {
      const place = ["--database-url", cluster!.database()]
      const settings = { policy: "rules", no_rules: "block" } as const
      const server = await startPresence({
        memory: false,
        database_url: place[1]!,
        admin: "127.0.0.1:0",
        ...settings,
      })
      const phone = await openPhone(server, "udp")
      try {
        const rules = join(folder, "rules.xml")
        writeFileSync(rules, ruleset(ruleFor(zerlinde, "allow")))
        const admin = ["--admin", new URL(server.admin!).host]
        const put = await runHere(["rules", "put", "sip:bob@example.com", rules, ...admin])
        assert.equal(put.code, 0, put.stderr)
        const hers = script(phone, { user: "zerlinde", presentity: "sip:bob@example.com" })
        assert.equal((await hers.subscribe({ Expires: "600" })).raw.status, 200)
        answer(phone, await hers.notify())
      } finally {
        phone.close()
        await server.stop()
      }
      const asked = [
        ...place,
        ...Object.entries(settings).flatMap(([key, value]) => ["--set", `${key}=${value}`]),
      ]
      assert.match((await runHere(["verify", "--drift", ...asked])).stdout, /, 0 would be another today$/m)
      assert.equal((await runHere(["erase", zerlinde, ...place])).code, 0)
      const drift = await runHere(["verify", "--drift", ...asked])
      assert.equal(drift.code, 0, drift.stdout + drift.stderr)
      const told = /, 0 would be another today; .*1 left out, which depend on somebody who was erased$/m
      assert.match(drift.stdout, told)
      const file = join(folder, "rules.case")
      assert.equal((await runHere(["export", "--case", file, ...asked, "sip:bob@example.com"])).code, 0)
      const replayed = await runHere(["replay", file, "--drift"])
      assert.equal(replayed.code, 0, replayed.stdout + replayed.stderr)
      assert.match(replayed.stdout, /decides the same, 1 left out, which depend on somebody who was erased$/m)
    },
  )

  it(
    "whoever comes back after being erased is somebody new, and requests of others are answered all the while",
    { ...patient, tags: ["T38", "CLI"] },
    async () => {
      const server = await startPresence({
        memory: false,
        database_url: cluster!.database(),
        admin: "127.0.0.1:0",
      })
      const phone = await openPhone(server, "udp")
      const others = await openPhone(server, "udp")
      const admin = ["--admin", new URL(server.admin!).host]
      try {
        const standIns: string[] = []
        const statuses: (number | null)[] = []
        for (let life = 1; life <= 2; life++) {
          const { bob } = await lived(phone)
          let isOver = false
          const erasing = runHere(["erase", zerlinde, "--json", ...admin]).finally(() => (isOver = true))
          const told = bob.notified({ state: "terminated;reason=noresource" })
          while (!isOver) {
            const user = `carol-${statuses.length % 50}-${life}`
            const carol = script(others, { user, presentity: `sip:${user}@example.com` })
            statuses.push((await carol.publish({ Expires: "600" }, pidf(tuple("c", "open")))).raw.status)
          }
          await told
          const erased = await erasing
          assert.equal(erased.code, 0, erased.stderr)
          standIns.push((JSON.parse(erased.stdout) as { standIn: string }).standIn)
        }
        assert.ok(statuses.length > 20, `${statuses.length}`)
        assert.deepEqual(new Set(statuses), new Set([200]))
        assert.notEqual(standIns[0], standIns[1])
        for (const standIn of standIns) {
          const history = await runHere(["history", standIn, ...admin, "--json"])
          assert.equal(history.code, 0, history.stderr)
          const [first] = history.stdout.split("\n")
          assert.equal((JSON.parse(first!) as { version: number }).version, 1)
        }
      } finally {
        phone.close()
        others.close()
        await server.stop()
      }
    },
  )
})
