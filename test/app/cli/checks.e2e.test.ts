/**
 * `presently verify`, `projections rebuild` and `doctor` as their users have them: what they say, and what they end with.
 */
import assert from "node:assert/strict"
import { chmodSync } from "node:fs"
import { afterAll, describe, it } from "vitest"
import type { Check } from "../../../src/app/doctor/check.ts"
import { verifyText } from "../../../src/app/integrity/report.ts"
import { checked, live, on } from "../../support/checked-store.ts"
import { emptyEmbedded } from "../../support/embedded.ts"
import { emptyFolder } from "../../support/moving.ts"
import { freePort, sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, script } from "../../support/sip-client.ts"
import { fileOf, patient, runHere, start } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

describe("verify without the flags of a store", () => {
  it(
    "asks the server that --admin names, and says so when there is none",
    { ...patient, tags: ["CLI"] },
    async () => {
      const refused = await verify("--admin", "127.0.0.1:1", "--from-start")
      assert.match(refused.stderr, /nobody answers at 127\.0\.0\.1:1: start a server there/)
      assert.equal(refused.code, 69)
      const { stdout } = await runHere(["verify", "--help"])
      assert.match(
        stdout,
        /The flags of its store say where the log is .*without them the server at --admin is asked/,
      )
      assert.match(stdout, /--repair +rewrite the rows and snapshots that differ: of a running server, or/)
    },
  )
})

const verify = async (...args: readonly string[]) => {
  const ended = await runHere(["verify", ...args])
  return { ...ended, lines: ended.stdout.trimEnd().split("\n") }
}

describe.skipIf(cluster === null)("snapshots that say something else than the log", () => {
  it(
    "verify --from-start names the command that mends, a plain repair says what it did not compare, and each is said in words",
    { ...patient, tags: ["L05", "CLI"] },
    async () => {
      const url = cluster!.database()
      const server = await startPresence({
        memory: false,
        database_url: url,
        admin: "127.0.0.1:0",
        db_update_period: 1,
      })
      await live(server.portOf("udp"))
      await server.stop()
      const asked = ["--database-url", url, "--tables-only"]
      const dialogs = "(state::jsonb -> 'dialogs')"
      await on(
        url,
        `UPDATE snapshots SET state = jsonb_set(state::jsonb, '{dialogs}', jsonb_set(${dialogs}, '{0,6}', '{"callId":"other"}'))::json
         WHERE json_array_length(state -> 'dialogs') > 0`,
      )
      assert.equal((await verify(...asked)).code, 0)
      const found = await verify("--from-start", ...asked)
      assert.equal(found.code, 1)
      assert.match(
        found.stderr,
        /1 difference: presently verify --repair --from-start rewrites what differs$/m,
      )
      const [line = ""] = found.lines
      const [, log, table] = /the log says (".*"), the table says (".*")$/.exec(line) ?? []
      assert.ok(log !== undefined && log !== table, line)
      assert.match(table!, /other/)
      assert.match(found.lines.at(-1)!, /^1 difference in /)
      const plain = await runHere(["verify", "--repair", "--database-url", url])
      assert.match(
        plain.stdout,
        /0 rows and snapshots rewritten, 0 differences left; what snapshots say was not/,
      )
      const whole = await runHere(["verify", "--repair", "--from-start", "--database-url", url])
      assert.match(whole.stdout, /1 row or snapshot rewritten, 0 differences left\n$/)
      assert.equal((await verify("--from-start", ...asked)).code, 0)

      await on(url, "UPDATE snapshots SET state = '{\"shape\": 1}' WHERE state IS NOT NULL")
      const odd = await verify(...asked)
      assert.match(odd.lines[0]!, /unreadable: it has no list publications, subscriptions/)
      assert.match(odd.stderr, /presently verify --repair rewrites what differs/)
      await runHere(["verify", "--repair", "--database-url", url])
      assert.equal((await verify("--from-start", ...asked)).code, 0)

      const again = await startPresence({ memory: false, database_url: url, admin: "127.0.0.1:0" })
      const answered = await fetch(`${again.admin}/v1/tables/repair`, { method: "POST" })
      assert.equal(answered.status, 200, await answered.text())
      const spoilt = await fetch(`${again.admin}/v1/tables/repair`, { method: "POST", body: "{" })
      assert.equal(spoilt.status, 400)
      await again.stop()
    },
  )
})

