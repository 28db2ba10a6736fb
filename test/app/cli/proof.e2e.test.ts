/**
 * Seals and retention as their users have them: `presently seal-key`, `verify --public-key` and `compact`.
 */
import assert from "node:assert/strict"
import { createPublicKey, generateKeyPairSync } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { afterAll, describe, it } from "vitest"
import { makePostgresStore } from "../../../src/adapters/store/postgres/event-store.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import type { Check } from "../../../src/app/doctor/check.ts"
import { storeChecks } from "../../../src/app/doctor/store.ts"
import { decisionOf } from "../../../src/app/testing/store-samples.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"
import { checked, live, on } from "../../support/checked-store.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { startPresence } from "../../support/server.ts"
import { fileOf, patient, runHere } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const verify = (...args: readonly string[]) => runHere(["verify", ...args])

describe.skipIf(cluster === null)("a log that is proved, and one that forgets", () => {
  it(
    "a server seals its log at its stop, verify --public-key checks it, and keys that are none are one line",
    { ...patient, tags: ["T39", "CLI"] },
    async (context) => {
      const url = cluster!.database()
      const key = join(dirname(fileOf(context, "none", "")), "seal.pem")
      const made = await runHere(["seal-key", key])
      assert.equal(made.code, 0, made.stderr)
      assert.equal(statSync(key).mode & 0o777, 0o600)
      const server = await startPresence({ memory: false, database_url: url, seal_key: key })
      await live(server.udpPort)
      await server.stop()
      const good = await verify("--database-url", url, "--public-key", `${key}.pub`)
      assert.equal(good.code, 0, good.stdout + good.stderr)
      assert.match(
        good.stdout,
        /\nchain of \d+ decisions checked\n1 seals, the newest at position \d+ of .*Z; 0 newer/,
      )
      const other = `${key}.other`
      assert.equal((await runHere(["seal-key", other])).code, 0)
      const foreign = await verify("--database-url", url, "--public-key", `${other}.pub`)
      assert.match(foreign.stdout, /^seals position \d+: its signature is not that of this key\n/)
      assert.match(foreign.stderr, /^presently: 1 difference: this key does not prove it; check with the key/)
      assert.equal(foreign.code, 1)
      const sealsCheck = async (isRunning: boolean) => {
        const defaults = { database_url: url, seal_key: key }
        const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults })
        const checks = await Effect.runPromise(
          storeChecks(config, isRunning) as Effect.Effect<readonly Check[]>,
        )
        return checks
          .filter(({ what }) => what === "seals")
          .map(({ status, detail }) => `${status} ${detail}`)
      }
      assert.match(
        (await sealsCheck(true)).join(),
        /^ok the newest is of .*Z, 0 newer decisions are not sealed$/,
      )
      await on(url, "UPDATE seals SET rows = rows + 1")
      const publicKey = createPublicKey(readFileSync(`${key}.pub`))
      const spoilt = await checked({ database_url: url }, { chain: true, publicKey })
      assert.deepEqual(
        spoilt.report.differences.map(({ table }) => table),
        ["seals", "seals"],
      )
      const rsa = fileOf(
        context,
        "rsa",
        String(
          generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
            type: "pkcs8",
            format: "pem",
          }),
        ),
      )
      for (const [seal_key, why] of [
        [rsa, /seal_key = .*rsa \(default\): it is a key for ec: expected one for Ed25519$/],
        [`${key}.pub`, /: expected PEM with an Ed25519 key, as `presently seal-key` writes it$/],
        [`${key}.none`, /: ENOENT: no such file or directory/],
      ] as const) {
        await assert.rejects(startPresence({ memory: false, database_url: url, seal_key }), why)
      }
      await on(url, "DELETE FROM seals", "UPDATE events SET at = at - interval '1 hour' WHERE version = 1")
      assert.match((await sealsCheck(true)).join(), /^bad none yet, \d+ decisions are not sealed$/)
      assert.match((await sealsCheck(false)).join(), /^ok none yet/)
      await assert.rejects(startPresence({ seal_key: key }), /what is kept in memory is not sealed/)
      const again = await runHere(["seal-key", key])
      assert.match(again.stderr, /^presently: no key was written: EEXIST: /)
      assert.equal(again.code, 74)
      const wrong = await verify("--database-url", url, "--public-key", key)
      assert.match(wrong.stderr, /^presently: --public-key .*: expected PEM with an Ed25519 key/)
    },
  )

  it(
    "compact drops what is due and says so, verify passes afterwards, and what is not clear is one line",
    { ...patient, tags: ["OPS-retention", "T38", "CLI"] },
    async () => {
      const url = cluster!.database()
      const server = await startPresence({ memory: false, database_url: url })
      await live(server.udpPort)
      await server.stop()
      const old = "sip:old@example.com" as Uri
      const lasting = "sip:lasting@example.com" as Uri
      const at = (month: number) => ({ at: Date.UTC(2025, month, 7) })
      await Effect.runPromise(
        Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          const store = makePostgresStore(sql)
          const gone: Event = {
            _tag: "PublicationRemoved",
            packageName: "presence",
            entityTag: `${old}-1` as EntityTag,
            cause: "requested",
          }
          yield* sql`SELECT presently_make_partition(${new Date(at(2).at)})`
          const { position } = yield* store.append([
            decisionOf(old, 1, at(2)),
            decisionOf(old, 2, { ...at(2), events: [gone] }),
            decisionOf(lasting, 1, at(2)),
            decisionOf(lasting, 2, at(4)),
            decisionOf(lasting, 3, { at: Date.now() }),
          ])
          yield* store.saveCheckpoint("tables", { position, at: Date.now() })
        }).pipe(
          Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })),
        ) as Effect.Effect<void>,
      )
      await checked({ database_url: url }, { fromStart: true, repair: true })
      const compact = (...args: readonly string[]) => runHere(["compact", "--database-url", url, ...args])
      const careful = await compact("--set", "retention=60", "--set", "retention_share=1")
      assert.equal(careful.code, 0, careful.stderr)
      assert.match(
        careful.stdout,
        /^no decisions from before 2025-03-01T00:00:00\.000Z\ndecisions up to \S+ are due as well, but more than retention_share of the log/,
      )
      const dropped = await compact("--set", "retention=60,presence=30", "--yes")
      assert.equal(dropped.code, 0, dropped.stderr)
      assert.match(
        dropped.stdout,
        /^4 decisions from before \d{4}-\d\d-01T00:00:00\.000Z dropped, with the months 2025-03; nothing is left of 1 presentities; keys of 1 persons are gone\n0 documents of presence/,
      )
      const after = await verify("--database-url", url)
      assert.equal(after.code, 0, after.stdout)
      assert.match(after.stdout, /; 1 streams begin where older decisions were dropped\n0 differences/)
      assert.deepEqual((await checked({ database_url: url }, { fromStart: true })).report.differences, [])
      assert.deepEqual(
        await on(url, "SELECT count(*)::int AS n FROM streams WHERE stream = 'sip:old@example.com'"),
        [{ n: 0 }],
      )
      const [unclear, none] = await Promise.all([compact("--set", "retention=soon"), compact()])
      assert.match(
        unclear.stderr,
        /^presently: retention = soon \(flag --set\): soon: expected DAYS or PACKAGE=DAYS/,
      )
      assert.match(none.stderr, /^presently: retention = .*kept for ever, so there is nothing to drop/)
      assert.deepEqual([unclear.code, none.code], [78, 78])
      await assert.rejects(
        startPresence({ memory: false, database_url: url, retention: ["presense=3"] }),
        /retention = presense=3 .*: presense: expected one of presence /,
      )
    },
  )
})
