import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { formatNotify, nextHopOf, prepareDialog, routeOf } from "../../../src/adapters/sip/format-notify.ts"
import { readDatagram } from "../../../src/adapters/sip/message-reader.ts"
import { limitsDefault } from "../../../src/adapters/sip/options.ts"
import { tcp } from "../../../src/adapters/sip/transports/tcp.ts"
import { transports } from "../../../src/adapters/sip/transports/transports.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import { parseUri } from "../../../src/adapters/sip/uri.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import type { DialogStart } from "../../../src/domain/vocabulary.ts"
import { notifyOf } from "../../support/notify.ts"

const dialog: DialogStart = {
  callId: "c1",
  localTag: "ours",
  remoteTag: "theirs",
  localUri: "<sip:alice@example.com>",
  remoteUri: '"Bob" <sip:bob@example.com>',
  remoteTarget: "sip:bob@192.0.2.20:5062",
  routeSet: [],
  remoteCseq: 1,
  localContact: "sip:presence@192.0.2.10:5060",
  flow: "udp:192.0.2.10:5060",
  source: "192.0.2.20:5062",
}

const notify = (changes: Partial<Notify> = {}): Notify =>
  notifyOf(
    { dialog },
    { cseq: 4, body: { contentType: "application/pidf+xml", text: "<presence>é</presence>" }, ...changes },
  )

const textOf = (one: Notify): string =>
  formatNotify(one, prepareDialog(one.dialog), udp, "192.0.2.10:5060", "z9hG4bKx").toString("utf8")

describe("notify", () => {
  it(
    "a NOTIFY is sent in the dialog, with our side as From and theirs as To",
    { tags: ["3261-12.2.1.1-a"] },
    () => {
      assert.strictEqual(
        textOf(notify({ eventId: "Q1" })),
        [
          "NOTIFY sip:bob@192.0.2.20:5062 SIP/2.0",
          "Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKx;rport",
          "Max-Forwards: 70",
          "From: <sip:alice@example.com>;tag=ours",
          'To: "Bob" <sip:bob@example.com>;tag=theirs',
          "Call-ID: c1",
          "CSeq: 4 NOTIFY",
          "Contact: <sip:presence@192.0.2.10:5060>",
          "Event: presence;id=Q1",
          "Subscription-State: active;expires=600",
          "Content-Type: application/pidf+xml",
          "Content-Length: 23",
          "",
          "<presence>é</presence>",
        ].join("\r\n"),
      )
    },
  )

  it("a NOTIFY without a body has no type", { tags: ["3265-3.2-a"] }, () => {
    const text = textOf(notify({ body: null, state: "terminated", expires: null, reason: "rejected" }))
    assert.isTrue(
      text.endsWith("Subscription-State: terminated;reason=rejected\r\nContent-Length: 0\r\n\r\n"),
    )
  })

  it("headers of what is published stand in the head, octet for octet", { tags: ["OPS-extra_hdrs"] }, () => {
    const value = Buffer.from("<sip:é@h>;x=1", "utf8").toString("latin1")
    const text = textOf(notify({ headers: [["Call-Info", value]], body: null }))
    assert.include(text, "\r\nCall-Info: <sip:é@h>;x=1\r\nContent-Length: 0\r\n\r\n")
  })

  it("a watcher without a tag gets none back", { tags: ["3261-12.1.1-b"] }, () => {
    assert.include(
      textOf(notify({ dialog: { ...dialog, remoteTag: "" } })),
      'To: "Bob" <sip:bob@example.com>\r\n',
    )
  })

  it("no route, a loose first route, a strict one", { tags: ["3261-12.2.1.1-b"] }, () => {
    const target = "sip:bob@h"
    const routes = fc.array(
      fc.constantFrom("<sip:p1;lr>", "<sip:p2>", "<sip:p3;lr>;x=1", "<sip:p4;transport=tcp>"),
      { maxLength: 3 },
    )
    fc.assert(
      fc.property(routes, (routeSet) => {
        const first = routeSet[0]
        const route = routeOf(target, routeSet)
        if (first === undefined)
          assert.deepStrictEqual(route, { requestUri: target, routes: [], hopUri: target })
        else {
          const hopUri = first.slice(1, first.indexOf(">"))
          const expected = hopUri.includes(";lr")
            ? { requestUri: target, routes: routeSet, hopUri }
            : { requestUri: hopUri, routes: [...routeSet.slice(1), `<${target}>`], hopUri }
          assert.deepStrictEqual(route, expected)
        }
      }),
    )
  })

  it("the next hop is maddr or host, with the transport the URI names", { tags: ["3263-4.1-a"] }, () => {
    const hop = (text: string) => {
      const uri = parseUri(text)
      return uri === null || uri.scheme === "tel" ? null : nextHopOf(uri, transports)
    }
    assert.deepStrictEqual(hop("sip:b@[2001:db8::1]:5070;transport=TCP"), {
      host: "2001:db8::1",
      isNumeric: true,
      port: 5070,
      transport: tcp,
    })
    assert.deepStrictEqual(hop("sip:b@h.example.com"), {
      host: "h.example.com",
      isNumeric: false,
      port: null,
      transport: null,
    })
    assert.strictEqual(hop("sip:b@h;maddr=192.0.2.9")?.host, "192.0.2.9")
    for (const text of [
      "sips:b@h;transport=udp",
      "sip:b@h;transport=sctp",
      "sip:b@224.0.0.1",
      "sip:b@h;maddr=0.0.0.0",
    ])
      assert.isNull(hop(text))
  })

  it("what is sent can be read back, whatever the body", { tags: ["L13"] }, () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 200 }), fc.nat(), (text, cseq) => {
        const one = notify({ cseq, body: { contentType: "application/pidf+xml", text } })
        const bytes = formatNotify(one, prepareDialog(dialog), tcp, "[2001:db8::1]:5060", "z9hG4bKx")
        const message = readDatagram(bytes, limitsDefault)!
        assert.deepStrictEqual([message.fault, message.method, message.cseq], [null, "NOTIFY", cseq])
        assert.strictEqual(message.body.toString("utf8"), Buffer.from(text, "utf8").toString("utf8"))
      }),
    )
  })
})