describe.skipIf(cluster === null)("checks of a store on PostgreSQL", { concurrent: true }, () => {
  it(
    "after kill -9 nothing is lost, what lags is told, and the next start makes it good",
    { ...patient, tags: ["OPS-fallback2db", "OPS-db_update_period", "L05", "CLI"] },
    async () => {
      await Promise.all(
        ["0", "1"].map(async (fallback2db) => {
          const url = cluster!.database()
          const settings = ["db_update_period=86400", "log=json", `fallback2db=${fallback2db}`]
          const server = start([
            "serve",
            "--database-url",
            url,
            "--listen",
            "udp:127.0.0.1:0",
            "--admin",
            "off",
            ...settings.flatMap((one) => ["--set", one]),
          ])
          const said = await server.says(/ready in/)
          await live(Number(/"udp:127\.0\.0\.1:(\d+)"/.exec(said)?.[1]))
          server.signal("SIGKILL")
          await server.ended
          const { report } = await checked({ database_url: url }, { fromStart: true })
          assert.ok(report.lag >= 2)
          assert.deepEqual(
            [report.differences, report.rows],
            [[], { presentity: 0, active_watchers: 0, watchers: 0 }],
          )
          const again = await startPresence({ memory: false, database_url: url, db_update_period: 0 })
          const phone = await openPhone(again, "udp")
          const carol = script(phone, { user: "carol" })
          await carol.subscribe({ Expires: "0" })
          const told = await carol.notify()
          answer(phone, told)
          assert.match(told.raw.body.toString(), /open/)
          phone.close()
          await again.stop()
          const after = await checked({ database_url: url }, { fromStart: true })
          assert.match(
            verifyText(after.store, after.report),
            /\npresentity 1 rows, active_watchers 1, watchers 1\n0 differences in /,
          )
        }),
      )
    },
  )

  it(
    "verify names every difference while a server runs, --repair and rebuild leave none, a broken log is told",
    { ...patient, tags: ["L05", "CLI"] },
    async () => {
      const url = cluster!.database()
      const server = await startPresence({
        memory: false,
        database_url: url,
        db_update_period: 1,
        admin: "127.0.0.1:0",
      })
      const asked = ["--admin", server.admin!]
      await live(server.udpPort)
      const rows = "SELECT count(*)::int AS n FROM watchers"
      while (((await on(url, rows))[0] as { n: number }).n === 0) {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      await on(
        url,
        "UPDATE presentity SET expires = 7, sender = NULL",
        "DELETE FROM active_watchers",
        "INSERT INTO watchers (presentity_uri, watcher_username, watcher_domain, status, inserted_time) VALUES ('u', 'x', 'y', 1, 2)",
      )
      const spoilt = await verify("--database-url", url)
      assert.equal(spoilt.code, 1)
      assert.match(spoilt.stderr, /^presently: 4 differences: presently verify --repair rewrites/)
      assert.match(
        spoilt.lines.slice(0, 4).join("\n"),
        new RegExp(
          [
            "^presentity username=alice domain=example.com event=presence etag=[^ ]+: expires: the log says \\d+, the table says 7",
            'presentity [^\\n]+: sender: the log says "", the table says null',
            "watchers presentity_uri=u watcher_username=x watcher_domain=y event=presence: the table has this row, the log does not",
            "active_watchers presentity_uri=sip:alice@example.com callid=[^\\n]+: the log has this row, the table does not$",
          ].join("\\n"),
        ),
      )
      // whoever has the log repairs what follows from it
      for (const command of [
        ["verify", "--repair"],
        ["projections", "rebuild"],
        ["compact", "--set", "retention=30"],
      ]) {
        const refused = await runHere([...command, "--database-url", url])
        assert.equal(refused.code, 74)
        assert.match(
          refused.stderr,
          /^presently: PostgreSQL at .* is taken by a presently server .* since .*: stop that one first$/m,
        )
      }
      const repaired = await verify("--repair", ...asked)
      assert.deepEqual([repaired.code, repaired.stderr], [0, ""])
      assert.equal(repaired.lines.length, 5)
      assert.match(
        repaired.lines.at(-1)!,
        /, 3 rows and snapshots rewritten in [\d.]+ s, 0 differences left; what snapshots say was not compared/,
      )
      await on(url, "UPDATE presentity SET body = NULL", "UPDATE snapshots SET version = 1, state = NULL")
      assert.equal((await checked({ database_url: url }, { fromStart: true })).after, 2)
      const rebuilt = await runHere(["projections", "rebuild", ...asked])
      assert.equal(rebuilt.code, 0, rebuilt.stderr)
      // one when the server has had something to write meanwhile
      assert.match(
        rebuilt.stdout,
        /, (1 row or snapshot|2 rows and snapshots) rewritten in [\d.]+ s, 0 differences left\n$/,
      )
      await server.stop()

      await on(
        url,
        `UPDATE events SET events = '[{"_tag":"Nothing"}]' WHERE version = 2`,
        "UPDATE presentity SET expires = 7",
      )
      const broken = await verify("--database-url", url, "--from-start", "--repair")
      assert.equal(broken.code, 1)
      assert.match(broken.stdout, /^events sip:alice@example\.com version 2 at position 2: /)
      assert.match(broken.stderr, /the log itself cannot be read there/)
      // nothing is written of a stream that cannot be read
      assert.deepEqual(await on(url, "SELECT expires FROM presentity"), [{ expires: 7 }])
      // the last one is what is known of NOTIFYs, if that was all written when the server stopped
      const [head] = await on(url, "SELECT max(version)::int AS version FROM events")
      await on(url, "DELETE FROM events WHERE version >= 2")
      const gap = await checked({ database_url: url })
      assert.match(
        verifyText(gap.store, gap.report),
        new RegExp(
          `^events sip:alice@example\\.com: its head stands at ${String((head as { readonly version: number }).version)}, its newest decision is 1\\n`,
        ),
      )
    },
  )

  it(
    "CLI: doctor says what is well beside a running server, and of everything that is not what to do",
    patient,
    async (context) => {
      const url = cluster!.database()
      const adminPort = await freePort()
      const users = fileOf(context, "users", `alice:example.com:${"0".repeat(64)}\n`)
      chmodSync(users, 0o600)
      const server = await startPresence({
        memory: false,
        database_url: url,
        admin: `127.0.0.1:${adminPort}`,
      })
      const flags = (listen: number) => [
        "doctor",
        "--listen",
        `udp:127.0.0.1:${listen}`,
        "--users-file",
        users,
        "--admin",
        `127.0.0.1:${adminPort}`,
      ]
      const well = await runHere([...flags(server.udpPort), "--database-url", url])
      assert.equal(well.code, 0, well.stdout)
      for (const line of [
        /^ok {4}config: \d+ settings given, no fault$/m,
        /^ok {4}server: http:\/\/127\.0\.0\.1:\d+\/ready says ready$/m,
        /^ok {4}udp:127\.0\.0\.1:\d+: in use, and a server answers$/m,
        /^ok {4}store: PostgreSQL at .* answers, version \d/m,
        /^ok {4}clock: -?\d+ ms between/m,
        /^ok {4}migrations: (\d+) of \1$/m,
        /^ok {4}lag: 0 decisions/m,
        /^ok {4}snapshots: /m,
        /^ok {4}tables: 0 rows, 0 differences from the log$/m,
        /^ok {4}users_file: /m,
        /^(?:ok {4}|warn {2})open files: /m,
      ])
        assert.match(well.stdout, line)
      await server.stop()

      const taken = await startPresence({ memory: true })
      await on(url, "INSERT INTO watchers VALUES (9, 'u', 'x', 'y', 'presence', 1, '', 2)")
      chmodSync(users, 0o644)
      const folder = emptyFolder(context)
      const ill = await runHere([
        ...flags(taken.udpPort),
        "--database-url",
        url,
        "--rules-dir",
        folder,
        "--json",
        "--set",
        "subs_htable_size=8",
      ])
      assert.equal(ill.code, 1)
      const checks = ill.stdout
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line) as Check)
      const of = (what: RegExp) => checks.find((one) => what.test(one.what) && one.status !== "ok")
      assert.match(of(/^udp:/)?.fix ?? "", /^stop what uses it/)
      assert.match(
        of(/^tables/)?.detail ?? "",
        /^1 differences from the log, the first: watchers .*the log does not$/,
      )
      assert.deepEqual([of(/^users_file/)?.status, of(/^users_file/)?.fix], ["warn", `chmod 640 ${users}`])
      assert.equal(of(/^rules_dir/)?.status, "bad")
      assert.match(of(/^config/)?.detail ?? "", /subs_htable_size .* changes nothing/)
      assert.equal(ill.stderr, "presently: 3 things are bad; see above\n")
      await taken.stop()

      const theirs = cluster!.database()
      await on(theirs, "CREATE TABLE presentity (id serial)", "CREATE TABLE version (table_name text)")
      const own = [
        "--listen",
        "udp:192.0.2.99:5060",
        "--insecure-no-auth",
        "--admin",
        `127.0.0.1:${adminPort}`,
      ]
      const foreign = await runHere(["doctor", ...own, "--database-url", theirs])
      assert.match(
        foreign.stdout,
        /^bad {3}migrations: tables of another server are there under our names: presentity, version; give /m,
      )
      assert.match(foreign.stdout, /^bad {3}udp:192\.0\.2\.99:5060: .*EADDRNOTAVAIL/m)
    },
  )
})

