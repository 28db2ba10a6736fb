/**
 * The database goes away and comes back, before and after the start, under a server in this process.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Logger, Redacted, Scope } from "effect"
import { afterAll, assert, describe, it } from "vitest"
import { makePostgresStore } from "../../../src/adapters/store/postgres/event-store.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { startServer } from "../../../src/app/server/start-server.ts"
import type { Server } from "../../../src/app/server/start-server.ts"
import { activeWatcherRow, allRows, presentityRow, watcherRow } from "../../../src/domain/projections/rows.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { makeLoad } from "../../crash/load.ts"
import type { Load } from "../../crash/load.ts"
import { holds } from "../../support/condition.ts"
import { freePort, startPostgres } from "../../support/postgres.ts"
import { messageText, mint, openPhone, viaOf } from "../../support/sip-client.ts"

const cluster = await startPostgres()
afterAll(() => cluster?.remove())

const start = async (url: string, admin: number) => {
  const config = readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: {
      listen: ["udp:127.0.0.1:0", "tcp:127.0.0.1:0"],
      admin: `127.0.0.1:${admin}`,
      database_url: url,
      notify_min_interval: 0,
      db_update_period: 1,
    },
  })
  const scope = Effect.runSync(Scope.make())
  const server = await Effect.runPromise(
    startServer(config, { stopWithin: "10 minutes" }).pipe(
      Scope.provide(scope),
      Effect.provide(Logger.layer([])),
    ),
  )
  return { server, stop: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}

const portOf = (server: Server, transport: "udp" | "tcp"): number => {
  const address = server.addresses().find((one) => one.startsWith(transport)) ?? ""
  return Number(address.slice(address.lastIndexOf(":") + 1))
}

const readiness = async (admin: number): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${admin}/ready`, { headers: { connection: "close" } })
  return `${answer.status} ${(await answer.text()).trim()}`
}

/** Until each of the publishers and watchers has been promised something, and most of them more. */
const underWay = (load: Load): Promise<boolean> =>
  holds("a load under way", () => {
    const { publish, subscribe } = load.findings().acknowledged
    return publish >= 40 && subscribe >= 40
  })

/** Status and Retry-After of the answer to a fetch. */
const fetchOnce = async (server: Server): Promise<readonly [number, string | null]> => {
  const phone = await openPhone({ portOf: () => portOf(server, "udp") }, "udp")
  try {
    phone.send(
      messageText("SUBSCRIBE sip:alice@example.com SIP/2.0", {
        Via: viaOf(phone),
        "Max-Forwards": "70",
        From: `<sip:bob@example.com>;tag=${mint("f")}`,
        To: "<sip:alice@example.com>",
        "Call-ID": mint("c"),
        CSeq: "1 SUBSCRIBE",
        Contact: `<sip:bob@${phone.address}>`,
        Event: "presence",
        Expires: "0",
      }),
    )
    const answer = await phone.next((message) => !message.raw.isRequest)
    return [answer.raw.status, answer.header("Retry-After")]
  } finally {
    phone.close()
  }
}

describe.skipIf(cluster === null)("database outage", () => {
  it(
    "down and up again under load: 503 with Retry-After meanwhile, and nothing promised is lost",
    { tags: ["3903-6-c"] },
    async () => {
      const admin = await freePort()
      const { server, stop } = await start(cluster!.database(), admin)
      await Effect.runPromise(server.ready)
      const load = await makeLoad({ port: portOf(server, "udp"), publishers: 10, watchersEach: 2 })
      try {
        load.resume()
        await underWay(load)
        cluster!.stop("immediate")
        await holds("down", async () => (await readiness(admin)) === "503 not ready: down")
        const [status, retryAfter] = await fetchOnce(server)
        assert.strictEqual(status, 503)
        assert.match(retryAfter ?? "", /^\d+$/)
        cluster!.start()
        await holds("ready", async () => (await readiness(admin)) === "200 ready")
        const before = load.findings().acknowledged.publish
        await holds("further changes", () => load.findings().acknowledged.publish > before + 10)
        await load.pause()
        await load.verify()
        const { lost, disorder, checked } = load.findings()
        assert.deepStrictEqual({ lost, disorder }, { lost: [], disorder: [] })
        assert.strictEqual(checked, 30)
      } finally {
        load.close()
        await stop()
      }
    },
  )

  it("down at the start: sockets open, 503 with Retry-After, not ready, and ready by itself when it is up", async () => {
    const admin = await freePort()
    const url = cluster!.database()
    cluster!.stop("fast")
    const { server, stop } = await start(url, admin)
    try {
      assert.strictEqual(await readiness(admin), "503 not ready: starting")
      const [status, retryAfter] = await fetchOnce(server)
      assert.strictEqual(status, 503)
      assert.match(retryAfter ?? "", /^\d+$/)
      cluster!.start()
      await Effect.runPromise(server.ready)
      assert.strictEqual(await readiness(admin), "200 ready")
      assert.deepStrictEqual(await fetchOnce(server), [200, null])
    } finally {
      await stop()
    }
  })

  it(
    "after a stop the three tables hold exactly the rows of the folded log; a start goes on where it was",
    { tags: ["L05"] },
    async () => {
      const url = cluster!.database()
      const first = await start(url, await freePort())
      await Effect.runPromise(first.server.ready)
      const port = portOf(first.server, "udp")
      const load = await makeLoad({ port, publishers: 12, watchersEach: 3 })
      load.resume()
      await underWay(load)
      await load.pause()
      await first.stop()

      await Effect.runPromise(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const store = makePostgresStore(sql)
          const streams = yield* sql<{ stream: Uri }>`SELECT stream FROM streams`
          const states = yield* store.load(streams.map((row) => row.stream))
          const expected: string[] = []
          for (const state of states) {
            for (const key of allRows(state)) {
              if (key.table === "presentity") {
                const row = presentityRow(state, key.packageName, key.etag)!
                expected.push(
                  ["p", row.username, row.etag, row.expires, row.received_time, row.body].join(" "),
                )
              } else if (key.table === "active_watchers") {
                const row = activeWatcherRow(state, key.no)!
                expected.push(
                  [
                    "a",
                    row.presentity_uri,
                    row.callid,
                    row.local_cseq,
                    row.remote_cseq,
                    row.version,
                    row.expires,
                  ].join(" "),
                )
              } else {
                const row = watcherRow(state, key.packageName, key.watcher)!
                expected.push(
                  ["w", row.presentity_uri, row.watcher_username, row.status, row.inserted_time].join(" "),
                )
              }
            }
          }
          const actual = yield* sql<{ row: string }>`
          SELECT concat_ws(' ', 'p', username, etag, expires, received_time, convert_from(body, 'UTF8')) AS row
            FROM presentity
          UNION ALL SELECT concat_ws(' ', 'a', presentity_uri, callid, local_cseq, remote_cseq, version, expires)
            FROM active_watchers
          UNION ALL SELECT concat_ws(' ', 'w', presentity_uri, watcher_username, status, inserted_time) FROM watchers`
          assert.deepStrictEqual(actual.map((one) => one.row).sort(), expected.sort())
          assert.strictEqual(expected.length, 12 + 36 + 36)
        }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url) }))) as Effect.Effect<void>,
      )
      load.close()
    },
  )
})
