import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import type { DecodeResult } from "../../../src/adapters/sip/decode-result.ts"
import type { RawMessage } from "../../../src/adapters/sip/message-reader.ts"
import type { RequestRules } from "../../../src/adapters/sip/request-rules.ts"
import type { Publish, Resubscribe, Subscribe } from "../../../src/domain/presentity/commands.ts"
import { arrival, decodeMessage, requestRules } from "../../support/sip-decoder.ts"
import { mutatedRequest, read, readRequest } from "../../support/sip-messages.ts"
import type { RequestParts } from "../../support/sip-messages.ts"

const decode = (message: RawMessage, changes: Partial<RequestRules> = {}, isMerged = false): DecodeResult =>
  decodeMessage(message, arrival, { ...requestRules, ...changes }, isMerged)

const statusOf = (parts: RequestParts, changes: Partial<RequestRules> = {}): number => {
  const decoded = decode(readRequest(parts), changes)
  return decoded._tag === "Reply" ? decoded.reply.status : 0
}

const commandOf = <T extends Publish | Subscribe | Resubscribe>(
  parts: RequestParts,
  changes: Partial<RequestRules> = {},
): T => {
  const decoded = decode(readRequest(parts), changes)
  assert(decoded._tag === "Submit", JSON.stringify(decoded))
  return decoded.command as T
}

const publish = (parts: RequestParts = {}): Publish => commandOf<Publish>({ method: "PUBLISH", ...parts })

