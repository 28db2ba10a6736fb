/**
 * Feature keys of phones: what a SUBSCRIBE sets, what is kept, and what is shown of it.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { isDecidable, reconstructCommand } from "../../../src/domain/history/reconstruct-command.ts"
import { cstaNamespace, featureEvent, forwardingTypes } from "../../../src/domain/packages/feature-event.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import { defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { Body, Uri } from "../../../src/domain/vocabulary.ts"
import {
  alice,
  at,
  bob,
  dialogOf,
  publish,
  resubscribe,
  setHardState,
  subscribe,
} from "../../support/builders.ts"
import { standing } from "../../support/given.ts"

const features = featureEvent({ xml: xmlCodec })
const packages = makeRegistry([features])
const world = standing(initial(alice), { packages })
const type = "application/x-as-feature-event+xml"

const body = (text: string): Body => ({ contentType: type, text })
const doNotDisturb = (value: string, namespace = cstaNamespace): Body =>
  body(
    `<?xml version="1.0"?>\n<SetDoNotDisturb xmlns="${namespace}"><device/><doNotDisturbOn>${value}</doNotDisturbOn></SetDoNotDisturb>`,
  )
const forward = (kind: string, on: string, to: string, rings = ""): Body =>
  body(
    `<SetForwarding xmlns="${cstaNamespace}"><device>x</device><forwardingType>${kind}</forwardingType>` +
      `<activateForward>${on}</activateForward><forwardDN>${to}</forwardDN>${rings}</SetForwarding>`,
  )

/** `dnd=true forwardBusy=true 200 …` of what a body states. */
const inShort = (shown: Body | null): string => {
  if (shown === null) return "no body"
  const read = features.parse(shown)
  if (read._tag === "Unreadable") return read.why
  const { doNotDisturb: dnd, forwardings } = read.document
  const listed = forwardings.map(
    ({ type: kind, isOn, to, ringCount }) =>
      `${kind}=${isOn}${to === "" ? "" : ` ${to}`}${ringCount === null ? "" : ` ${ringCount}`}`,
  )
  return [...(dnd === null ? [] : [`dnd=${dnd}`]), ...listed].join(", ")
}
const allOff = "dnd=false, forwardImmediate=false, forwardBusy=false, forwardNoAns=false"
const told = ({ sent }: { readonly sent: readonly Notify[] }): readonly string[] =>
  sent.map(({ no, body: shown }) => `${no}: ${inShort(shown)}`)

const own = (call: number, over: Parameters<typeof subscribe>[0] = {}) =>
  subscribe({ packageName: "as-feature-event", watcher: alice, dialog: dialogOf(call), ...over })
const again = (call: number, over: Parameters<typeof resubscribe>[1] = {}) =>
  resubscribe(call, { packageName: "as-feature-event", watcher: alice, ...over })
const asks = (request: Body, mayChange: Uri | null = null) => ({ request: { body: request, mayChange } })

/** Two phones of alice: subscriptions 1 and 2. */
const twoPhones = world.when(own(1), at("10:00:00")).and().when(own(2), at("10:00:01")).and({ inFlight: [] })

