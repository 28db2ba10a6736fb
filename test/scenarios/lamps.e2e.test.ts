/**
 * Lamps as phones and PBXs of the field use them, over real sockets: ids that are used again, one dialog of many, an
 * idle dialog, and devices that publish anew after a restart.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { dialog, read, written } from "../support/dialog-info.ts"
import { openScene } from "../support/scene.ts"
import type { Call, SceneSettings } from "../support/scene.ts"
import { answer, pidf, tuple } from "../support/sip-client.ts"
import type { Transport } from "../support/sip-client.ts"

const type = "application/dialog-info+xml"
const publishing = { Event: "dialog", "Content-Type": type, Expires: "600" }

const scene = async (context: TestContext, settings: SceneSettings = {}, transport: Transport = "udp") =>
  (await openScene(context, settings, transport)).another

/** What a new watcher is shown: `id state …`, and the document. */
const fetched = async (watcher: Call, headers: Readonly<Record<string, string>> = {}) => {
  const response = await watcher.subscribe({ Event: "dialog", Accept: type, Expires: "0", ...headers })
  assert.ok(response.raw.status < 300, String(response.raw.status))
  const notify = await watcher.notify()
  answer(watcher.phone, notify)
  const text = notify.raw.body.toString("utf8")
  const shown = read(text).dialogs.map(({ id, state }) => `${id} ${state}`)
  return { text, shown: shown.join(", ") }
}

const status = async (publication: ReturnType<Call["publish"]>): Promise<string> => {
  const response = await publication
  assert.equal(response.raw.status, 200)
  return response.header("sip-etag") ?? ""
}

describe("dialog ids that are used again", () => {
  it(
    "a park orbit is lit, dark and lit again, in one publication and with one Call-ID",
    { tags: ["3903-4.4-a", "4235-4.1.1-a"] },
    async (context) => {
      const another = await scene(context)
      const pbx = await another("alice")
      let tag: string | null = null
      for (const state of ["confirmed", "terminated", "early", "terminated", "confirmed"] as const) {
        tag = await status(
          pbx.publish(
            { ...publishing, ...(tag === null ? {} : { "SIP-If-Match": tag }) },
            written(dialog("park", state, "park@pbx")),
          ),
        )
        assert.equal((await fetched(await another("bob"))).shown, `park ${state}`)
      }
    },
  )

  it(
    "an extension as dialog id, published anew for each call",
    { tags: ["4235-4.1.1-a"] },
    async (context) => {
      const another = await scene(context)
      for (const state of ["confirmed", "terminated", "early", "terminated"] as const) {
        await status((await another("alice")).publish(publishing, written(dialog("103", state))))
        assert.equal((await fetched(await another("bob"))).shown, `103 ${state}`)
      }
    },
  )

  it("a call that is over is not lit again by a late publication", { tags: ["BUG-25"] }, async (context) => {
    const another = await scene(context)
    for (const state of ["terminated", "early", "confirmed"] as const)
      await status((await another("alice")).publish(publishing, written(dialog("1", state, "c1"))))
    assert.equal((await fetched(await another("bob"))).shown, "1 terminated")
  })
})

