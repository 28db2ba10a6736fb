/**
 * Who a request is from: each way in which a trusted peer may name somebody or nobody, for every kind of peer and request.
 */
import { deepStrictEqual, equal, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { assertedIn, wantsPrivacy } from "../../../src/adapters/sip/identity.ts"
import type { PeerEvent } from "../../../src/adapters/sip/identity.ts"
import { limitsDefault } from "../../../src/adapters/sip/options.ts"
import { makePeers, readPeers } from "../../../src/adapters/sip/peers.ts"
import type { RequestRules } from "../../../src/adapters/sip/request-rules.ts"
import { transportOf } from "../../../src/adapters/sip/transports/transports.ts"
import type { Resubscribe, Subscribe } from "../../../src/domain/presentity/commands.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { arrival, decodeMessage, requestRules } from "../../support/sip-decoder.ts"
import { readRequest } from "../../support/sip-messages.ts"
import type { RequestParts } from "../../support/sip-messages.ts"

const anonymous = "sip:anonymous@anonymous.invalid"
const peer = "127.0.0.1"

interface Setting extends Partial<RequestRules> {
  readonly entry?: string
  readonly transport?: "udp" | "tcp"
}

const decode = (parts: RequestParts, { entry, transport = "udp", ...rules }: Setting) => {
  const { peers, faults } = readPeers(entry === undefined ? [] : [entry])
  deepStrictEqual(faults, [])
  const noted: PeerEvent[] = []
  const decoded = decodeMessage(
    readRequest(parts),
    { ...arrival, transport: transportOf(transport) },
    {
      ...requestRules,
      peers: makePeers(peers),
      peerEvent: (what) => void noted.push(what),
      register: () => ({ status: 200, reason: null, headers: "" }) as never,
      ...rules,
    },
  )
  return { decoded, noted }
}

/** 200 stands for what the core will judge. */
const statusOf = (parts: RequestParts, setting: Setting): number => {
  const { decoded } = decode(parts, setting)
  return decoded._tag === "Reply" ? decoded.reply.status : 200
}

const watcherOf = (headers: RequestParts["headers"], setting: Setting): string => {
  const { decoded } = decode({ method: "SUBSCRIBE", headers: { ...subscribing, ...headers } }, setting)
  return decoded._tag === "Submit"
    ? (decoded.command as Subscribe).watcher
    : decoded._tag === "Reply"
      ? `${decoded.reply.status}`
      : "ask"
}

const subscribing = {
  From: "<sip:alice@example.com>;tag=a",
  To: "<sip:alice@example.com>",
  Contact: "<sip:a@127.0.0.1:5998>",
  Event: "presence",
}

/** What P-Asserted-Identity may say, and whom that names: null nobody, `unreadable` somebody whom nobody can tell. */
const assertions: readonly (readonly [
  what: string,
  lines: string | readonly string[] | null,
  who: string | null,
])[] = [
  ["nothing", null, null],
  ["bob", "<sip:bob@example.com>", "sip:bob@example.com"],
  [
    "bob with a name, port and parameters",
    '"Bob, B." <sip:bob@EXAMPLE.com:5070;user=phone>;x=y',
    "sip:bob@example.com",
  ],
  ["bob bare", "sip:bob@example.com", "sip:bob@example.com"],
  ["a telephone number", "<tel:+1-555-0100>", "tel:+15550100"],
  ["bob and his number on one line", "<sip:bob@example.com>, <tel:+15550100>", "sip:bob@example.com"],
  ["bob and his number on two lines", ["<sip:bob@example.com>", "<tel:+15550100>"], "sip:bob@example.com"],
  ["his number and bob on one line", "<tel:+15550100>, <sip:bob@example.com>", "sip:bob@example.com"],
  ["his number and bob on two lines", ["<tel:+15550100>", "<sip:bob@example.com>"], "sip:bob@example.com"],
  ["bob twice", ["<sip:bob@example.com>", "<sip:bob@example.com:5060>"], "sip:bob@example.com"],
  [
    "alice of the client's own before bob",
    ["<sip:alice@example.com>", "<sip:bob@example.com>"],
    "unreadable",
  ],
  ["alice of the client's own behind bob", "<sip:bob@example.com>, <sip:alice@example.com>", "unreadable"],
  ["two numbers", "<tel:+15550100>, <tel:+15550101>", "unreadable"],
  ["three", ["<sip:bob@example.com>", "<tel:+15550100>", "<sip:alice@example.com>"], "unreadable"],
  ["an open quote", '"x <sip:bob@example.com>', "unreadable"],
  ["good and then bad", ["<sip:bob@example.com>", '"x <sip:bob@example.com>'], "unreadable"],
  ["an empty line", "", "unreadable"],
  ["another scheme", "<mailto:bob@example.com>", "unreadable"],
  ["a pres URI", "<pres:bob@example.com>", "unreadable"],
  ["no URI", "<bob>", "unreadable"],
  ["more than a line may hold", `"${"a".repeat(2_100)}" <sip:bob@example.com>`, "unreadable"],
  ["nobody by name", `<${anonymous}>`, null],
  ["nobody and somebody", `<${anonymous}>, <sip:bob@example.com>`, "unreadable"],
]

const withAssertion = (lines: string | readonly string[] | null): RequestParts["headers"] =>
  lines === null ? {} : { "P-Asserted-Identity": lines }

describe("who a request is from", () => {
  it.each(assertions)(
    "a peer that asserts %s names that, and never what From says",
    { tags: ["3325-9.1-a", "T4"] },
    (_what, lines, who) => {
      const named = who === null || who === "unreadable" ? anonymous : who
      for (const identity of ["", ";identity=pai"])
        equal(watcherOf(withAssertion(lines), { entry: `${peer}${identity}` }), named)
      equal(watcherOf(withAssertion(lines), { entry: `${peer};identity=none` }), anonymous)
      equal(watcherOf(withAssertion(lines), { entry: `${peer};identity=from` }), "sip:alice@example.com")
      // of anybody else it says nothing
      equal(watcherOf(withAssertion(lines), { entry: "192.0.2.99" }), "403")
      equal(watcherOf(withAssertion(lines), {}), "sip:alice@example.com")
    },
  )

  it.each(assertions)(
    "a peer that asserts %s publishes for that, or for those its entry lists",
    { tags: ["3903-6-a", "T14"] },
    (_what, lines, who) => {
      const publish = (presentity: string, entry: string): number =>
        statusOf(
          {
            method: "PUBLISH",
            uri: presentity,
            headers: { From: "<sip:alice@example.com>;tag=a", ...withAssertion(lines) },
          },
          { entry },
        )
      const isNamed = who === "sip:bob@example.com"
      const isNobody = who === null
      equal(publish("sip:bob@example.com", peer), isNamed ? 200 : 403)
      equal(publish("sip:alice@example.com", peer), 403)
      equal(publish("sip:alice@example.com", `${peer};publishes_for=example.com`), isNobody ? 200 : 403)
      equal(publish("sip:alice@example.com", `${peer};publishes_for=*`), isNobody ? 200 : 403)
      equal(publish("sip:alice@example.com", `${peer};publishes_for=sip:bob@example.com`), 403)
      equal(publish("sip:alice@example.com", `${peer};identity=none`), 403)
      equal(publish("sip:alice@example.com", `${peer};identity=none;publishes_for=example.com`), 200)
      equal(publish("sip:alice@example.com", `${peer};identity=from`), 200)
      equal(publish("sip:bob@example.com", `${peer};identity=from`), 403)
      equal(publish("sip:bob@example.com", `${peer};identity=from;publishes_for=example.com`), 200)
    },
  )

  it(
    "so it is for each kind of PUBLISH, and a grant to whoever is named counts",
    { tags: ["3903-6-a", "T14"] },
    () => {
      const kinds: readonly RequestParts[] = [
        { headers: { Expires: "60" }, body: "<a/>" },
        { headers: { "SIP-If-Match": "t1" }, body: "<a/>" },
        { headers: { "SIP-If-Match": "t1", Expires: "60" } },
        { headers: { "SIP-If-Match": "t1", Expires: "0" } },
      ]
      for (const { headers, ...parts } of kinds) {
        const asked = (pai: string, rules: Setting): number =>
          statusOf(
            {
              method: "PUBLISH",
              uri: "sip:alice@example.com",
              headers: { ...headers, "P-Asserted-Identity": pai },
              ...parts,
            },
            { entry: peer, ...rules },
          )
        equal(asked("<sip:bob@example.com>", {}), 403)
        equal(asked("<sip:alice@example.com>", {}), 200)
        equal(
          asked("<sip:bob@example.com>", {
            mayPublishFor: (user, whom) => user === "sip:bob@example.com" && whom === "sip:alice@example.com",
          }),
          200,
        )
      }
    },
  )

  it(
    "a REGISTER is for whoever is named, or, where nobody is, for anybody: nothing uses what it binds",
    { tags: ["3325-5-a"] },
    () => {
      const register = (pai: string | null, entry: string): number =>
        statusOf(
          {
            method: "REGISTER",
            uri: "sip:example.com",
            headers: { To: "<sip:alice@example.com>", ...withAssertion(pai) },
          },
          { entry },
        )
      equal(register("<sip:alice@example.com>", peer), 200)
      equal(register("<sip:bob@example.com>", peer), 403)
      equal(register('"x <sip:alice@example.com>', peer), 403)
      equal(register("<sip:bob@example.com>", `${peer};publishes_for=example.com`), 200)
      equal(register(null, peer), 200)
      equal(register(null, "192.0.2.99"), 403)
    },
  )

  it(
    "over UDP a peer is believed only when what follows goes to it",
    { tags: ["3261-8.2.7-a", "T4"] },
    () => {
      const other = "<sip:a@198.51.100.7:5060>"
      const cases: readonly (readonly [headers: RequestParts["headers"], isIts: boolean])[] = [
        [{}, true],
        [{ Contact: other }, false],
        [{ Contact: "<sip:a@127.0.0.1;maddr=198.51.100.7>" }, false],
        [{ Contact: "<sip:a@198.51.100.7;maddr=127.0.0.1>" }, true],
        [{ Contact: "<sip:a@localhost>" }, false],
        [{ Contact: other, "Record-Route": "<sip:127.0.0.1;lr>" }, true],
        [{ Contact: other, "Record-Route": "<sip:127.0.0.1;lr;r2=on>, <sip:198.51.100.7;lr>" }, true],
        [{ Contact: other, "Record-Route": ["<sip:127.0.0.1;lr>", "<sip:198.51.100.7;lr>"] }, true],
        [{ "Record-Route": "<sip:198.51.100.7;lr>, <sip:127.0.0.1;lr>" }, false],
        [{ "Record-Route": ["<sip:198.51.100.7;lr>", "<sip:127.0.0.1;lr>"] }, false],
        [{ "Record-Route": "<sip:127.0.0.1;lr;maddr=198.51.100.7>" }, false],
        [{ "Record-Route": "<sip:proxy.example.com;lr>" }, false],
        [{ "Record-Route": '"x <sip:127.0.0.1;lr>' }, false],
      ]
      const pai = { "P-Asserted-Identity": "<sip:bob@example.com>" }
      const challenged = { authenticate: () => ({ _tag: "Challenged", headers: "" }) as const }
      for (const [headers, isIts] of cases) {
        const what = JSON.stringify(headers)
        const udp = { entry: peer, transport: "udp" } as const
        equal(watcherOf({ ...pai, ...headers }, udp), isIts ? "sip:bob@example.com" : "403", what)
        equal(
          watcherOf({ ...pai, ...headers }, { ...udp, ...challenged }),
          isIts ? "sip:bob@example.com" : "401",
          what,
        )
        const { noted } = decode(
          { method: "SUBSCRIBE", headers: { ...subscribing, ...pai, ...headers } },
          udp,
        )
        deepStrictEqual(noted, isIts ? [] : ["doubted"], what)
        // the source of a connection is proven; whatever else is wrong with the request is told as ever
        ok(
          ["sip:bob@example.com", "400"].includes(
            watcherOf({ ...pai, ...headers }, { entry: peer, transport: "tcp" }),
          ),
          what,
        )
        equal(
          watcherOf({ ...pai, ...headers }, { entry: `${peer};transport=tcp`, transport: "udp" }),
          "403",
          what,
        )
      }
      const named = { "Record-Route": "<sip:proxy.example.com;lr>", ...pai }
      equal(watcherOf(named, { entry: `${peer};hosts=proxy.example.com` }), "sip:bob@example.com")
    },
  )

  it(
    "of a network only the address that a datagram came from is the peer, or what stands in hosts",
    { tags: ["C2", "T4"] },
    () => {
      const pai = { "P-Asserted-Identity": "<sip:bob@example.com>" }
      const cases: readonly (readonly [entry: string, headers: RequestParts["headers"], isIts: boolean])[] = [
        ["127.0.0.0/8", {}, true],
        ["127.0.0.0/8", { Contact: "<sip:a@[::ffff:127.0.0.1]:5998>" }, true],
        ["127.0.0.0/8", { Contact: "<sip:a@127.0.0.77:5998>" }, false],
        ["127.0.0.0/8", { Contact: "<sip:a@[::ffff:127.0.0.77]:5998>" }, false],
        ["127.0.0.0/8", { Contact: "<sip:a@127.0.0.1;maddr=127.0.0.77>" }, false],
        ["127.0.0.0/8", { "Record-Route": "<sip:127.0.0.77;lr>" }, false],
        ["127.0.0.0/8", { "Record-Route": "<sip:127.0.0.1;lr>" }, true],
        ["127.0.0.0/8;hosts=127.0.0.77", { Contact: "<sip:a@127.0.0.77:5998>" }, true],
        ["127.0.0.0/8;hosts=127.0.0.77", { "Record-Route": "<sip:[::ffff:7f00:4d];lr>" }, true],
        ["127.0.0.0/8;hosts=127.0.0.77", { Contact: "<sip:a@127.0.0.78>" }, false],
      ]
      for (const [entry, headers, isIts] of cases) {
        for (const transport of ["udp", "tcp"] as const) {
          const what = `${transport} ${entry} ${JSON.stringify(headers)}`
          const parts = { method: "SUBSCRIBE", headers: { ...subscribing, ...pai, ...headers } }
          const { decoded } = decode(parts, { entry, transport })
          if (transport === "udp" && !isIts) {
            equal(statusOf(parts, { entry, transport }), 403, what)
            continue
          }
          ok(decoded._tag === "Submit" && decoded.command._tag === "Subscribe", what)
          // over TCP it is the peer, and where the NOTIFY would go is to be proven all the same
          equal(decoded.command.dialog.room === undefined, isIts, what)
        }
      }
    },
  )

  it(
    "the number that is asserted beside the watcher is known as the watcher's",
    { tags: ["3325-9.1-a"] },
    () => {
      for (const pai of [
        "<tel:+15550100>, <sip:bob@example.com>",
        "<sip:bob@example.com>, <tel:+15550100>",
      ]) {
        const { decoded } = decode(
          { method: "SUBSCRIBE", headers: { ...subscribing, "P-Asserted-Identity": pai } },
          { entry: peer },
        )
        ok(decoded._tag === "Submit" && decoded.command._tag === "Subscribe")
        deepStrictEqual(
          [decoded.command.watcher, decoded.command.also],
          ["sip:bob@example.com", ["tel:+15550100"]],
        )
        const publish = (uri: string): number =>
          statusOf({ method: "PUBLISH", uri, headers: { "P-Asserted-Identity": pai } }, { entry: peer })
        deepStrictEqual([publish("sip:bob@example.com"), publish("tel:+15550100")], [200, 200])
      }
    },
  )

  it(
    "within a dialog a peer that names nobody passes on what the dialog's own watcher asks",
    { tags: ["3325-5-a"] },
    () => {
      const again = (headers: RequestParts["headers"], entry: string): Resubscribe => {
        const { decoded, noted } = decode(
          {
            method: "SUBSCRIBE",
            uri: "sip:presence@192.0.2.10",
            headers: { ...subscribing, To: "<sip:alice@example.com>;tag=b", ...headers },
          },
          { entry },
        )
        deepStrictEqual(noted, [])
        ok(decoded._tag === "Submit")
        return decoded.command as Resubscribe
      }
      const silent = again({}, peer)
      deepStrictEqual([silent.watcher, silent.through], [anonymous, "127.0.0.1"])
      // the dialog leads where it always did, whatever stands in this request
      equal(again({ Contact: "<sip:a@198.51.100.7>" }, peer).through, "127.0.0.1")
      equal(again({}, `${peer};identity=none`).through, "127.0.0.1")
      const named = again({ "P-Asserted-Identity": "<sip:bob@example.com>" }, peer)
      deepStrictEqual([named.watcher, named.through], ["sip:bob@example.com", undefined])
      const unreadable = again({ "P-Asserted-Identity": '"x <sip:bob@example.com>' }, peer)
      deepStrictEqual([unreadable.watcher, unreadable.through], [anonymous, undefined])
    },
  )

  it(
    "an account is asked for its own address, and one that writes nobody's is known all the same",
    { tags: ["3261-22.1-a"] },
    () => {
      const known = {
        authenticate: () =>
          ({ _tag: "Verified", user: "4711", uri: "sip:alice@example.com" as Uri }) as const,
      }
      equal(watcherOf({}, known), "sip:alice@example.com")
      equal(watcherOf({ From: "<sip:4711@pbx>;tag=a" }, known), "403")
      // a phone that knows the server by its address writes that for the domain
      equal(watcherOf({ From: "<sip:alice@192.0.2.10:5060>;tag=a" }, known), "sip:alice@example.com")
      equal(watcherOf({ From: "<sip:carol@192.0.2.10>;tag=a" }, known), "403")
      equal(watcherOf({ From: "<sip:alice@192.0.2.11>;tag=a" }, known), "403")
      equal(watcherOf({ From: "<sip:192.0.2.10>;tag=a" }, known), "403")
      const { decoded } = decode(
        { method: "SUBSCRIBE", headers: { ...subscribing, From: `<${anonymous}>;tag=a` } },
        known,
      )
      ok(decoded._tag === "Submit" && decoded.command._tag === "Subscribe")
      deepStrictEqual([decoded.command.watcher, decoded.command.private], ["sip:alice@example.com", true])
    },
  )

  it("reading is total, and what it gives was asserted", { tags: ["3325-9.1-a"] }, () => {
    const anyLine = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc
        .array(
          fc.constantFrom("<", ">", '"', ",", ";", "sip:", "tel:", "a@b.c", "+1", " ", "x", "%41", "@"),
          { maxLength: 14 },
        )
        .map((parts) => parts.join("")),
      fc.constantFrom(...assertions.flatMap(([, lines]) => lines ?? [])),
    )
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 4 }), (lines) => {
        const uris = assertedIn(lines, limitsDefault)
        if (uris === null || uris.length === 0) return
        ok(uris.length <= 2 && uris.filter((uri) => uri.startsWith("tel:")).length <= 1)
        ok(uris.filter((uri) => !uri.startsWith("tel:")).length <= 1)
        ok(!uris.some((uri) => uri.endsWith("anonymous.invalid")))
        ok(uris.length === 1 || !uris[0]!.startsWith("tel:"))
      }),
      { numRuns: 500 },
    )
  })
})

