/**
 * What every store of webhooks promises, in memory and in PostgreSQL.
 */
import assert from "node:assert/strict"
import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import type { Scope } from "effect"
import { afterAll, describe, it } from "vitest"
import { makeMemoryWebhookStore } from "../../../src/adapters/store/memory-webhooks.ts"
import { migrate } from "../../../src/adapters/store/postgres/migrations.ts"
import { makeWebhookStore } from "../../../src/adapters/store/postgres/webhook-store.ts"
import { deadLettersMax } from "../../../src/ports/webhook-store.ts"
import type { DeadLetter, Webhook, WebhookStore } from "../../../src/ports/webhook-store.ts"
import { sharedPostgres } from "../../support/postgres.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const webhook = (id: string, extra: Partial<Webhook> = {}): Webhook => ({
  id,
  url: "https://hooks.example.com/naïve?x='1'",
  types: null,
  presentity: null,
  secret: "whsec_x",
  position: 7,
  createdAt: 1_770_000_000_000,
  createdBy: "management port 127.0.0.1 ops",
  stopped: null,
  ...extra,
})

const letter = (id: string, extra: Partial<DeadLetter> = {}): DeadLetter => ({
  id,
  presentity: "sip:alice@example.com",
  type: "E_PRESENCE_PUBLISH",
  body: '{"a": "☎"}',
  givenUpAt: 1_770_000_000_123,
  attempts: 3,
  error: "answered 500",
  ...extra,
})

type Open = () => Effect.Effect<WebhookStore["Service"], unknown, Scope.Scope>

const withStore = (open: Open, check: (store: WebhookStore["Service"]) => Effect.Effect<void, unknown>) =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(open(), check)))

const promises = (open: Open): void => {
  it("keeps webhooks, oldest first, with how far they are", { tags: ["A13"] }, () =>
    withStore(open, (kept) =>
      Effect.gen(function* () {
        const [one, other] = [
          webhook("wh_1"),
          webhook("wh_0", {
            types: ["E_PRESENCE_PUBLISH"],
            presentity: "sip:a*",
            createdAt: 1_770_000_000_001,
          }),
        ]
        yield* kept.add(other)
        yield* kept.add(one)
        assert.deepEqual(
          [...(yield* kept.list)].sort((a, b) => a.createdAt - b.createdAt),
          [one, other],
        )
        yield* kept.progress("wh_1", 9_007_199_254_740)
        yield* kept.stop("wh_0", "answered 410")
        yield* kept.progress("wh_9", 3)
        const now = new Map((yield* kept.list).map((each) => [each.id, each]))
        assert.deepEqual(now.get("wh_1"), { ...one, position: 9_007_199_254_740 })
        assert.deepEqual(now.get("wh_0"), { ...other, stopped: "answered 410" })
        assert.deepEqual([yield* kept.remove("wh_0"), yield* kept.remove("wh_0")], [true, false])
        assert.deepEqual(
          (yield* kept.list).map(({ id }) => id),
          ["wh_1"],
        )
      }),
    ),
  )

  it(
    "keeps dead letters, newest first, no more than so many, and none of a webhook that is gone",
    { tags: ["A13"] },
    () =>
      withStore(open, (kept) =>
        Effect.gen(function* () {
          yield* kept.add(webhook("wh_1"))
          yield* kept.bury("wh_9", letter("msg_0"))
          for (let n = 0; n < deadLettersMax + 2; n += 1) {
            yield* kept.bury("wh_1", letter(`msg_${n}`, { givenUpAt: 1_770_000_000_000 + n }))
          }
          yield* kept.bury("wh_1", letter("msg_1001", { givenUpAt: 1_780_000_000_000, attempts: 4 }))
          const kept1 = yield* kept.deadLetters("wh_1")
          assert.equal(kept1.length, deadLettersMax)
          assert.deepEqual(kept1[0], letter("msg_1001", { givenUpAt: 1_780_000_000_000, attempts: 4 }))
          assert.equal(kept1.at(-1)?.id, "msg_2")
          yield* kept.unbury("wh_1", "msg_1001")
          assert.equal((yield* kept.deadLetters("wh_1"))[0]?.id, "msg_1000")
          yield* kept.remove("wh_1")
          assert.deepEqual(yield* kept.deadLetters("wh_1"), [])
        }),
      ),
  )
}

describe("webhooks in memory", () => {
  promises(() => Effect.sync(makeMemoryWebhookStore))
})

describe.skipIf(cluster === null)("webhooks in PostgreSQL", () => {
  promises(() =>
    Effect.gen(function* () {
      const url = Redacted.make(cluster!.database())
      const services = yield* Layer.build(PgClient.layer({ url, maxConnections: 2 }))
      yield* Effect.provideContext(migrate, services)
      return makeWebhookStore(Context.get(services, PgClient.PgClient))
    }),
  )
})