describe("Event parameters of dialog", () => {
  const leg = (id: string, callId: string, tags: string, inside = ""): string =>
    `<dialog id="${id}" call-id="${callId}" ${tags}><state>confirmed</state>${inside}</dialog>`
  const both = written(
    leg("1", "A@x", 'local-tag="L1" remote-tag="R1"') +
      leg("2", "A@x", 'local-tag="L2" remote-tag="R1"') +
      leg("3", "B@x", 'local-tag="L3" remote-tag="R3"'),
  )

  it.for([
    ['dialog;call-id="A@x";to-tag=L1;from-tag=R1', "1 confirmed"],
    ['dialog;Call-ID = "A@x" ; TO-TAG=L2;from-tag=R1', "2 confirmed"],
    ['dialog;call-id="A@x";to-tag=L1', "1 confirmed"],
    ['dialog;call-id="A@x"', "1 confirmed, 2 confirmed"],
    ['dialog;call-id="A@x";to-tag=R1;from-tag=L1', ""],
    ['dialog;call-id="a@x";to-tag=L1;from-tag=R1', ""],
    ["dialog;call-id=other", ""],
    ["dialog;unknown=1", "1 confirmed, 2 confirmed, 3 confirmed"],
  ] as const)("%s: only what is asked for", { tags: ["4235-3.1-a"] }, async ([event, shown], context) => {
    const another = await scene(context, { idle_dialog: ["none"] })
    await status((await another("alice")).publish(publishing, both))
    assert.equal((await fetched(await another("bob"), { Event: event })).shown, shown)
  })

  it.for([
    "dialog;to-tag=1",
    "dialog;from-tag=1",
    "dialog;call-id",
    'dialog;call-id=""',
    "dialog;call-id=1;to-tag=",
  ])("%s is refused", { tags: ["4235-3.1-a"] }, async (event, context) => {
    const another = await scene(context)
    const response = await (await another("bob")).subscribe({ Event: event, Accept: type, Expires: "60" })
    assert.equal(response.raw.status, 400)
  })

  it(
    "other dialogs change unnoticed, and what is told is whole",
    { tags: ["4235-3.7-a"] },
    async (context) => {
      const another = await scene(context, { idle_dialog: ["none"], notify_min_interval: 0 })
      const [bob, pbx] = [await another("bob"), await another("alice")]
      const tag = await status(
        pbx.publish(publishing, written(dialog("1", "early", "A") + dialog("2", "early", "B"))),
      )
      await bob.subscribe({ Event: "dialog;call-id=A", Accept: type, Expires: "600" })
      const first = await bob.notify()
      answer(bob.phone, first)
      const second = await status(
        pbx.publish(
          { ...publishing, "SIP-If-Match": tag },
          written(dialog("1", "early", "A") + dialog("2", "confirmed", "B")),
        ),
      )
      await pbx.publish(
        { ...publishing, "SIP-If-Match": second },
        written(dialog("1", "confirmed", "A") + dialog("2", "terminated", "B")),
      )
      const told = await bob.notify()
      answer(bob.phone, told)
      const text = told.raw.body.toString()
      assert.deepEqual(
        read(text).dialogs.map(({ id, state }) => `${id} ${state}`),
        ["1 confirmed"],
      )
      assert.match(text, /state="full"/)
      assert.doesNotMatch(text, /"B"/)
    },
  )

  it("session descriptions are for those who ask for them", { tags: ["4235-4.1-a"] }, async (context) => {
    const another = await scene(context)
    const side =
      '<local><identity>sip:a@b</identity><session-description type="application/sdp">v=0</session-description></local>'
    await status((await another("alice")).publish(publishing, written(leg("1", "A", "", side))))
    assert.doesNotMatch((await fetched(await another("bob"))).text, /session-description/)
    assert.match((await fetched(await another("bob"))).text, /<local><identity>sip:a@b<\/identity><\/local>/)
    const asked = { Event: "dialog;include-session-description" }
    assert.match((await fetched(await another("bob"), asked)).text, /v=0/)
    const one = { Event: "dialog;call-id=A;include-session-description" }
    assert.match((await fetched(await another("bob"), one)).text, /v=0/)
  })
})

describe("an idle dialog", () => {
  it(
    "is in every document that would have none, and in no other",
    { tags: ["4235-4.1-a"] },
    async (context) => {
      const another = await scene(context)
      assert.equal((await fetched(await another("bob"))).shown, "idle terminated")
      const tag = await status(
        (await another("alice")).publish(publishing, written(dialog("1", "early", "c"))),
      )
      assert.equal((await fetched(await another("bob"))).shown, "1 early")
      await status((await another("alice")).publish({ ...publishing, "SIP-If-Match": tag, Expires: "0" }))
      assert.equal((await fetched(await another("bob"))).shown, "idle terminated")
    },
  )

  it(
    "for phones that the operator names, by package and User-Agent",
    { tags: ["4235-4.1-a"] },
    async (context) => {
      const another = await scene(context, { idle_dialog: ["dialog=yealink*"] })
      const yealink = { "User-Agent": "Yealink SIP-T46S 66.84" }
      assert.equal((await fetched(await another("bob"), yealink)).shown, "idle terminated")
      assert.equal((await fetched(await another("bob"), { "User-Agent": "snom" })).shown, "")
      assert.equal((await fetched(await another("bob"))).shown, "")
    },
  )
})

