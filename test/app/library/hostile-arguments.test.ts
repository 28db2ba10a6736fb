/**
 * Arguments that cannot be meant: refused with a typed error that names call, argument, value and what is expected; nothing else
 * comes of them.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { Presence } from "../../../src/app/index.ts"
import type { OptionsInvalid, PresenceRefused } from "../../../src/app/index.ts"
import { pidf, tuple } from "../../support/sip-client.ts"

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const open = pidf(tuple("phone", "open"))

type Asked = Record<string, (...args: readonly unknown[]) => unknown>

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

const trapped = new Proxy(
  {},
  {
    get: () => {
      throw new Error("trap")
    },
  },
)

/** What each numeric argument refuses. */
const noSeconds: readonly unknown[] = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  -1,
  1.5,
  0.001,
  "60",
  "",
  null,
  true,
  2 ** 32,
  2 ** 53,
  1e300,
  60n,
  [60],
  {},
  Symbol("60"),
  () => 60,
]

/** What no URI, word or text is. */
const noText: readonly unknown[] = [42, null, true, {}, [], Symbol("x"), () => alice, 5n, "\u{d800}", "a\0b"]

describe("an argument that cannot be meant", { tags: ["LIB-8"] }, () => {
  const cases = (): readonly (readonly [call: string, args: readonly unknown[], named: RegExp])[] => {
    const all: (readonly [string, readonly unknown[], RegExp])[] = []
    const add = (call: string, named: RegExp, ...args: readonly unknown[]): void =>
      void all.push([call, args, named])
    const published = { presentity: alice, body: open }
    const watched = { presentity: alice, watcher: bob }
    for (const expires of noSeconds) {
      add("publish", /^publish: expires = /, { ...published, expires })
      add("watch", /^watch: expires = /, { ...watched, expires })
    }
    for (const text of noText) {
      add("publish", /^publish: presentity = /, { ...published, presentity: text })
      add("watch", /^watch: presentity = /, { ...watched, presentity: text })
      add("watch", /^watch: watcher = /, { ...watched, watcher: text })
      add("fetch", /^fetch: watcher = /, { ...watched, watcher: text })
      add("publish", /^publish: event = /, { ...published, event: text })
      add("publish", /^publish: entityTag = /, { ...published, entityTag: text })
      add("publish", /^publish: device = /, { ...published, device: text })
      add("watch", /^watch: device = /, { ...watched, device: text })
      add("watch", /^watch: argument = /, { ...watched, argument: text })
      add("watch", /^watch: accept\[0\] = /, { ...watched, accept: [text] })
      add("publish", /^publish: body(\.contentType)? = /, { ...published, body: text })
      add("publish", /^publish: body\.text = /, { ...published, body: { contentType: "text/plain", text } })
      add("publish", /^publish: body\.contentType = /, {
        ...published,
        body: { contentType: text, text: "" },
      })
      add("publish", /^publish: headers\[0\]\[1\] = /, { ...published, headers: [["Call-Info", text]] })
      add("terminate", /^terminate: presentity = /, { presentity: text })
      add("terminate", /^terminate: reason = /, { presentity: alice, reason: text })
      add("refreshRules", /^refreshRules: presentity = /, text)
      add("setRules", /^setRules: presentity = /, text, null)
      add("setHardState", /^setHardState: presentity = /, text, null)
      add("history", /^history: presentity = /, text)
      add("at", /^at: presentity = /, text, 0)
      add("seen", /^seen: watcher = /, text, alice)
      add("seen", /^seen: presentity = /, bob, text)
      add("why", /^why: presentity = /, text, bob)
      add("diff", /^diff: presentity = /, text, 0, 1)
      if (text !== null) add("setRules", /^setRules: text = /, alice, text)
      if (text !== null) add("setHardState", /^setHardState: body/, alice, text)
    }
    for (const request of [undefined, null, 42, "sip:alice@example.com", Symbol("x")]) {
      add("publish", /^publish = .*: expected an object/, request)
      add("watch", /^watch = .*: expected an object/, request)
      add("fetch", /^fetch = .*: expected an object/, request)
      add("terminate", /^terminate = .*: expected an object/, request)
    }
    for (const request of [trapped, revoked()]) {
      add("publish", /^publish: presentity = a property that throws: expected one that can be read/, request)
      add("watch", /^watch: /, request)
      add("fetch", /^fetch: /, request)
      add("terminate", /^terminate: /, request)
      add("publish", /^publish: body/, { ...published, body: request })
      add("publish", /^publish: headers = /, { ...published, headers: request })
      add("watch", /^watch: accept = /, { ...watched, accept: request })
      add("seen", /^seen: /, bob, alice, request)
      add("why", /^why: /, alice, bob, request)
    }
    for (const headers of [
      [{}],
      [[]],
      [["a"]],
      [["a", "b", "c"]],
      [["", "x"]],
      [["Call-Info", "two\r\nlines"]],
      "x",
      {},
      5,
      [[5, "x"]],
      Array(101).fill(["a", "b"]),
    ])
      add("publish", /^publish: headers/, { ...published, headers })
    for (const accept of ["text/plain", {}, 5, Array(101).fill("a/b")])
      add("watch", /^watch: accept = /, { ...watched, accept })
    for (const instant of [
      Number.NaN,
      -1,
      Number.POSITIVE_INFINITY,
      "yesterday",
      {},
      new Date("x"),
      null,
      undefined,
      8.64e15,
      true,
    ]) {
      add("at", /^at: instant = /, alice, instant)
      add("diff", /^diff: before = /, alice, instant, 1)
      add("diff", /^diff: after = /, alice, 1, instant)
      if (instant === undefined) continue
      add("seen", /^seen: since = /, bob, alice, { since: instant })
      add("why", /^why: at = /, alice, bob, { at: instant })
    }
    for (const count of [Number.NaN, 0, -1, 1.5, "5", Number.POSITIVE_INFINITY, 2 ** 60]) {
      add("seen", /^seen: limit = /, bob, alice, { limit: count })
      add("why", /^why: position = /, alice, bob, { position: count })
    }
    add("publish", /is no URI of a person: write sip:alice@example\.com$/, {
      ...published,
      presentity: "sip:@@",
    })
    add("publish", /^publish: presentity = .*at most 4096 characters/, {
      ...published,
      presentity: `sip:${"a".repeat(5000)}@b`,
    })
    add("publish", /^publish: event = /, { ...published, event: "x".repeat(5000) })
    add("publish", /^publish: body = .*at most 1048576 characters/, {
      ...published,
      body: "x".repeat(1_048_577),
    })
    add("setRules", /^setRules: text = .*at most/, alice, "x".repeat(1_048_577))
    add("expose", /^expose: matches = 5/, "presence", 5)
    add("expose", /^expose: event = 5/, 5)
    return all
  }

  it(
    "is refused with 400, or 413, by every call, and leaves nothing in the log",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make()
      const ask = presence as unknown as Asked
      for (const [call, args, named] of cases()) {
        let error: PresenceRefused | null = null
        await Promise.resolve(ask[call]!(...args)).catch((cause: unknown) => {
          error = cause as PresenceRefused
        })
        assert.ok(error !== null, `${call} took it: ${named}`)
        const { _tag, status, message } = error as PresenceRefused
        assert.deepEqual(
          [_tag, status],
          ["PresenceRefused", / at most \d+ characters/.test(message) ? 413 : 400],
          `${call}: ${String(error)}`,
        )
        assert.match(message, named)
        assert.ok(message.length < 400, message)
      }
      await presence.settle()
      assert.deepEqual(await presence.history(alice), [])
      // and everybody is served
      await presence.publish({ presentity: alice, body: open })
      await presence.close()
    },
  )

  it("what is asked at once throws at once", { tags: ["LIB-8"] }, async () => {
    const presence = await Presence.make()
    const ask = presence as unknown as Asked
    for (const value of [5, null, {}, trapped]) {
      for (const call of ["isPublished", "sphere"])
        assert.throws(() => ask[call]!(value), /^PresenceRefused: (isPublished|sphere): presentity = /)
      if (value !== 5) assert.throws(() => ask["feed"]!({ after: value }), /^PresenceRefused: feed: after = /)
    }
    assert.throws(
      () => ask["feed"]!({ types: ["E_OTHER"] }),
      /feed: types\[0\] = "E_OTHER": expected E_PRESENCE_PUBLISH or E_PRESENCE_EXPOSED/,
    )
    assert.equal(presence.isPublished("nobody there"), false)
    await presence.close()
  })

  it("a refresh for no lifetime is refused, and the watch goes on", { tags: ["LIB-8"] }, async () => {
    const presence = await Presence.make()
    const watch = await presence.watch({ presentity: alice, watcher: bob })
    for (const expires of noSeconds)
      await assert.rejects(watch.refresh(expires as number), /^PresenceRefused: refresh: expires = /)
    assert.equal(await watch.refresh(60), 60)
    await presence.close()
  })

  it(
    "an argument is asked for once: what answers otherwise each time is not seen",
    { tags: ["LIB-8"] },
    async () => {
      const presence = await Presence.make()
      let asked = 0
      const request = {
        presentity: alice,
        body: open,
        get expires() {
          asked++
          return asked === 1 ? 60 : Number.NaN
        },
      }
      assert.equal((await presence.publish(request)).expires, 60)
      assert.equal(asked, 1)
      await presence.close()
    },
  )
})

