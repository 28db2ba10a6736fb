/**
 * Feature keys over real sockets: phones of one user, a stranger, and bodies as phones send them.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { openScene } from "../support/scene.ts"
import { answer } from "../support/sip-client.ts"

const type = "application/x-as-feature-event+xml"
const csta = "http://www.ecma-international.org/standards/ecma-323/csta/ed3"
const headers = { Event: "as-feature-event", Accept: type, Expires: "600" }
const setting = { ...headers, "Content-Type": type }
const doNotDisturb = (value: string, encoding = "UTF-8"): string =>
  `<?xml version="1.0" encoding="${encoding}"?><SetDoNotDisturb xmlns="${csta}"><device/><doNotDisturbOn>${value}</doNotDisturbOn></SetDoNotDisturb>`

const shown = (notify: Message): string => notify.raw.body.toString("utf8")

describe("as-feature-event", () => {
  it.for(["tcp", "udp"] as const)("sets and tells over %s", async (transport, context) => {
    const { another } = await openScene(context, { as_feature_event: true }, transport)
    const [desk, mobile] = [await another("alice"), await another("alice")]
    for (const phone of [desk, mobile]) {
      assert.equal((await phone.subscribe(headers)).raw.status, 200)
      const first = await phone.notify()
      answer(phone.phone, first)
      // a document may not go to a UDP address that has not answered yet: it follows
      const full = shown(first) === "" ? await phone.notify() : first
      if (full !== first) answer(phone.phone, full)
      assert.match(full.header("content-type") ?? "", /^multipart\/mixed;boundary=/)
      assert.equal([...shown(full).matchAll(/<ForwardingEvent /g)].length, 3)
      assert.match(shown(full), /<doNotDisturbOn>false</)
    }
    // as phones declare it
    assert.equal((await desk.subscribe(setting, doNotDisturb("true", "ISO-8859-1"))).raw.status, 200)
    const own = await desk.notify()
    answer(desk.phone, own)
    assert.match(shown(own), /<doNotDisturbOn>true</)
    const other = await mobile.notify()
    answer(mobile.phone, other)
    assert.equal(other.header("content-type"), type)
    assert.match(shown(other), /<DoNotDisturbEvent [^>]*><device\/><doNotDisturbOn>true</)
  })

  it("refuses what is no such document, and what a stranger wants to set", async (context) => {
    const { another } = await openScene(context, { as_feature_event: true }, "tcp")
    const alice = await another("alice")
    const wrong = await alice.subscribe({ ...setting, "Content-Type": "text/plain" }, "dnd")
    assert.equal(wrong.raw.status, 415)
    assert.equal(wrong.header("accept"), `${type}, multipart/mixed`)
    assert.equal((await (await another("alice")).subscribe(setting, doNotDisturb("on"))).raw.status, 400)
    const optional = {
      ...setting,
      "Content-Type": "text/plain",
      "Content-Disposition": "x;handling=optional",
    }
    assert.equal((await (await another("alice")).subscribe(optional, "dnd")).raw.status, 200)
  })

  it("is not served unless the operator wants it", async (context) => {
    const { another } = await openScene(context, {}, "tcp")
    const refused = await (await another("alice")).subscribe(headers)
    assert.equal(refused.raw.status, 489)
    assert.doesNotMatch(refused.header("allow-events") ?? "", /as-feature-event/)
  })
})