describe("a device that publishes anew after a restart", () => {
  const presence = { Event: "presence", "Content-Type": "application/pidf+xml", Expires: "600" }
  const tuples = async (another: (user: string) => Promise<Call>): Promise<readonly string[]> => {
    const watcher = await another("bob")
    await watcher.subscribe({ Event: "presence", Expires: "0" })
    const notify = await watcher.notify()
    answer(watcher.phone, notify)
    return [...notify.raw.body.toString().matchAll(/<tuple id="(\w+)"/g)].map(([, id]) => id ?? "").sort()
  }
  const instance = (id: string, host = "192.0.2.9"): Readonly<Record<string, string>> => ({
    Contact: `<sip:alice@${host}>;+sip.instance="<urn:uuid:${id}>"`,
  })
  const phone = (contact: string, agent: string): Readonly<Record<string, string>> => ({
    Contact: `<sip:alice@${contact}>`,
    "User-Agent": agent,
  })

  it.for([
    ["its instance, wherever it is now", instance("a"), instance("A", "192.0.2.77"), ["t2"]],
    ["Contact, User-Agent and source", phone("192.0.2.9", "snom"), phone("192.0.2.9", "snom"), ["t2"]],
    ["another instance", instance("a"), instance("b"), ["t1", "t2"]],
    ["another Contact", phone("192.0.2.9", "snom"), phone("192.0.2.8", "snom"), ["t1", "t2"]],
    ["another User-Agent", phone("192.0.2.9", "snom"), phone("192.0.2.9", "yealink"), ["t1", "t2"]],
    ["nothing", {}, {}, ["t1", "t2"]],
    ["a Contact alone", { Contact: "<sip:a@192.0.2.9>" }, { Contact: "<sip:a@192.0.2.9>" }, ["t1", "t2"]],
    ["a User-Agent alone", { "User-Agent": "snom" }, { "User-Agent": "snom" }, ["t1", "t2"]],
    [
      "a malformed Contact",
      { Contact: "<sip:a", "User-Agent": "x" },
      { Contact: "<sip:a", "User-Agent": "x" },
      ["t1", "t2"],
    ],
  ] as const)("told by %s", { tags: ["BUG-25"] }, async ([, first, second, shown], context) => {
    const another = await scene(context)
    await status((await another("alice")).publish({ ...presence, ...first }, pidf(tuple("t1", "open"))))
    await status((await another("alice")).publish({ ...presence, ...second }, pidf(tuple("t2", "open"))))
    assert.deepEqual(await tuples(another), shown)
  })

  it.for([
    ["none", ["t1", "t2", "t3", "t4"]],
    ["instance", ["t2", "t3", "t4"]],
    ["contact", ["t2", "t4"]],
  ] as const)("device_recognition = %s", { tags: ["BUG-25"] }, async ([recognition, shown], context) => {
    // four tuples are more than goes to a UDP address that has not answered yet
    const another = await scene(context, { device_recognition: recognition }, "tcp")
    const devices = [instance("a"), instance("a"), phone("192.0.2.9", "snom"), phone("192.0.2.9", "snom")]
    for (const [index, device] of devices.entries())
      await status(
        (await another("alice")).publish({ ...presence, ...device }, pidf(tuple(`t${index + 1}`, "open"))),
      )
    assert.deepEqual(await tuples(another), shown)
  })

  it(
    "its lost call is over, and its old entity-tag is worth nothing",
    { tags: ["BUG-25"] },
    async (context) => {
      const another = await scene(context)
      const tag = await status(
        (await another("alice")).publish(
          { ...publishing, ...instance("a") },
          written(dialog("x1", "confirmed", "c1")),
        ),
      )
      await status(
        (await another("alice")).publish(
          { ...publishing, ...instance("a") },
          written(dialog("y1", "early", "c2")),
        ),
      )
      assert.equal((await fetched(await another("bob"))).shown, "y1 early")
      const old = await (await another("alice")).publish({ ...publishing, "SIP-If-Match": tag })
      assert.equal(old.raw.status, 412)
    },
  )
})