describe("checks of other stores", { concurrent: true }, () => {
  it(
    "CLI: 78 with what to do; an embedded database is checked beside its server, and when that has stopped",
    patient,
    async (context) => {
      const folder = await emptyEmbedded(emptyFolder(context))
      const server = await startPresence({ memory: false, data: folder })
      await live(server.udpPort)
      const [beside, nowhere] = await Promise.all([verify("--data", folder), verify()])
      assert.equal(beside.code, 0, beside.stdout + beside.stderr)
      const busy = await verify("--data", folder, "--repair")
      assert.equal(busy.code, 74)
      assert.match(busy.stderr, /embedded PostgreSQL in .* is taken by .*: stop that one first/)
      await assert.rejects(checked({ data: `${folder}-none` }), /there is no database in that folder/)
      assert.equal(nowhere.code, 78)
      assert.match(nowhere.stderr, /verify needs to know where the log is/)
      await server.stop()
      const rebuilt = await runHere(["projections", "rebuild", "--data", folder, "--json"])
      assert.equal(rebuilt.code, 0, rebuilt.stderr)
      const report = JSON.parse(rebuilt.stdout) as { repaired: number; left: number; rows: unknown }
      assert.deepEqual(
        [report.repaired, report.left, report.rows],
        [0, 0, { presentity: 1, active_watchers: 1, watchers: 1 }],
      )
      const faulty = await runHere(["doctor", "--set", "max_expires_publsh=1"])
      assert.equal(faulty.code, 1)
      assert.match(faulty.stdout, /^bad {3}config: max_expires_publsh .*did you mean max_expires_publish/)
    },
  )
})