describe("as-feature-event", () => {
  it("a new subscription is shown all features", () => {
    deepStrictEqual(told(world.when(own(1), at("10:00:00"))), [`1: ${allOff}`])
  })

  it("a feature set on one phone is told to all, first to the one that set it, and stays", () => {
    const set = twoPhones.when(again(1, asks(doNotDisturb("true"))), at("10:00:10"))
    deepStrictEqual(told(set), [`1: ${allOff.replace("dnd=false", "dnd=true")}`, "2: dnd=true"])
    const later = set.and({ inFlight: [] }).when(own(3), at("10:30:00"))
    deepStrictEqual(told(later), [`4: ${allOff.replace("dnd=false", "dnd=true")}`])
  })

  it("the first SUBSCRIBE of a phone, and one that only fetches, can set a feature too", () => {
    for (const expires of [3600, 0]) {
      const set = twoPhones.when(
        own(3, { expires, ...asks(forward("forwardBusy", "true", "200")) }),
        at("10:00:10"),
      )
      deepStrictEqual(told(set), [
        `3: ${allOff.replace("forwardBusy=false", "forwardBusy=true 200")}`,
        "1: forwardBusy=true 200",
        "2: forwardBusy=true 200",
      ])
    }
  })

  it("what is set already changes nothing and tells nobody else", () => {
    const set = twoPhones.when(again(1, asks(doNotDisturb("0"))), at("10:00:10"))
    deepStrictEqual(told(set), [`1: ${allOff}`])
    ok(!set.events.some(({ _tag }) => _tag === "HardStateReplaced"))
  })

  it("forwarding turned off keeps its number for the next time", () => {
    const on = twoPhones.when(
      again(1, asks(forward("forwardNoAns", "true", "sip:300@example.com", "<ringCount>4</ringCount>"))),
      at("10:00:10"),
    )
    const off = on
      .and({ inFlight: [] })
      .when(again(1, { cseq: 3, ...asks(forward("forwardNoAns", "false", "")) }), at("10:00:20"))
    deepStrictEqual(told(off)[1], "2: forwardNoAns=false sip:300@example.com 4")
    const back = off
      .and({ inFlight: [] })
      .when(again(1, { cseq: 4, ...asks(forward("forwardNoAns", "true", "")) }), at("10:00:30"))
    deepStrictEqual(told(back)[1], "2: forwardNoAns=true sip:300@example.com 4")
  })

  it("nobody else sets it, unless he may publish for her", () => {
    const stranger = twoPhones.when(own(3, { watcher: bob, ...asks(doNotDisturb("true")) }), at("10:00:10"))
    strictEqual(stranger.answer._tag === "Rejected" && stranger.answer.rejection.status, 403)
    deepStrictEqual(stranger.events, [])
    const inDialog = world
      .when(own(1, { watcher: bob }), at("10:00:00"))
      .and({ inFlight: [] })
      .when(again(1, { watcher: bob, ...asks(doNotDisturb("true"), bob) }), at("10:00:10"))
    strictEqual(inDialog.answer._tag === "Rejected" && inDialog.answer.rejection.status, 403)
    const server = twoPhones.when(
      own(3, { watcher: bob, ...asks(doNotDisturb("true"), alice) }),
      at("10:00:10"),
    )
    strictEqual(server.answer._tag, "Accepted")
    strictEqual(told(server).length, 3)
  })

  it.each([
    ["no XML", body("dnd on")],
    ["neither true nor false", doNotDisturb("on")],
    ["no value", body("<SetDoNotDisturb/>")],
    ["an unknown kind of forwarding", forward("forwardAlways", "true", "200")],
    ["forwarding to nowhere", forward("forwardBusy", "true", "")],
    ["rings that are no number", forward("forwardNoAns", "true", "200", "<ringCount>many</ringCount>")],
    ["a number of two lines", forward("forwardBusy", "true", "2\n--presently-feature--\n00")],
    ["parts without boundary", { contentType: "multipart/mixed", text: "--x\r\n--x--" }],
  ])("refused with 400, and nothing changes: %s", (_, request) => {
    for (const command of [own(3, asks(request)), again(1, asks(request))]) {
      const refused = twoPhones.when(command, at("10:00:10"))
      strictEqual(refused.answer._tag === "Rejected" && refused.answer.rejection.status, 400)
      deepStrictEqual(refused.events, [])
    }
  })

  it("reads what senders write: any namespace, 1 and 0, several parts, features unknown here", () => {
    const parts = [doNotDisturb("1", "urn:other"), forward("FORWARDIMMEDIATE", "1", "9")]
      .map(({ text }) => `--b x\r\ncontent-type: ${type};charset=utf-8\r\n\r\n${text}\r\n`)
      .join("")
    const both: Body = {
      contentType: "multipart/mixed",
      parameters: 'boundary="b x"',
      text: `preamble\r\n${parts}--b x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b x--\r\n`,
    }
    deepStrictEqual(inShort(both), "dnd=true, forwardImmediate=true 9")
    const agent = twoPhones.when(again(1, asks(body("<SetAgentState/>"))), at("10:00:10"))
    deepStrictEqual(told(agent), [`1: ${allOff}`])
  })

  it("the operator sets it as hard state; a PUBLISH, which would expire, is refused", () => {
    const set = twoPhones.when(setHardState(doNotDisturb("true"), "as-feature-event"), at("10:00:10"))
    deepStrictEqual(told(set), ["1: dnd=true", "2: dnd=true"])
    const published = twoPhones.when(
      publish({ packageName: "as-feature-event", body: doNotDisturb("true") }),
      at("10:00:10"),
    )
    strictEqual(published.answer._tag === "Rejected" && published.answer.rejection.status, 403)
  })

  it("a decision that set a feature is decided again as it was recorded", () => {
    const commands = [
      own(3, asks(doNotDisturb("true"))),
      own(3, { expires: 0, ...asks(doNotDisturb("true")) }),
      again(1, asks(forward("forwardBusy", "true", "200"))),
      again(2, { expires: 0, ...asks(doNotDisturb("true")) }),
    ]
    for (const command of commands) {
      const { events } = twoPhones.when(command, at("10:00:10"))
      const before = twoPhones.state
      const decision = {
        stream: alice,
        version: before.version + 1,
        at: at("10:00:10"),
        cause: command._tag,
        origin: "",
        nonce: "n",
        events,
      }
      ok(isDecidable(before, decision))
      const reconstructed = reconstructCommand(before, decision, {
        packages,
        limits: defaultLimits,
        authorize: () => "allow",
      })
      strictEqual(reconstructed?.isExact, true)
    }
  })
})

