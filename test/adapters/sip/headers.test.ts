import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import {
  formatEvent,
  formatSubscriptionState,
  listValues,
  parameterizedNames,
  parseAccept,
  parseContentType,
  parseEvent,
  parseExpires,
  parseRetryAfter,
  splitParameters,
} from "../../../src/adapters/sip/headers.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { trapText } from "../../support/sip-messages.ts"

const sharedLines = parameterizedNames(["dialog;sla"])

describe("headers", () => {
  it("an Event header comes back as it went out", { tags: ["3265-7.2.1-a"] }, () => {
    const name = fc.constantFrom("presence", "presence.winfo", "Presence", "dialog", "dialog;sla")
    fc.assert(
      fc.property(name, fc.option(fc.constantFrom("1", "Q-1.x"), { nil: null }), (packageName, id) => {
        const event = parseEvent(formatEvent(packageName, id), 128, sharedLines)
        assert.deepStrictEqual([event?.packageName, event?.id, event?.rates], [packageName, id, null])
      }),
    )
  })

  it.each([
    ["presence ; id = 7 ; x=y", { packageName: "presence", id: "7", rates: null }],
    ["dialog;include-session;sla", { packageName: "dialog;sla", id: null, rates: null }],
    ["dialog;sla;id=3", { packageName: "dialog;sla", id: "3", rates: null }],
    ["presence;sla", { packageName: "presence", id: null, rates: null }],
    ["presence,dialog", null],
    ["presence;id=1,dialog", null],
    ["presence;id", null],
    ["presence;id=1;id=2", null],
    ["", null],
    [`presence;id=${"x".repeat(129)}`, null],
  ])("Event %j", { tags: ["3265-7.2.1-a"] }, (text, expected) => {
    const event = parseEvent(text, 128, sharedLines)
    assert.deepStrictEqual(
      event === null ? null : { packageName: event.packageName, id: event.id, rates: event.rates },
      expected,
    )
  })

  it("Expires is total: 0 to 2^32-1 as written, all else 3600", { tags: ["3261-20.19-a"] }, () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat().map(String),
          trapText(20),
          fc.constantFrom("4294967295", "4294967296", "-1", "1.5", "", "007"),
        ),
        (text) => {
          const isNumber = text !== "" && text.split("").every((digit) => digit >= "0" && digit <= "9")
          const expected = isNumber && Number(text) < 2 ** 32 ? Number(text) : 3_600
          assert.strictEqual(parseExpires(text), expected)
        },
      ),
    )
    assert.isNull(parseExpires(undefined))
  })

  it(
    "no Accept is null, an empty one accepts nothing, parameters and case do not count",
    { tags: ["3261-20.1-a"] },
    () => {
      assert.isNull(parseAccept(undefined))
      assert.deepStrictEqual(parseAccept([""]), [])
      assert.deepStrictEqual(parseAccept(["Application/PIDF+xml;q=0.5, */*", "text/plain ; q=0"]), [
        "application/pidf+xml",
        "*/*",
      ])
    },
  )

  it("Content-Type is compared in lower case without parameters", { tags: ["3261-20.15-a"] }, () => {
    assert.deepStrictEqual(parseContentType('Application/PIDF+XML ; charset="UTF-8"'), {
      mediaType: "application/pidf+xml",
      charset: "utf-8",
      parameters: "",
    })
    assert.deepStrictEqual(parseContentType('multipart/mixed; Boundary="a;b" ;charset=utf-8;x'), {
      mediaType: "multipart/mixed",
      charset: "utf-8",
      parameters: 'boundary="a;b";x',
    })
    for (const text of ["", "text", "text/", "/x", "a b/c", 'text/plain;x="'])
      assert.isNull(parseContentType(text))
  })

  it("lists and parameters of any text are read or refused", { tags: ["3261-8.2.2-a"] }, () => {
    fc.assert(
      fc.property(trapText(100), (text) => {
        listValues([text])
        splitParameters(text)
        parseAccept([text])
        parseContentType(text)
        parseEvent(text, 128, sharedLines)
        parseRetryAfter(text)
      }),
      { numRuns: 1_000 },
    )
  })

  it("Retry-After is read up to its comment", { tags: ["3261-20.33-a"] }, () => {
    assert.strictEqual(parseRetryAfter("120 (maintenance);duration=60"), 120)
    assert.isNull(parseRetryAfter("soon"))
  })

  it("Subscription-State says how long it lives, or why it ended", { tags: ["3265-3.2.4-a"] }, () => {
    const base = { state: "active", expires: 60, reason: null, retryAfter: null, rates: null } as Notify
    assert.strictEqual(formatSubscriptionState(base), "active;expires=60")
    assert.strictEqual(
      formatSubscriptionState({ ...base, state: "pending", expires: 5 }),
      "pending;expires=5",
    )
    assert.strictEqual(
      formatSubscriptionState({
        ...base,
        state: "terminated",
        expires: null,
        reason: "probation",
        retryAfter: 30,
      }),
      "terminated;reason=probation;retry-after=30",
    )
  })

  it(
    "registered parameters make another package of a type, most of them first; others are ignored",
    { tags: ["BLA-1"] },
    () => {
      const names = parameterizedNames(["presence", "dialog;sla", "x;a", "x;a;b=1"])
      const nameOf = (text: string) => parseEvent(text, 128, names)?.packageName
      assert.deepStrictEqual(
        [
          "dialog",
          "dialog;id=1;sla",
          "dialog;sla=1",
          "DIALOG;sla",
          "x;b=1",
          "x;c;A",
          "x;b=2;a",
          "x;b=1;a",
        ].map(nameOf),
        ["dialog", "dialog;sla", "dialog", "DIALOG", "x", "x;a", "x;a", "x;a;b=1"],
      )
    },
  )

  it(
    "rates are read as the grammar has them, and said as they were granted",
    { tags: ["6446-5.2-a", "6446-9.2-a"] },
    () => {
      const ratesOf = (text: string) => parseEvent(`presence;${text}`, 128, [])?.rates
      assert.deepStrictEqual(ratesOf("max-rate=0.05"), { max: 0.05, min: null, adaptiveMin: null })
      assert.deepStrictEqual(ratesOf("Min-Rate=1;adaptive-min-rate=12.5;id=3"), {
        max: null,
        min: 1,
        adaptiveMin: 12.5,
      })
      assert.deepStrictEqual(ratesOf("min-rates=x"), null)
      for (const wrong of ["0", "0.0", "100", ".5", "1.", "0.12345678901", "-1", "a", '"1"'])
        assert.strictEqual(parseEvent(`presence;max-rate=${wrong}`, 128, []), null, wrong)
      assert.strictEqual(parseEvent("presence;min-rate", 128, []), null)
      const base = { state: "active", expires: 60, reason: null, retryAfter: null } as Notify
      const rates = { max: 0.05, min: 10, adaptiveMin: 0.0000000001 }
      assert.strictEqual(
        formatSubscriptionState({ ...base, rates }),
        "active;expires=60;max-rate=0.05;min-rate=10;adaptive-min-rate=0.0000000001",
      )
      const decimals = fc.integer({ min: 1, max: 999_999 }).map((millionths) => millionths / 1e4)
      fc.assert(
        fc.property(decimals, (max) => {
          const written = formatSubscriptionState({ ...base, rates: { max, min: null, adaptiveMin: null } })
          assert.deepStrictEqual(ratesOf(written.slice("active;expires=60;".length))?.max, max)
        }),
      )
    },
  )
})