describe("requests", () => {
  it(
    "a SUBSCRIBE brings along the header that is its package's argument, several lines as one list",
    { tags: ["SCA-5"] },
    () => {
      const subscribe = (event: string, lines: string | readonly string[]) =>
        commandOf<Subscribe>({ method: "SUBSCRIBE", headers: { Event: event, "X-State": lines } })
      assert.strictEqual(subscribe("seats", "<sip:h>;row=1").argument, "<sip:h>;row=1")
      assert.strictEqual(subscribe("seats;id=1", ["a", "b"]).argument, "a, b")
      assert.isFalse("argument" in subscribe("presence", "a"))
      assert.isFalse("argument" in subscribe("seats", []))
    },
  )

  it(
    "a PUBLISH brings along the headers that its package carries, folded and repeated or not, and no others",
    { tags: ["OPS-extra_hdrs"] },
    () => {
      const headers = {
        Event: "lines;id=1",
        "CALL-INFO": ["<sip:h>;appearance-index=1,", "<sip:h>\r\n  ;appearance-index=2"],
        "x-state": "é",
        Subject: "no",
      }
      assert.deepStrictEqual(publish({ headers }).headers, [
        ["Call-Info", "<sip:h>;appearance-index=1,"],
        ["Call-Info", "<sip:h> ;appearance-index=2"],
        ["X-State", Buffer.from("é", "utf8").toString("latin1")],
      ])
      assert.isFalse("headers" in publish({ headers: { ...headers, Event: "presence" } }))
      assert.isFalse("headers" in publish({ headers: { Event: "lines" } }))
    },
  )

  it("a PUBLISH becomes a command with everything the core judges", { tags: ["3903-6-a"] }, () => {
    assert.deepStrictEqual(
      publish({
        uri: "sip:%61lice@EXAMPLE.com:5060;transport=udp",
        headers: {
          "SIP-If-Match": ["one", "two, three"],
          Expires: "60",
          "Content-Type": "Application/PIDF+XML;charset=UTF-8",
          Sender: "<sip:dev@h>",
        },
        body: "<presence>é</presence>",
      }),
      {
        _tag: "Publish",
        packageName: "presence",
        ifMatch: ["one", "two", "three"],
        expires: 60,
        body: { contentType: "application/pidf+xml", text: "<presence>é</presence>" },
        bodyFault: null,
        sender: null,
      },
    )
    assert.strictEqual(
      commandOf<Publish>(
        { method: "PUBLISH", headers: { Sender: "<sip:dev@h>" } },
        { trustSenderHeader: true },
      ).sender,
      "sip:dev@h",
    )
  })

  it.each([
    ["an encoding", { "Content-Encoding": "gzip" }, "UnsupportedEncoding"],
    [
      "another character set",
      { "Content-Type": "application/pidf+xml;charset=utf-16" },
      "UnsupportedMediaType",
    ],
    ["no type", { "Content-Type": null }, "BadRequest"],
    ["a type that is none", { "Content-Type": "xml" }, "BadRequest"],
  ])("a body with %s travels as a fault", { tags: ["3261-8.2.3-a"] }, (_what, headers, tag) => {
    const command = publish({ body: "<a/>", headers })
    assert.deepStrictEqual([command.body, command.bodyFault?._tag], [null, tag as never])
  })

  it(
    "text that is not UTF-8 is a bad request, other bytes an unsupported type",
    { tags: ["3261-8.2.3-a"] },
    () => {
      const faultOf = (type: string) => {
        const message = readRequest({ method: "PUBLISH", body: "xx", headers: { "Content-Type": type } })
        message.body.set([0xc3, 0x28])
        const decoded = decode(message)
        return decoded._tag === "Submit" ? decoded.command.bodyFault?._tag : null
      }
      assert.strictEqual(faultOf("application/pidf+xml"), "BadRequest")
      assert.strictEqual(faultOf("multipart/mixed;boundary=x"), "UnsupportedMediaType")
    },
  )

  it(
    "a SUBSCRIBE carries what the dialog needs",
    { tags: ["OPS-extract_sdialog_info", "3261-12.1.1-b"] },
    () => {
      const command = commandOf<Subscribe>({
        method: "SUBSCRIBE",
        headers: {
          From: '"Bob" <sip:Bob@Example.com>;tag=bobs',
          To: "<sip:alice@example.com>;x=y",
          Contact: '"B" <sip:bob@127.0.0.1:5998;unknown?Subject=x>;q=0.5;+sip.instance="<urn:uuid:1>"',
          "Record-Route": ["<sip:p1.example.com;lr>, <sip:p2.example.com;lr>;x=1", "<sip:p3.example.com>"],
          "Call-ID": "c1",
          CSeq: "7 SUBSCRIBE",
          Event: "presence;id=Q1",
          Accept: "Application/PIDF+XML",
          Expires: "600",
        },
      })
      assert.deepStrictEqual(command, {
        _tag: "Subscribe",
        packageName: "presence",
        eventId: "Q1",
        watcher: "sip:Bob@example.com" as never,
        expires: 600,
        accept: ["application/pidf+xml"],
        forceActive: false,
        bodyFault: null,
        dialog: {
          callId: "c1",
          localTag: "our-tag",
          remoteTag: "bobs",
          localUri: "<sip:alice@example.com>;x=y",
          remoteUri: '"Bob" <sip:Bob@Example.com>',
          remoteTarget: "sip:bob@127.0.0.1:5998;unknown",
          routeSet: ["<sip:p1.example.com;lr>", "<sip:p2.example.com;lr>;x=1", "<sip:p3.example.com>"],
          remoteCseq: 7,
          localContact: "sip:presence@192.0.2.10:5060",
          flow: "udp:192.0.2.10:5060",
          source: "127.0.0.1:5998",
          room: command.dialog.room as number,
        },
      })
      assert.isAbove(command.dialog.room ?? 0, 500)
    },
  )

  it(
    "a To tag makes it a request inside a dialog, wherever it is addressed to",
    { tags: ["3261-12.2.2-a"] },
    () => {
      const headers = {
        To: "<sip:alice@example.com>;tag=ours",
        From: "<sip:bob@example.com>;tag=theirs",
        "Call-ID": "c1",
        CSeq: "8 SUBSCRIBE",
      }
      const decoded = decode(
        readRequest({
          method: "SUBSCRIBE",
          uri: "sip:presence@elsewhere.example.net",
          headers: { ...headers, Contact: null },
        }),
      )
      assert(decoded._tag === "Submit" && decoded.command._tag === "Resubscribe")
      assert.isNull(decoded.presentity)
      assert.deepStrictEqual(
        [decoded.command.dialog, decoded.command.cseq, decoded.command.remoteTarget],
        ["c1\nours\ntheirs" as never, 8, null],
      )
    },
  )

  it.each([
    ["3261-20.10-a: a star", "*"],
    ["3261-8.1.1.8-a: two Contacts", ["<sip:a@127.0.0.1>", "<sip:b@127.0.0.1>"]],
    ["3261-8.1.1.8-a: two Contacts on a line", "<sip:a@127.0.0.1>, <sip:b@127.0.0.1>"],
    ["3261-8.1.1.8-a: no Contact", null],
    ["3261-8.1.1.8-a: a tel URI", "<tel:+1201>"],
    ["4475-3.1.2.13-a: a URI with headers outside brackets", "sip:bob@127.0.0.1?Route=%3Csip:x%3E"],
    ["OPS-contact-target: port 0", "<sip:bob@127.0.0.1:0>"],
    ["OPS-contact-target: port 99999", "<sip:bob@127.0.0.1:99999>"],
    ["OPS-contact-target: everybody", "<sip:bob@255.255.255.255>"],
    ["OPS-contact-target: nobody", "<sip:bob@0.0.0.0>"],
    ["OPS-contact-target: a group", "<sip:bob@224.0.0.1:5060>"],
    ["OPS-contact-target: a group behind maddr", "<sip:bob@127.0.0.1;maddr=224.0.0.1>"],
    ["OPS-contact-target: ourselves", "<sip:bob@192.0.2.10:5060>"],
    ["OPS-contact-target: a long URI", `<sip:${"b".repeat(4_100)}@127.0.0.1>`],
  ])("%s as Contact of a SUBSCRIBE is refused with 400", (_what, contact) => {
    assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers: { Contact: contact } }), 400)
  })

  it("OPS-contact-source: where Contacts must be the source, another one is refused with 403, and so is a proxy that is not", () => {
    const headers = { Contact: "<sip:bob@198.51.100.7>" }
    assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers }, { allowAnyContact: false }), 403)
    assert.strictEqual(statusOf({ method: "SUBSCRIBE" }, { allowAnyContact: false }), 0)
    assert.strictEqual(
      statusOf(
        { method: "SUBSCRIBE", headers: { ...headers, "Record-Route": "<sip:127.0.0.1;lr>" } },
        { allowAnyContact: false },
      ),
      0,
    )
    for (const route of ["<sip:p;lr>", "<sip:198.51.100.9;lr>", "<sip:127.0.0.1;lr;maddr=198.51.100.9>"]) {
      const routed = { Contact: "<sip:bob@127.0.0.1:5998>", "Record-Route": route }
      assert.strictEqual(
        statusOf({ method: "SUBSCRIBE", headers: routed }, { allowAnyContact: false }),
        403,
        route,
      )
    }
    const inDialog = { ...headers, To: "<sip:alice@example.com>;tag=ours" }
    assert.strictEqual(statusOf({ method: "SUBSCRIBE", headers: inDialog }, { allowAnyContact: false }), 403)
  })

  it.each([
    ["3261-8.2.1-a: a method for others", { method: "MESSAGE" }, 405],
    ["3261-8.2.1-a: INVITE", { method: "INVITE" }, 405],
    ["3261-21.5.2-a: an unknown method", { method: "NEWMETHOD" }, 501],
    ["3261-21.5.2-a: a method in lower case", { method: "publish" }, 501],
    ["3261-8.2.2.1-a: another scheme", { uri: "soap.beep://192.0.2.103:3002" }, 416],
    ["3261-8.2.2.1-a: another host", { method: "PUBLISH", uri: "sip:alice@example.org" }, 404],
    ["3261-8.2.2.1-a: nobody in particular", { method: "PUBLISH", uri: "sip:example.com" }, 404],
    ["5118-4.1-a: IPv6 without brackets", { uri: "sip:2001:db8::10" }, 400],
    ["3265-3.2.4-b: NOTIFY", { method: "NOTIFY" }, 481],
    [
      "OPS-registrar-reject: REGISTER where there is none",
      { method: "REGISTER", uri: "sip:example.com" },
      403,
    ],
    ["3265-7.2.1-a: two packages", { method: "SUBSCRIBE", headers: { Event: "presence, dialog" } }, 400],
    [
      "OPS-key-lengths: a long tag",
      { headers: { From: `<sip:bob@example.com>;tag=${"x".repeat(513)}` } },
      400,
    ],
    [
      "OPS-key-lengths: a long event id",
      { method: "SUBSCRIBE", headers: { Event: `presence;id=${"x".repeat(129)}` } },
      400,
    ],
    ["4475-3.1.2-a: a From that is none", { headers: { From: '"open <sip:bob@example.com>' } }, 400],
    [
      "3261-12.1.1-b: a Record-Route that leads nowhere",
      { method: "SUBSCRIBE", headers: { "Record-Route": "<tel:+1>" } },
      400,
    ],
    ["11.2-a: OPTIONS to our own address", { uri: "sip:x@192.0.2.10" }, 200],
  ])("%s is answered %j with %i", (_what, parts, status) => {
    assert.strictEqual(statusOf(parts), status)
  })

  it("Unsupported lists exactly what Require asks for", { tags: ["3261-8.2.2.3-a"] }, () => {
    const option = fc.constantFrom("100rel", "nothingSupportsThis", "eventlist", "gruu")
    fc.assert(
      fc.property(fc.array(option, { minLength: 1, maxLength: 4 }), (options) => {
        const decoded = decode(
          readRequest({
            method: "SUBSCRIBE",
            headers: { Require: options.join(" , "), "Proxy-Require": "x" },
          }),
        )
        assert(decoded._tag === "Reply")
        assert.deepStrictEqual(
          [decoded.reply.status, decoded.reply.headers],
          [420, `Unsupported: ${options.join(", ")}\r\n`],
        )
      }),
    )
  })

  it("OPTIONS says what is understood here", { tags: ["3261-11.2-a"] }, () => {
    const decoded = decode(readRequest())
    assert(decoded._tag === "Reply")
    assert.strictEqual(
      decoded.reply.headers,
      "Allow: OPTIONS, PUBLISH, REGISTER, SUBSCRIBE\r\nAccept: application/pidf+xml\r\nAccept-Encoding: identity\r\nAllow-Events: presence\r\nSupported:\r\n",
    )
  })

  it("a merged request is refused with 482, but not inside a dialog", { tags: ["3261-8.2.2.2-a"] }, () => {
    const tagged = readRequest({ method: "SUBSCRIBE", headers: { To: "<sip:alice@example.com>;tag=x" } })
    const merged = decode(readRequest({ method: "SUBSCRIBE" }), {}, true)
    assert.strictEqual(merged._tag === "Reply" ? merged.reply.status : 0, 482)
    assert.strictEqual(decode(tagged, {}, true)._tag, "Submit")
  })

  it("a filter in a SUBSCRIBE is a fault unless it may be ignored", { tags: ["3261-8.2.3-a"] }, () => {
    const fault = (disposition: string | null) =>
      commandOf<Subscribe>({
        method: "SUBSCRIBE",
        body: "<filter/>",
        headers: { "Content-Disposition": disposition },
      }).bodyFault?._tag ?? null
    assert.strictEqual(fault(null), "UnsupportedMediaType")
    assert.isNull(fault("session;handling=Optional"))
  })

  it("OPS-publish-identity: who is authenticated publishes for itself, and watches as itself", () => {
    const authenticate = () =>
      ({ _tag: "Verified", user: "bob", uri: "sip:bob@example.com" as never }) as const
    assert.strictEqual(statusOf({ method: "PUBLISH" }, { authenticate }), 403)
    assert.strictEqual(
      statusOf({ method: "PUBLISH" }, { authenticate, mayPublishFor: (user) => user === "bob" }),
      0,
    )
    assert.strictEqual(statusOf({ method: "PUBLISH", uri: "sip:bob@example.com" }, { authenticate }), 0)
    assert.strictEqual(statusOf({ method: "SUBSCRIBE" }, { authenticate }), 0)
    assert.strictEqual(
      statusOf({ method: "SUBSCRIBE", headers: { From: "<sip:carol@example.com>;tag=1" } }, { authenticate }),
      403,
    )
  })

  it(
    "every readable request is decoded to a command or a reply with a final status that is not 408 or 5xx for bad input",
    { tags: ["L01"] },
    () => {
      fc.assert(
        fc.property(mutatedRequest, (text) => {
          const message = read(text)
          if (message === null || message.fault !== null || !message.isRequest) return
          const decoded = decode(message)
          if (decoded._tag === "Reply")
            assert.include([200, 400, 403, 404, 405, 416, 420, 481, 501], decoded.reply.status)
        }),
        { numRuns: 2_000 },
      )
    },
  )
})
