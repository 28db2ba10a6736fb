/**
 * Logs from before encrypted strings were bound to their place: they are read, go on, and are erased; what was in clear then is said.
 * And what is bound is found elsewhere by nobody.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, it } from "vitest"
import { personKeysOf } from "../../src/adapters/store/encryption/person-keys.ts"
import { isPersonalDigest } from "../../src/adapters/store/encryption/personal-fields.ts"
import { decodeRow } from "../../src/adapters/store/encryption/stored-row.ts"
import { makePostgresStore } from "../../src/adapters/store/postgres/event-store.ts"
import { makeLogAdmin } from "../../src/adapters/store/postgres/log-admin.ts"
import { migrate } from "../../src/adapters/store/postgres/migrations.ts"
import { erase } from "../../src/app/erase/erase.ts"
import { catchUp } from "../../src/app/node/catch-up.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { landmarkEvery } from "../../src/domain/presentity/snapshot.ts"
import type { DialogStart, EntityTag, Uri } from "../../src/domain/vocabulary.ts"
import { anySteps } from "../support/arbitraries.ts"
import { makeEarlier } from "../support/earlier-form.ts"
import { filesWith } from "../support/files.ts"
import { play } from "../support/history.ts"
import { worlds } from "../support/machine.ts"
import { startPostgres } from "../support/postgres.ts"
import { emptyStore, project, verified } from "../support/projected.ts"

const cluster = await startPostgres(false)
afterAll(() => cluster?.remove())

const later = Date.UTC(2030, 0, 1)
const alice = "sip:alice.early@example.com" as Uri
const zerlinde = "sip:zerlinde@example.com" as Uri

const start = (callId: string): DialogStart => ({
  callId,
  localTag: "l",
  remoteTag: "zerlindes-tag",
  localUri: alice,
  remoteUri: zerlinde,
  remoteTarget: "sip:zerlinde@192.0.2.9:5070",
  routeSet: ["<sip:zerlindes-proxy.example.com;lr>"],
  remoteCseq: 1,
  localContact: "sip:server",
  flow: "udp:127.0.0.1:5060",
  source: "udp:192.0.2.9:5070",
})

const decisionOf = (version: number, events: Decision["events"], origin = ""): Decision => ({
  stream: alice,
  version,
  at: version * 1000,
  cause: "Publish",
  origin,
  nonce: `n${version}`,
  events,
})

/** Zerlinde watches alice, whose device refreshes until there is a landmark, and some more. */
const watched = (): readonly Decision[] => [
  decisionOf(
    1,
    [
      {
        _tag: "PublicationCreated",
        packageName: "presence",
        entityTag: "n1.1" as EntityTag,
        expiresAt: later,
        body: { contentType: "application/pidf+xml", parameters: "charset=utf-8", text: "<a/>" },
        sender: "sip:alice@192.0.2.8",
      },
    ],
    "udp:192.0.2.8:5060 alices-call 1",
  ),
  decisionOf(
    2,
    [
      {
        _tag: "SubscriptionCreated",
        no: 2,
        packageName: "presence",
        eventId: "zerlindes-id",
        watcher: zerlinde,
        status: "active",
        polite: false,
        matched: null,
        argument: "zerlindes-argument",
        giveUpAt: null,
        expiresAt: later,
        dialog: 2,
        start: start("zerlindes-call"),
        remoteCseq: 1,
      },
      {
        _tag: "NotificationsIssued",
        packageName: "presence",
        to: [2],
        except: [],
        suppressed: [],
        shown: "1abcdefgh2z",
        cause: "subscribe",
      },
    ],
    "udp:192.0.2.9:5070 zerlindes-call 1",
  ),
  ...Array.from({ length: landmarkEvery + 2 }, (_, index) => {
    const version = index + 3
    return decisionOf(
      version,
      [
        {
          _tag: "PublicationRefreshed",
          packageName: "presence",
          entityTag: `n${version}.1` as EntityTag,
          supersedes: `n${version === 3 ? 1 : version - 1}.1` as EntityTag,
          expiresAt: later,
        },
      ],
      `udp:192.0.2.8:5060 alices-call ${version}`,
    )
  }),
]

