/**
 * Lamps over real sockets: calls published by a proxy, watched by phones; shared lines; calls that show in presence.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { afterReading, dialog, partial, read, written } from "../support/dialog-info.ts"
import type { ReaderTable } from "../support/dialog-info.ts"
import { openScene } from "../support/scene.ts"
import type { Call, SceneSettings } from "../support/scene.ts"
import { answer } from "../support/sip-client.ts"
import type { Transport } from "../support/sip-client.ts"

const type = "application/dialog-info+xml"
const lampHeaders = { Event: "dialog", Accept: type, Expires: "600" }
const publishing = (packageName: string) => ({ Event: packageName, "Content-Type": type, Expires: "600" })

/** A call of any user on a phone of its own. */
const scene = async (context: TestContext, transport: Transport, settings: SceneSettings = {}) =>
  (await openScene(context, settings, transport)).another

/** A lamp that reads what it is sent, as RFC 4235 §4.3 says. */
const lampOf = (watcher: Call) => {
  let table: ReaderTable = new Map()
  const versions: number[] = []
  return {
    versions,
    next: async (): Promise<Message> => {
      const notify = await watcher.notify()
      answer(watcher.phone, notify)
      const document = read(notify.raw.body.toString("utf8"))
      table = afterReading(table, document)
      versions.push(document.version ?? -1)
      return notify
    },
    /** `id state …` of the calls it knows. */
    shows: (): string =>
      [...table]
        .map(([id, text]) => `${id} ${/confirmed|early|trying|proceeding/.exec(text)?.[0]}`)
        .join(", "),
  }
}

const stateOf = (notify: Message): string =>
  /state="(full|partial)"/.exec(notify.raw.body.toString())?.[1] ?? ""

describe.each(["udp", "tcp"] as const)("dialog over %s", (transport) => {
  it(
    "a lamp is told all calls first, then what changes; each watcher counts by itself",
    { tags: ["4235-3.1-a", "4235-3.4-a", "4235-3.7-a", "4235-4.1-a"] },
    async (context) => {
      const another = await scene(context, transport)
      const [bob, carol, proxy] = [await another("bob"), await another("carol"), await another("alice")]
      const lamp = lampOf(bob)
      const granted = await bob.subscribe({ ...lampHeaders, Event: "dialog;x=y", Expires: null })
      assert.deepEqual([granted.raw.status, granted.header("expires")], [200, "3600"])
      const first = await lamp.next()
      assert.deepEqual(
        [first.header("event"), first.header("content-type"), stateOf(first)],
        ["dialog", type, "full"],
      )
      assert.equal(lamp.shows(), "")
      const begun = await proxy.publish(publishing("dialog"), written(dialog("c1", "early", "c1")))
      assert.equal(begun.raw.status, 200)
      assert.equal(stateOf(await lamp.next()), "partial")
      assert.equal(lamp.shows(), "c1 early")
      const second = lampOf(carol)
      await carol.subscribe(lampHeaders)
      assert.equal(stateOf(await second.next()), "full")
      assert.equal(second.shows(), "c1 early")
      const tag = begun.header("sip-etag")!
      const talking = await proxy.publish(
        { ...publishing("dialog"), "SIP-If-Match": tag },
        partial(dialog("c1", "confirmed", "c1")),
      )
      await Promise.all([lamp.next(), second.next()])
      assert.deepEqual([lamp.shows(), second.shows()], ["c1 confirmed", "c1 confirmed"])
      await proxy.publish(
        { ...publishing("dialog"), "SIP-If-Match": talking.header("sip-etag")! },
        partial(dialog("c1", "terminated", "c1")),
      )
      await Promise.all([lamp.next(), second.next()])
      assert.deepEqual([lamp.shows(), second.shows()], ["", ""])
      assert.deepEqual(
        [lamp.versions, second.versions],
        [
          [0, 1, 2, 3],
          [0, 1, 2],
        ],
      )
    },
  )

  it(
    "what is no dialog-info is refused, and of another type as well",
    { tags: ["4235-4.1.1-a"] },
    async (context) => {
      const another = await scene(context, transport)
      const proxy = await another("alice")
      assert.equal(
        (await proxy.publish(publishing("dialog"), "<dialog-info><dialog></dialog-info>")).raw.status,
        400,
      )
      assert.equal(
        (await proxy.publish(publishing("dialog"), written("<dialog><state>early</state></dialog>"))).raw
          .status,
        400,
      )
      const wrong = await proxy.publish(
        { ...publishing("dialog"), "Content-Type": "application/pidf+xml" },
        "<presence/>",
      )
      assert.deepEqual([wrong.raw.status, wrong.header("accept")], [415, type])
    },
  )
})