describe("privacy", () => {
  it.each([
    [undefined, null],
    ["id", true],
    ["ID", true],
    ["user", true],
    ["none", false],
    ["None ", false],
    ["id;critical", true],
    [" critical ; id ", true],
    ["header", true],
    ["header;session", true],
    ["header; user", true],
    ["session", null],
    ["history", null],
    ["critical", null],
    ["none;id", true],
    ["something-new", true],
    ["", true],
    [";", true],
    ["id,user", true],
    ['"none"', true],
    [["none", "id"], true],
    [["header", "session"], true],
    [["session", "history"], null],
    [["none", "none"], false],
  ] as const)("Privacy %j", { tags: ["3323-4.2-a", "3325-9.3-a"] }, (lines, expected) => {
    const given = lines === undefined ? undefined : typeof lines === "string" ? [lines] : lines
    equal(wantsPrivacy(given, "sip:bob@example.com" as Uri), expected)
    const fromNobody = wantsPrivacy(given, anonymous as Uri)
    equal(fromNobody, expected === false ? false : true)
  })

  it(
    "is read of every SUBSCRIBE, whoever vouches for it, and in whatever case",
    { tags: ["3325-9.3-a"] },
    () => {
      for (const setting of [{}, { entry: peer }, { entry: `${peer};identity=from` }]) {
        for (const headers of [
          { Privacy: "id" },
          { privacy: "id" },
          { PRIVACY: "x;id" },
          { Privacy: ["none", "id"] },
        ]) {
          const { decoded } = decode(
            { method: "SUBSCRIBE", headers: { ...subscribing, ...headers } },
            setting,
          )
          ok(decoded._tag === "Submit" && decoded.command._tag === "Subscribe")
          equal(decoded.command.private, true)
        }
        const again = decode(
          {
            method: "SUBSCRIBE",
            headers: { ...subscribing, To: "<sip:alice@example.com>;tag=b", Privacy: "none" },
          },
          setting,
        ).decoded
        ok(again._tag === "Submit" && again.command._tag === "Resubscribe")
        equal(again.command.private, false)
      }
    },
  )
})