describe.skipIf(cluster === null)("the earlier form", () => {
  const scope = Effect.runSync(Scope.make())
  let sql: PgClient.PgClient
  beforeAll(async () => {
    const layer = PgClient.layer({
      url: Redacted.make(cluster!.database()),
      maxConnections: 1,
      applicationName: "presently test",
    })
    const services = await Effect.runPromise(Layer.buildWithScope(layer, scope))
    await Effect.runPromise(Effect.provideContext(migrate, services))
    sql = await Effect.runPromise(Effect.provideContext(PgClient.PgClient, services))
  }, 60_000)
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const everything = () => Effect.runPromise(makePostgresStore(sql).read(0, 100_000))
  const empty = async () => {
    await emptyStore(sql)
    const persons = await Effect.runPromise(sql<{ person: string }>`DELETE FROM person_keys RETURNING person`)
    for (const { person } of persons) personKeysOf(sql).forget(person)
  }
  const textWith = (words: readonly string[]) =>
    Effect.runPromise(
      Effect.map(sql<{ row: string }>`SELECT origin || events::text AS row FROM events`, (rows) =>
        words.filter((word) => rows.some(({ row }) => row.includes(word))),
      ),
    )

  it(
    "is read as the same log, proved, and what was in clear stays when a person is erased, and is said",
    { tags: ["T38", "L03"], timeout: 120_000 },
    async () => {
      let told = 0
      await fc.assert(
        fc.asyncProperty(
          fc.array(anySteps, { minLength: 3, maxLength: 5 }).map((all) => all.flat()),
          fc.nat(),
          fc.double({ min: 0.5, max: 1, noNaN: true }),
          async (steps, which, part) => {
            await empty()
            const run = play(worlds[0]!, steps)
            fc.pre(run.log.length > 0)
            fc.pre(await project(sql, run, (n) => n === run.log.length - 1))
            const written = await everything()
            const upTo = written[Math.floor(part * (written.length - 1))]!.position
            await Effect.runPromise(makeEarlier(sql, BigInt(upTo)))
            assert.deepEqual(await everything(), written)
            const found = await verified(sql, { fromStart: true, chain: true })
            assert.deepEqual(found.differences, [])
            const persons = [...new Set(written.map(({ decision }) => decision.stream))]
            const person = persons[Math.max(0, (which % (persons.length + 2)) - 2)]!
            const clear = written.filter(
              ({ position, decision }) =>
                position <= upTo &&
                decision.stream === person &&
                decision.events.some(
                  (event) => event._tag === "NotificationsIssued" && isPersonalDigest(event.shown),
                ),
            )
            const { remains, standIn, left } = await Effect.runPromise(
              erase(makeLogAdmin(sql), person, later, "tester"),
            )
            assert.deepEqual(left, [])
            const ats = clear.map(({ decision }) => decision.at)
            assert.deepEqual(
              remains,
              clear.length === 0
                ? null
                : {
                    decisions: clear.length,
                    from: Math.min(...ats),
                    to: Math.max(...ats),
                    position: clear.at(-1)!.position,
                  },
            )
            assert.deepEqual(filesWith(cluster!.data, [person]), [])
            const after = await verified(sql, { fromStart: true, chain: true })
            assert.deepEqual(after.differences, [])
            const digests = (await everything()).flatMap(({ position, decision }) =>
              decision.stream === standIn && position > upTo
                ? decision.events.flatMap((event) =>
                    event._tag === "NotificationsIssued" ? [event.shown] : [],
                  )
                : [],
            )
            assert.ok(digests.every((one) => !isPersonalDigest(one) || one.startsWith("erased-")))
            told += clear.length
          },
        ),
        { numRuns: 4, endOnFailure: true },
      )
      assert.ok(told > 0)
    },
  )

  it.each([1, 2, 502])(
    "landmarks of others name somebody who is erased as the log does, when the first %i of its decisions are of before",
    { tags: ["T38"], timeout: 60_000 },
    async (count) => {
      await empty()
      const log = watched()
      const store = makePostgresStore(sql)
      await Effect.runPromise(
        store.append(
          log,
          log.map((_, index) => (index === 1 ? zerlinde : null)),
        ),
      )
      await Effect.runPromise(catchUp(makeLogAdmin(sql)))
      const first = (await everything())[0]!.position
      await Effect.runPromise(makeEarlier(sql, BigInt(first - 1 + count)))
      const before = await everything()
      assert.deepEqual(
        before.map(({ decision }) => decision),
        log,
      )
      assert.deepEqual((await verified(sql, { fromStart: true, chain: true })).differences, [])
      const { remains } = await Effect.runPromise(erase(makeLogAdmin(sql), zerlinde, later, "tester"))
      assert.equal(remains, null)
      assert.deepEqual(filesWith(cluster!.data, ["zerlinde"]), [])
      assert.deepEqual((await verified(sql, { fromStart: true, chain: true })).differences, [])
      const state = await Effect.runPromise(store.landmarkBefore(alice, landmarkEvery))
      assert.equal(state?.version, landmarkEvery)
      assert.match(JSON.stringify(state), /erased-[\w-]{12}-[0-9a-f]{12}/)
    },
  )

  it(
    "a digest, parameters of a media type, and the file that rules came from are encrypted",
    { tags: ["T38"] },
    async () => {
      await empty()
      const origin = "rules source /etc/rules/alice.early@example.com.xml"
      const rules = { contentType: "application/auth-policy+xml", text: "<ruleset/>" }
      const log = [
        ...watched().slice(0, 2),
        decisionOf(3, [{ _tag: "RulesReplaced", packageName: "presence", rules, boundaryAt: null }], origin),
        decisionOf(
          4,
          [{ _tag: "RulesReplaced", packageName: "presence", rules: null, boundaryAt: null }],
          "0:" + "w".repeat(30),
        ),
      ]
      await Effect.runPromise(makePostgresStore(sql).append(log, [null, zerlinde, null, null]))
      assert.deepEqual(await textWith(["1abcdefgh2z", "charset", "alice.early", "rules source"]), [])
      assert.deepEqual(
        (await everything()).map(({ decision }) => decision),
        log,
      )
    },
  )

  it(
    "a text in another row or another field of the same person is not read, and neither is one that was changed",
    { tags: ["T39"] },
    async () => {
      await empty()
      const store = makePostgresStore(sql)
      await Effect.runPromise(store.append(watched().slice(0, 6), [null, zerlinde]))
      const rows = await Effect.runPromise(
        sql<{ pos: bigint; origin: string; nonce: string; events: unknown }>`
        SELECT pos, origin, nonce, events FROM events ORDER BY pos`,
      )
      const keyOf = await Effect.runPromise(personKeysOf(sql).opening(rows))
      for (const row of rows) decodeRow(row, keyOf)
      const sealed = /"(\d*:[\w-]{22,}|[\w-]{22,})"/g
      const texts = rows.flatMap(({ events }) =>
        [...JSON.stringify(events).matchAll(sealed)].map((one) => one[1]!),
      )
      let tried = 0
      const refused = (row: (typeof rows)[number], what: string): void => {
        tried++
        assert.throws(
          () => decodeRow(row, keyOf),
          /is not what was written there|has none|stands nowhere/,
          what,
        )
      }
      for (const row of rows) {
        const whole = JSON.stringify(row.events)
        for (const { origin } of rows) if (origin !== row.origin) refused({ ...row, origin }, origin)
        for (const [, text = ""] of whole.matchAll(sealed)) {
          // those of the same key only: another key opens nothing
          for (const other of texts) {
            if (other === text || other.includes(":") !== text.includes(":")) continue
            refused(
              { ...row, events: JSON.parse(whole.replace(`"${text}"`, `"${other}"`)) as unknown },
              `${text} → ${other}`,
            )
          }
          for (const at of [3, 8, 13, 18, text.length >> 1, text.length - 3]) {
            const changed = text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1)
            refused(
              { ...row, events: JSON.parse(whole.replace(`"${text}"`, `"${changed}"`)) as unknown },
              text,
            )
          }
        }
      }
      // and no mark can say that a text is another person's
      for (const row of rows) {
        const whole = JSON.stringify(row.events)
        for (const [mark, other] of [
          ['"@"', '"0@"'],
          ['"0@"', '"@"'],
          ['"@"', '"27v5nwl6kez"'],
        ] as const)
          if (whole.includes(mark))
            refused({ ...row, events: JSON.parse(whole.replace(mark, other)) as unknown }, mark)
      }
      assert.ok(tried > 100, `${tried}`)
      // and who reads by the store is told which row it is
      await Effect.runPromise(
        sql`UPDATE events SET events = (SELECT events FROM events WHERE version = 5) WHERE version = 4`,
      )
      const failed = await Effect.runPromise(Effect.flip(store.history(alice, 0, 10)))
      assert.match(
        String(failed.cause),
        /alice\.early@example\.com version 4 at position \d+ cannot be read: a text that key/,
      )
    },
  )
})
