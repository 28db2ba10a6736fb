/**
 * What families of phones need, over real sockets: XPIDF, one tuple, plain names, odd Event and Accept headers; by
 * User-Agent, by setting, and by what a request says.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { dialog, written } from "../support/dialog-info.ts"
import { openScene } from "../support/scene.ts"
import type { Call } from "../support/scene.ts"
import { answer, pidf, tuple } from "../support/sip-client.ts"

const xpidf = "application/xpidf+xml"
const busy =
  '<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p"><r:activities xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"><r:on-the-phone/></r:activities></dm:person>'

const told = async (call: Call): Promise<Message> => {
  const notify = await call.notify()
  answer(call.phone, notify)
  return notify
}
const text = (notify: Message): string => notify.raw.body.toString("utf8")
const publishes = async (call: Call, body: string, headers: Readonly<Record<string, string>> = {}) => {
  const response = await call.publish({ Expires: "600", ...headers }, body)
  assert.equal(response.raw.status, 200)
  return response.header("sip-etag") ?? ""
}
const status = (notify: Message): string =>
  [...text(notify).matchAll(/ (?:sub)?status="(\w+)"/g)].map(([, value]) => value).join(" ")

describe("XPIDF", () => {
  it("goes to a phone that accepts nothing newer, from the first document to the last", async (context) => {
    const { another } = await openScene(context, { notify_min_interval: 0 }, "tcp")
    const polycom = await another("bob")
    const accept = { Accept: `${xpidf}, text/xml+msrtc.pidf`, Expires: "600" }
    assert.equal((await polycom.subscribe(accept)).raw.status, 200)
    assert.equal(text(await told(polycom)), "")
    const alice = await another("alice")
    let tag = await publishes(alice, pidf(tuple("t1", "closed")))
    assert.equal(status(await told(polycom)), "closed offline")
    const open = pidf(tuple("t2", "open"))
    const shown: readonly (readonly [string, string])[] = [
      [open, "open online"],
      [open.replace("</presence>", `${busy}</presence>`), "inuse onthephone"],
      [open.replace("</presence>", `${busy.replace("on-the-phone", "busy")}</presence>`), "inuse busy"],
      [open.replace("</presence>", `${busy.replace("on-the-phone", "away")}</presence>`), "open away"],
    ]
    for (const [body, expected] of shown) {
      tag = await publishes(alice, body, { "SIP-If-Match": tag })
      const notify = await told(polycom)
      assert.equal(notify.header("content-type"), xpidf)
      assert.equal(status(notify), expected)
    }
    await publishes(alice, "", { "SIP-If-Match": tag, Expires: "0" })
    const last = await told(polycom)
    assert.equal(last.header("content-type"), xpidf)
    assert.match(
      text(last),
      /^<\?xml [^>]*\?>\s*<!DOCTYPE presence [^>]*>\s*<presence><presentity uri="sip:alice@example\.com;method=SUBSCRIBE"\/>/,
    )
    assert.equal(status(last), "closed offline")
  })

  it("does not go to a phone that accepts PIDF as well, or anything", async (context) => {
    const { another, publish } = await openScene(context, {}, "tcp")
    await publish()
    for (const accept of [`${xpidf}, application/pidf+xml`, "*/*", "application/*"]) {
      const watcher = await another("bob")
      await watcher.subscribe({ Accept: accept, Expires: "600" })
      assert.equal((await told(watcher)).header("content-type"), "application/pidf+xml")
    }
    assert.equal((await (await another("bob")).subscribe({ Accept: "text/xml+msrtc.pidf" })).raw.status, 406)
    const calls = await another("bob")
    assert.equal((await calls.subscribe({ Event: "dialog", Accept: xpidf })).raw.status, 406)
  })

  it("is for as long as the newest SUBSCRIBE says", async (context) => {
    const { another, publish } = await openScene(context, {}, "tcp")
    await publish()
    const watcher = await another("bob")
    const types = ["application/pidf+xml", xpidf, xpidf, "application/pidf+xml"]
    for (const type of types) {
      assert.equal((await watcher.subscribe({ Accept: type, Expires: "600" })).raw.status, 200)
      assert.equal((await told(watcher)).header("content-type"), type)
    }
  })
})

describe("phone profiles", () => {
  const lobby = { "User-Agent": "Acme 200 1.0", Expires: "600" }
  const profiles = (needs: string) => ({ phone_profiles: [`lobby=${needs}:acme 1*|Acme 2??*`] })

  it("one tuple: the newest that is open", async (context) => {
    const { another } = await openScene(context, profiles("one-tuple"), "tcp")
    const tuples = tuple("t1", "open") + tuple("t2", "open") + tuple("t3", "closed")
    await publishes(await another("alice"), pidf(tuples))
    const ids = async (headers: Readonly<Record<string, string>>) => {
      const watcher = await another("bob")
      await watcher.subscribe(headers)
      return [...text(await told(watcher)).matchAll(/<tuple id="(\w+)"/g)].map(([, id]) => id).join()
    }
    assert.equal(await ids(lobby), "t2")
    assert.equal(await ids({ Expires: "600", "User-Agent": "Other" }), "t1,t2,t3")
    assert.equal(await ids({ Expires: "600" }), "t1,t2,t3")
  })

  it("plain names, in full documents and in changes", async (context) => {
    const settings = { ...profiles("plain-names"), idle_dialog: ["none"], notify_min_interval: 0 }
    const { another } = await openScene(context, settings, "tcp")
    const [old, other] = [await another("bob"), await another("bob")]
    for (const [watcher, agent] of [
      [old, "Acme 1"],
      [other, "x"],
    ] as const) {
      await watcher.subscribe({
        Event: "dialog",
        Accept: "application/dialog-info+xml",
        Expires: "600",
        "User-Agent": agent,
      })
      await told(watcher)
    }
    const named = (state: "early" | "confirmed"): string =>
      written(
        dialog("1", state, "c1").replace(
          "</dialog>",
          '<remote><identity display="Jürgen Groß 王">sip:j@example.com</identity></remote></dialog>',
        ),
      )
    const type = { Event: "dialog", "Content-Type": "application/dialog-info+xml" }
    const alice = await another("alice")
    const tag = await publishes(alice, named("early"), type)
    for (const round of [1, 2]) {
      assert.match(text(await told(old)), /display="Jurgen Gross"/)
      assert.match(text(await told(other)), /display="Jürgen Groß 王"/)
      if (round === 1) await publishes(alice, named("confirmed"), { ...type, "SIP-If-Match": tag })
    }
  })

  it("odd Accept and Event headers, in SUBSCRIBE, refresh and PUBLISH", async (context) => {
    const { another } = await openScene(context, profiles("any-accept+any-case"), "tcp")
    const odd = { ...lobby, Event: "Presence", Accept: "application/dialog-info+xml" }
    await publishes(await another("alice"), pidf(tuple("t1", "open")), lobby)
    const watcher = await another("bob")
    for (const _ of [1, 2]) {
      assert.equal((await watcher.subscribe(odd)).raw.status, 200)
      const notify = await told(watcher)
      assert.equal(notify.header("event"), "presence")
      assert.match(text(notify), /<tuple id="t1"/)
    }
    const others = { Expires: "600", Event: "Presence" }
    assert.equal((await (await another("bob")).subscribe(others)).raw.status, 489)
    assert.equal((await (await another("bob")).subscribe({ ...odd, Event: "nonsense" })).raw.status, 489)
  })

  it("how a device is recognized, whatever device_recognition says", async (context) => {
    const { another } = await openScene(context, profiles("recognized-by-nothing"), "tcp")
    const contact = { Contact: "<sip:alice@192.0.2.9>" }
    for (const agent of ["Acme 100", "Other"])
      for (const id of ["t1", "t2"])
        await publishes(await another("alice"), pidf(tuple(`${agent.slice(0, 1)}${id}`, "open")), {
          ...contact,
          "User-Agent": agent,
        })
    const watcher = await another("bob")
    await watcher.subscribe({ Expires: "600" })
    const ids = [...text(await told(watcher)).matchAll(/<tuple id="(\w+)"/g)].map(([, id]) => id ?? "").sort()
    assert.deepEqual(ids, ["At1", "At2", "Ot2"])
  })

  it.for([
    ["a built-in profile", [], "Yealink SIP-T46S", true],
    ["a built-in profile for other phones", ["yealink:acme*"], "ACME 5", true],
    ["the operator's own before a built-in one", ["mine=one-tuple:yealink*"], "Yealink SIP-T46S", false],
    ["none", ["none"], "Yealink SIP-T46S", false],
    ["no User-Agent that fits", [], "snom", false],
  ] as const)("chosen: %s", async ([, entries, agent, isIdle], context) => {
    const { another } = await openScene(
      context,
      { phone_profiles: [...entries], idle_dialog: ["none"] },
      "tcp",
    )
    const watcher = await another("bob")
    await watcher.subscribe({ Event: "dialog", Accept: "application/dialog-info+xml", "User-Agent": agent })
    assert.equal(text(await told(watcher)).includes("<dialog "), isIdle)
  })
})