describe("lamps", () => {
  it(
    "a call that is over within the second is told once, as over",
    { tags: ["L35", "4235-3.10-a"] },
    async (context) => {
      const another = await scene(context, "udp", { notify_min_interval: 1 })
      const [bob, proxy] = [await another("bob"), await another("alice")]
      const lamp = lampOf(bob)
      await bob.subscribe(lampHeaders)
      await lamp.next()
      const begun = await proxy.publish(publishing("dialog"), written(dialog("c1", "early")))
      await lamp.next()
      const over = await proxy.publish(
        { ...publishing("dialog"), "SIP-If-Match": begun.header("sip-etag")! },
        written(dialog("c1", "confirmed")),
      )
      await proxy.publish({ ...publishing("dialog"), "SIP-If-Match": over.header("sip-etag")!, Expires: "0" })
      await lamp.next()
      assert.equal(lamp.shows(), "")
      await bob.phone.hearsNothing()
    },
  )

  it("a call nobody ends is over when its publication is", { tags: ["3903-4.2-a"] }, async (context) => {
    const another = await scene(context, "udp")
    const [bob, proxy] = [await another("bob"), await another("alice")]
    const lamp = lampOf(bob)
    await bob.subscribe(lampHeaders)
    await lamp.next()
    await proxy.publish({ ...publishing("dialog"), Expires: "1" }, written(dialog("c1", "confirmed")))
    await lamp.next()
    assert.equal(lamp.shows(), "c1 confirmed")
    await lamp.next()
    assert.equal(lamp.shows(), "")
  })

  it(
    "a phone that knows one call only is told the foremost",
    { tags: ["OPS-force_single_dialog"] },
    async (context) => {
      const another = await scene(context, "udp", { force_single_dialog: true })
      const [bob, one, other] = [await another("bob"), await another("alice"), await another("alice")]
      await one.publish(publishing("dialog"), written(dialog("c1", "early")))
      await other.publish(publishing("dialog"), written(dialog("c2", "confirmed")))
      const lamp = lampOf(bob)
      await bob.subscribe(lampHeaders)
      await lamp.next()
      assert.equal(lamp.shows(), "c1 early")
    },
  )

  it(
    "a ringing phone is present, and one on the phone says so",
    { tags: ["OPS-mix_dialog_presence", "BUG-14"] },
    async (context) => {
      const another = await scene(context, "udp", { mix_dialog_presence: true })
      const [bob, proxy] = [await another("bob"), await another("alice")]
      const body = async (): Promise<string> => {
        const notify = await bob.notify()
        answer(bob.phone, notify)
        return notify.raw.body.toString("utf8")
      }
      await bob.subscribe({ Expires: "600" })
      assert.match(await body(), /<basic>closed</)
      const begun = await proxy.publish(publishing("dialog"), written(dialog("c1", "early")))
      const ringing = await body()
      assert.match(ringing, /<basic>open</)
      assert.doesNotMatch(ringing, /closed|on-the-phone/)
      await proxy.publish(
        { ...publishing("dialog"), "SIP-If-Match": begun.header("sip-etag")! },
        written(dialog("c1", "confirmed")),
      )
      assert.match(await body(), /on-the-phone/)
    },
  )
})

describe("a shared line", () => {
  it(
    "its phones are told of each other's calls, and not of their own",
    { tags: ["BLA-1", "BLA-2", "BLA-3", "BLA-6"] },
    async (context) => {
      const another = await scene(context, "udp", { trusted_peers: ["127.0.0.1;identity=from"] })
      const [desk, lab, stranger] = [await another("alice"), await another("alice"), await another("bob")]
      const sla = { Event: "dialog;sla", Accept: type, Expires: "600" }
      const [deskLamp, labLamp] = [lampOf(desk), lampOf(lab)]
      await desk.subscribe(sla)
      assert.equal((await deskLamp.next()).header("event"), "dialog;sla")
      await lab.subscribe(sla)
      await labLamp.next()
      await stranger.subscribe(lampHeaders)
      answer(stranger.phone, await stranger.notify())
      const seized = await desk.ask(
        "PUBLISH",
        { ...publishing("dialog;sla"), Sender: `<sip:alice@${desk.phone.address}>` },
        written(dialog("c1", "trying")),
        "sip:alice@example.com",
      )
      assert.equal(seized.raw.status, 200)
      await labLamp.next()
      assert.equal(labLamp.shows(), "c1 trying")
      await Promise.all([desk.phone.hearsNothing(), stranger.phone.hearsNothing()])
      // its own refresh tells it nevertheless
      await desk.subscribe(sla)
      await deskLamp.next()
      assert.equal(deskLamp.shows(), "c1 trying")
    },
  )

  it(
    "the line is the Contact's user, or the URI the operator names",
    { tags: ["OPS-bla_presentity_spec", "BLA-2"] },
    async (context) => {
      const body = written(dialog("c1", "confirmed"))
      for (const [spec, line] of [
        ["contact", "line7"],
        ["$ru", "alice"],
        ["$tu", "alice"],
        ["$fu", "bob"],
      ] as const) {
        const another = await scene(context, "udp", { bla_presentity_spec: spec })
        const [bob, proxy] = [await another("bob"), await another("proxy")]
        await proxy.ask("PUBLISH", publishing("dialog;sla"), body, `sip:${line}@example.com`)
        const lamp = lampOf(bob)
        const contact = `<sip:line7@${bob.phone.address}>`
        assert.equal(
          (await bob.subscribe({ ...lampHeaders, Event: "dialog;sla", Contact: contact })).raw.status,
          200,
        )
        await lamp.next()
        assert.equal(lamp.shows(), "c1 confirmed", spec)
      }
    },
  )

  it(
    "a target nobody could call back becomes the identity",
    { tags: ["OPS-bla_fix_remote_target", "BLA-4"] },
    async (context) => {
      const parties =
        "<remote><identity>sip:carol@example.com</identity><target uri='sip:carol@192.0.2.7:5060'/></remote>"
      const body = written(`<dialog id="c1"><state>confirmed</state>${parties}</dialog>`)
      for (const fixes of [true, false]) {
        const another = await scene(context, "udp", {
          bla_fix_remote_target: fixes,
          bla_presentity_spec: "$ru",
        })
        const [bob, proxy] = [await another("bob"), await another("alice")]
        await proxy.publish(publishing("dialog;sla"), body)
        await bob.subscribe({ ...lampHeaders, Event: "dialog;sla" })
        const notify = await bob.notify()
        answer(bob.phone, notify)
        assert.equal(notify.raw.body.includes("192.0.2.7"), !fixes)
      }
    },
  )
})
