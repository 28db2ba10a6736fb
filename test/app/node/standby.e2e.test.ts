/**
 * The waiting half of a pair, as a process: beside a server of an earlier version, beside a writer, when it takes over, and when it
 * loses the log again.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { afterAll, describe, it } from "vitest"
import { Server } from "../../../src/app/index.ts"
import { on } from "../../support/checked-store.ts"
import { freePort, sharedPostgres } from "../../support/postgres.ts"
import { fileOf, patient, run, runHere, start } from "../cli/command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

/** A connection as servers have it that took no log. */
const earlierServer = async (url: string) => {
  const scope = Effect.runSync(Scope.make())
  const [row] = await Effect.runPromise(
    Effect.gen(function* () {
      const services = yield* Layer.build(
        Layer.fresh(
          PgClient.layer({
            url: Redacted.make(url),
            maxConnections: 1,
            applicationName: "presently server 0a1b2c3d",
          }),
        ),
      )
      return yield* Context.get(services, PgClient.PgClient)<{ pid: number }>`SELECT pg_backend_pid() AS pid`
    }).pipe(Scope.provide(scope)),
  )
  return { pid: row!.pid, end: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const countOf = (text: string, what: RegExp): number =>
  [...text.matchAll(new RegExp(what.source, "g"))].length

describe.skipIf(cluster === null)(
  "a server that waits for the log",
  { ...patient, tags: ["OPS-standby"] },
  () => {
    it(
      "waits beside a server of an earlier version as beside any other, is well for doctor, and counts on when it lost the log",
      { tags: ["OPS-standby"] },
      async (context) => {
        const url = cluster!.database()
        const earlier = await earlierServer(url)
        const admin = `http://127.0.0.1:${await freePort()}`
        const config = fileOf(
          context,
          "presently.json",
          JSON.stringify({
            listen: ["udp:127.0.0.1:0"],
            admin: admin.slice("http://".length),
            database_url: url,
            log: "json",
            writer_lease: 2,
            standby: true,
          }),
        )
        const server = start(["serve", "--config", config])
        context.onTestFinished(() => server.signal("SIGKILL"))
        await server.says(
          /standby: .* is taken by a server of an earlier version, connected from host \S+ since/,
        )
        const said = server.stdout()
        assert.match(said, new RegExp(`\\(PostgreSQL backend ${earlier.pid}\\)`))
        const get = async (path: string): Promise<string> => {
          const answered = await fetch(`${admin}${path}`)
          return `${answered.status} ${await answered.text()}`
        }
        assert.match(
          await get("/ready"),
          /^503 not ready: standby: the log is taken by a server of an earlier/,
        )
        assert.match(await get("/live"), /^200/)
        assert.match(await get("/startup"), /^200/)
        assert.match(await get("/status"), /^200 .*"writer":\{"role":"standby",.*"isSession":true/)
        assert.match(await get("/metrics"), /^200 [\s\S]*presently_writer_epoch 0/)
        assert.match(await get("/v1/presentities"), /^503 .*standby: the log is taken by/)

        const doctor = await runHere(["doctor", "--config", config])
        assert.match(
          doctor.stdout,
          /^ok +server: \S+: a standby that waits for the log, which is taken by a ser/m,
        )
        assert.equal(doctor.code, 0, doctor.stdout)

        // one that does not wait is told so, a program in words of its own
        const refused = await run(["serve", "--config", config, "--set", "standby=0", "--admin", "off"])
        assert.equal(refused.code, 74)
        assert.match(
          refused.stderr,
          /\(PostgreSQL backend \d+\): stop that one, or start with --standby to wait/,
        )
        await assert.rejects(
          Server.start({ database_url: url }),
          /: stop that one, or give the option standby: true to wait for it$/,
        )

        await earlier.end()
        await server.says(/"ready [\d.]+ s after it got the log"/)
        const waits = server.stdout()
        assert.equal(countOf(waits, /"level":"ERROR"/i), 0, waits)
        assert.equal(countOf(waits, /standby: /), 1, waits)
        assert.match(await get("/status"), /"writer":\{"role":"writer"/)

        await fetch(`${admin}/v1/reload`, { method: "POST" })
        assert.match(await get("/metrics"), /^presently_reloads_total\{outcome="ok"\} 1$/m)
        await on(
          url,
          "UPDATE writers SET epoch = epoch + 1, program = 'presently serve', host = 'elsewhere', pid = 7, version = '9', session = 0, lock = 0",
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'presently writer %' AND datname = current_database()",
        )
        await server.says(
          /is taken by presently serve 9, pid 7 on host elsewhere, since \S+: this server waits for/,
        )
        await server.says(/"ready [\s\S]*"ready /)
        const metrics = await get("/metrics")
        assert.match(metrics, /^presently_writer_lapses_total [1-9]\d*$/m)
        assert.match(metrics, /^presently_reloads_total\{outcome="ok"\} 1$/m)
        assert.match(metrics, /^presently_writer_epoch [2-9]$/m)
        assert.doesNotMatch(server.stdout(), /--standby/)
        server.signal("SIGTERM")
        await server.says(/"stopping: told to by SIGTERM"/)
        assert.equal((await server.ended).code, 0)
      },
    )
  },
)