const anyForwarding = fc.record(
  {
    type: fc.constantFrom(...forwardingTypes),
    isOn: fc.boolean(),
    to: fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
      .filter(
        (text) =>
          text.trim() === text && text !== "" && !/[\p{Cc}\ufffe\uffff]/u.test(text) && text.isWellFormed(),
      ),
    ringCount: fc.option(fc.nat({ max: 999 })),
  },
  { noNullPrototype: true },
)
const anyFeatures = fc.record(
  {
    doNotDisturb: fc.boolean(),
    forwardings: fc.tuple(
      ...forwardingTypes.map((type) => anyForwarding.map((forwarding) => ({ ...forwarding, type }))),
    ),
  },
  { noNullPrototype: true },
)

describe("feature documents", () => {
  it("what is printed is read as the same, alone and in parts", () => {
    fc.assert(
      fc.property(anyFeatures, (document) => {
        const read = features.parse(features.render(document))
        deepStrictEqual(read._tag === "Parsed" ? read.document : read.why, document)
        const single = { doNotDisturb: null, forwardings: [document.forwardings[0]!] }
        const one = features.parse(features.render(single))
        deepStrictEqual(one._tag === "Parsed" ? one.document : one.why, single)
      }),
    )
  })

  it("what was set is the state: asking for it again changes nothing", () => {
    fc.assert(
      fc.property(anyFeatures, anyFeatures, (present, wanted) => {
        const change = features.applyRequest!(features.render(present), features.render(wanted))
        if (change._tag === "Unchanged")
          deepStrictEqual(features.render(present).text, features.render(wanted).text)
        else ok(change._tag === "Changed")
        if (change._tag !== "Changed") return
        strictEqual(features.applyRequest!(change.body, change.body)._tag, "Unchanged")
        deepStrictEqual(features.applyRequest!(features.render(present), change.body), change)
      }),
    )
  })
})