describe("an option that cannot be meant", { tags: ["LIB-8"] }, () => {
  const options: readonly (readonly [object, RegExp])[] = [
    [
      { limits: { maxExpiresPublish: Number.NaN } },
      /^limits\.maxExpiresPublish = NaN: expected a whole number of seconds from 1 to 4294967295$/,
    ],
    [{ limits: { subscriptionsMax: -1 } }, /^limits\.subscriptionsMax = -1/],
    [{ limits: { notifyIntervalMillis: 2 ** 31 } }, /^limits\.notifyIntervalMillis/],
    [{ limits: { retryAfter: "5" } }, /^limits\.retryAfter = "5"/],
    [
      { limits: { maxExpirePublish: 5 } },
      /^limits\.maxExpirePublish: there is no such option; did you mean maxExpiresPublish\?/,
    ],
    [
      { limits: { minExpiresPublish: 20, maxExpiresPublish: 10 } },
      /^limits\.minExpiresPublish = 20: must not be above/,
    ],
    [{ limits: null }, /^limits = null/],
    [{ limits: { profile: "9999" } }, /^limits\.profile = "9999": expected "3265" or "6665"/],
    [{ rulesWait: Number.NaN }, /^rulesWait = NaN/],
    [{ rulesWait: 0 }, /^rulesWait = 0/],
    [{ rulesWait: 2 ** 31 }, /^rulesWait/],
    [{ storeWait: -1 }, /^storeWait = -1/],
    [{ queueMax: 0.5 }, /^queueMax = 0\.5/],
    [{ bodyMax: Number.POSITIVE_INFINITY }, /^bodyMax = Infinity/],
    [{ authorize: "allow" }, /^authorize = "allow": expected a function/],
    [{ now: 5 }, /^now = 5: expected a function/],
    [{ rules: {} }, /^rules = an object/],
    [{ onFault: 5 }, /^onFault = 5/],
    [{ store: {} }, /^store = an object: expected a store/],
    [{ packages: 5 }, /^packages = 5/],
    [{ packages: [null] }, /^packages\[0\] = null/],
    [{ pakages: [] }, /^pakages: there is no such option; did you mean packages\?/],
    [{ watching: { policies: { presence: "nobody" } } }, /nobody/],
    [{ watching: 5 }, /^watching = 5/],
    [trapped, /./],
    [revoked(), /^options cannot be read/],
    [
      {
        get limits() {
          throw new Error("trap")
        },
      },
      /^limits cannot be read: trap/,
    ],
  ]
  it("is named, with all others, and nothing is started", { tags: ["LIB-8"] }, async () => {
    for (const [given, what] of options) {
      if (given === trapped) continue
      await assert.rejects(Presence.make(given as never), (error: OptionsInvalid) => {
        assert.equal(error._tag, "OptionsInvalid", String(error))
        assert.match(error.message, what)
        return true
      })
    }
    await assert.rejects(
      Presence.make({ rulesWait: -1, queueMax: Number.NaN } as never),
      (error: OptionsInvalid) => error.faults.length === 2,
    )
    for (const given of [null, 5, "x"])
      await assert.rejects(Presence.make(given as never), /^OptionsInvalid: options = /)
  })
})
