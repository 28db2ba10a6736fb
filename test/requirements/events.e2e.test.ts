/**
 * Rows of RFC 3265, RFC 3856 and RFC 3857 that a peer can see on the wire, each named by its id.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { userLine } from "../../src/app/config/users.ts"
import { notBefore } from "../support/condition.ts"
import { openScene, phoneClosed, phoneOpen, toldOfWatchers, winfo } from "../support/scene.ts"
import type { SceneSettings } from "../support/scene.ts"
import { answer } from "../support/sip-client.ts"
import { subscribeAs, usersFile } from "../support/users.ts"

/** Bob is there from the beginning. */
const scene = async (context: TestContext, settings: SceneSettings = {}) => {
  const opened = await openScene(context, settings)
  return { ...opened, bob: await opened.another("bob") }
}

describe.concurrent("SUBSCRIBE", () => {
  it(
    "without Expires a presence subscription lasts 3600 s",
    { tags: ["3265-3.1.1-d", "3856-6.4-a", "3856-6.1-a"] },
    async (context) => {
      const { bob } = await scene(context)
      assert.equal((await bob.subscribe()).header("expires"), "3600")
      await bob.notified({ state: "active", expires: 3600 })
    },
  )

  it("an expires parameter on Contact changes nothing", { tags: ["3265-3.1.1-e"] }, async (context) => {
    const { bob } = await scene(context)
    const response = await bob.subscribe({
      Expires: "600",
      Contact: `<sip:bob@${bob.phone.address}>;expires=5`,
    })
    assert.equal(response.header("expires"), "600")
    await bob.notified({ state: "active", expires: 600 })
  })

  it(
    "two event types in one header are refused with 400",
    { tags: ["3265-3.1.2-a", "6665-8.2.1-c"] },
    async (context) => {
      const { bob } = await scene(context)
      assert.equal((await bob.subscribe({ Event: "presence, dialog" })).raw.status, 400)
    },
  )

  it(
    "ids tell subscriptions of one dialog apart and come back in every NOTIFY",
    { tags: ["3265-3.1.2-b", "3265-3.2.1-b", "3265-3.1.6.1-e", "6665-8.2.1-a", "6665-4.5.2-b"] },
    async (context) => {
      const { bob, publish } = await scene(context)
      const events: (string | null)[] = []
      const take = async (): Promise<void> => {
        const notify = await bob.notify()
        answer(bob.phone, notify)
        events.push(notify.header("event"))
      }
      await bob.subscribe({ Event: "presence;id=1", Expires: "600" })
      await take()
      await bob.subscribe({ Event: "presence;id=01", Expires: "600" })
      await take()
      await publish()
      await take()
      await take()
      assert.deepEqual(events, ["presence;id=1", "presence;id=01", "presence;id=1", "presence;id=01"])
      await bob.subscribe({ Event: "presence;id=1", Expires: "0" })
      await take()
      await publish(phoneClosed)
      await take()
      assert.deepEqual(events.slice(4), ["presence;id=1", "presence;id=01"])
      await bob.phone.hearsNothing()
    },
  )

  it(
    "documents are PIDF, wanted or not said; nothing wanted that there is gets 406",
    { tags: ["3265-3.1.3-a", "3265-3.2.1-c", "3856-6.5-a", "3856-6.5-b"] },
    async (context) => {
      const { bob, another, publish } = await scene(context)
      await publish()
      await bob.subscribe({ Accept: null, Expires: "600" })
      await bob.notified({ state: "active", body: phoneOpen })
      const carol = await another("carol")
      await carol.subscribe({ Accept: "text/html, application/*;q=0.5", Expires: "600" })
      await carol.notified({ state: "active", body: phoneOpen })
      const dave = await another("dave")
      const refused = await dave.subscribe({ Accept: "text/html", Expires: "600" })
      assert.equal(refused.raw.status, 406)
      assert.equal(refused.header("accept"), "application/pidf+xml")
    },
  )

  it(
    "a refused request leaves nothing, and a refused refresh what there was",
    { tags: ["3265-3.1.4.1-a", "3265-3.1.4.2-d", "3261-12.2.2-c"] },
    async (context) => {
      const { bob, another, publish } = await scene(context, { min_expires_subscribe: 60 })
      const carol = await another("carol")
      assert.equal((await carol.subscribe({ Expires: "5" })).raw.status, 423)
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active" })
      assert.equal((await bob.subscribe({ Expires: "5" })).raw.status, 423)
      await publish()
      await bob.notified({ state: "active", expires: 600, body: phoneOpen })
      await carol.phone.hearsNothing()
    },
  )

  it(
    "undecided is answered at once, with a NOTIFY that says pending and shows nothing",
    { tags: ["3265-3.1.6.1-a", "3265-3.1.6.2-b", "3265-3.1.6.3-c", "3856-6.6.2-d"] },
    async (context) => {
      const { bob, publish } = await scene(context, { policy: "rules" })
      await publish()
      // nobody has decided, and nobody will
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 202)
      await bob.notified({ state: "pending", expires: 600, body: null })
    },
  )

  it(
    "neither a refresh nor a NOTIFY lengthens what was asked for",
    { tags: ["3265-3.1.6.4-b", "3265-3.2.2-h"] },
    async (context) => {
      const { bob, publish } = await scene(context)
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", expires: 600 })
      assert.equal((await bob.subscribe({ Expires: "60" })).header("expires"), "60")
      await bob.notified({ state: "active", expires: 60 })
      await publish()
      await bob.notified({ state: "active", expires: 60, body: phoneOpen })
    },
  )

  it(
    "whoever subscribes already fetches by a refresh with the time that is left",
    { tags: ["3265-3.3.6-b"] },
    async (context) => {
      const { bob, publish } = await scene(context)
      await publish()
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", expires: 600, body: phoneOpen })
      assert.equal((await bob.subscribe({ Expires: "598" })).header("expires"), "598")
      await bob.notified({ state: "active", expires: 598, body: phoneOpen })
      await publish(phoneClosed)
      await bob.notified({ state: "active", expires: 598, body: phoneClosed })
    },
  )

  it(
    "a pace asked for is granted, said and kept on the wire",
    { tags: ["6446-5.2-a", "6446-5.2-b", "6446-6.2-a"] },
    async (context) => {
      const { bob, publish } = await scene(context)
      assert.equal((await bob.subscribe({ Event: "presence;max-rate=0", Expires: "600" })).raw.status, 400)
      const isDue = notBefore()
      await bob.subscribe({ Event: "presence;max-rate=1.0", Expires: "600" })
      const first = await bob.notify()
      answer(bob.phone, first)
      assert.equal(first.header("subscription-state"), "active;expires=600;max-rate=1")
      assert.equal(first.header("event"), "presence")
      await publish()
      const told = await bob.notify()
      answer(bob.phone, told)
      // the first one left after that
      isDue(1_000)
      await bob.subscribe({ Event: "presence;min-rate=1", Expires: "600" })
      let before = 601
      for (let turn = 0; turn < 3; turn++) {
        const notify = await bob.notify()
        answer(bob.phone, notify)
        const state = notify.header("subscription-state") ?? ""
        const left = Number(/^active;expires=(\d+);min-rate=1$/.exec(state)?.[1])
        // a second later than the one before, at least
        assert.ok(left < before, `${state} after ${before}`)
        before = left
      }
    },
  )

  it(
    "a document the watcher has is not sent again",
    { tags: ["5839-6.1-a", "5839-6.2-a", "5839-6.3-a", "5839-5.7-a"] },
    async (context) => {
      const { bob, another, publish } = await scene(context)
      await publish()
      await bob.subscribe({ Expires: "600" })
      const first = await bob.notify()
      answer(bob.phone, first)
      const tag = first.header("sip-etag")!
      const spared = await bob.subscribe({ "Suppress-If-Match": tag, Expires: "300" })
      assert.deepEqual([spared.raw.status, spared.header("expires")], [204, "300"])
      await bob.phone.hearsNothing()
      const carol = await another("carol")
      assert.equal((await carol.subscribe({ "Suppress-If-Match": tag, Expires: "600" })).raw.status, 200)
      const short = await carol.notify()
      answer(carol.phone, short)
      assert.deepEqual([short.header("sip-etag"), short.raw.body.length], [tag, 0])
      await publish(phoneClosed)
      const next = await bob.notify()
      answer(bob.phone, next)
      assert.notEqual(next.header("sip-etag"), tag)
      assert.equal((await bob.subscribe({ "Suppress-If-Match": "*", Expires: "0" })).raw.status, 204)
      await bob.phone.hearsNothing()
      assert.equal((await carol.subscribe({ "Suppress-If-Match": "a b", Expires: "600" })).raw.status, 400)
    },
  )

  it("nothing but SUBSCRIBE makes a subscription", { tags: ["6665-4.2.1-a"] }, async (context) => {
    const { another, publish } = await scene(context)
    const eve = await another("eve")
    for (const method of ["NOTIFY", "OPTIONS", "REGISTER"]) {
      const contact = `<sip:eve@${eve.phone.address}>`
      await eve.ask(method, { Contact: contact, Event: "presence", Expires: "600" })
    }
    await publish()
    await eve.phone.hearsNothing()
  })

  it("CANCEL is answered and changes nothing", { tags: ["6665-4.6-a"] }, async (context) => {
    const { bob, publish } = await scene(context)
    await bob.subscribe({ Expires: "600" })
    await bob.notified({ state: "active" })
    const cancelled = await bob.ask("CANCEL")
    assert.ok([200, 481].includes(cancelled.raw.status))
    await publish()
    await bob.notified({ state: "active", body: phoneOpen })
  })

  it(
    "a lifetime of nothing ends with the NOTIFY that shows the state",
    { tags: ["6665-4.2.2-c", "3265-3.3.6-a"] },
    async (context) => {
      const { bob, publish } = await scene(context)
      await publish()
      assert.equal((await bob.subscribe({ Expires: "0" })).header("expires"), "0")
      await bob.notified({ state: "terminated;reason=timeout", body: phoneOpen })
      await bob.phone.hearsNothing()
    },
  )
})

describe.concurrent("NOTIFY and headers", () => {
  it(
    "a subscription is told of change after change until it ends",
    { tags: ["3265-3.2-b"] },
    async (context) => {
      const { bob, publish } = await scene(context)
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active" })
      for (let change = 0; change < 5; change++) {
        const body = change % 2 === 0 ? phoneOpen : phoneClosed
        await publish(body)
        await bob.notified({ state: "active", body })
      }
    },
  )

  it(
    "OPTIONS and 2xx say which packages there are, without any option tag",
    { tags: ["3265-3.3.1-a", "3265-3.3.7-a", "3903-7-a", "3856-6.11.1-a", "3261-8.2.4-a"] },
    async (context) => {
      const { bob } = await scene(context)
      const options = await bob.ask("OPTIONS")
      assert.equal(options.raw.status, 200)
      const events = options.header("allow-events")?.split(", ") ?? []
      for (const one of ["presence", "presence.winfo", "dialog", "dialog.winfo"])
        assert.ok(events.includes(one), one)
      assert.ok(options.header("allow")?.includes("PUBLISH"))
      assert.equal(options.header("require"), null)
      const subscribed = await bob.subscribe({ Expires: "600" })
      assert.equal(subscribed.header("allow-events"), options.header("allow-events"))
    },
  )

  it(
    "responses carry neither Event nor Subscription-State",
    { tags: ["6665-8.2.1-b", "6665-8.2.3-a"] },
    async (context) => {
      const { bob } = await scene(context)
      for (const response of [await bob.subscribe({ Expires: "600" }), await bob.publish({}, phoneOpen)]) {
        assert.equal(response.header("event"), null)
        assert.equal(response.header("subscription-state"), null)
      }
    },
  )

  it("Event parameters that are not known change nothing", { tags: ["3856-6.2-a"] }, async (context) => {
    const { bob } = await scene(context)
    assert.equal((await bob.subscribe({ Event: "presence;colour=blue", Expires: "600" })).raw.status, 200)
    await bob.notified({ state: "active" })
  })

  it("pres:, sip: and sips: name one presentity", { tags: ["3856-5-a"] }, async (context) => {
    const { another, publish } = await scene(context)
    await publish()
    for (const uri of ["pres:alice@example.com", "sips:alice@EXAMPLE.com", "sip:alice@example.com:5070"]) {
      const watcher = await another("bob")
      watcher.target = uri
      assert.equal((await watcher.subscribe({ Expires: "600" })).raw.status, 200, uri)
      await watcher.notified({ state: "active", body: phoneOpen })
    }
  })

  it(
    "two dialogs of one watcher are two subscriptions with the same document",
    { tags: ["3859-3.4.1-b"] },
    async (context) => {
      const { another, publish } = await scene(context)
      const devices = [await another("bob"), await another("bob")]
      for (const one of devices) {
        await one.subscribe({ Expires: "600" })
        await one.notified({ state: "active" })
      }
      await publish()
      const shown = await Promise.all(
        devices.map((one) => one.notified({ state: "active", body: phoneOpen })),
      )
      assert.equal(shown[0]?.raw.body.toString(), shown[1]?.raw.body.toString())
    },
  )
})

describe.concurrent("watcher information", () => {
  it(
    "watchers, and watchers of watchers, but no deeper; and only in this order",
    { tags: ["OPS-wipeer", "3857-4.1-a", "3265-4.2-a", "3857-4.6-d"] },
    async (context) => {
      const { another } = await scene(context)
      const statusOf = async (event: string): Promise<number> =>
        (await (await another("alice")).subscribe({ Event: event, Accept: null, Expires: "0" })).raw.status
      assert.equal(await statusOf("presence.winfo"), 200)
      assert.equal(await statusOf("presence.winfo.winfo"), 200)
      assert.equal(await statusOf("presence.winfo.winfo.winfo"), 489)
      assert.equal(await statusOf("winfo.presence"), 489)
      assert.equal(await statusOf("dialog.winfo"), 200)
    },
  )

  it(
    "3600 s, a watcherinfo document, every watcher listed",
    { tags: ["OPS-build_notify_body", "3857-4.4-a", "3857-4.5-a", "3858-3-a", "3857-4.7-a"] },
    async (context) => {
      const { bob, another } = await scene(context)
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active" })
      const owner = await another("alice")
      assert.equal((await owner.subscribe({ ...winfo, Accept: null })).header("expires"), "3600")
      const { version, isFull, rows } = await toldOfWatchers(owner)
      assert.deepEqual([version, isFull], [0, true])
      assert.deepEqual(rows, ["sip:bob@example.com active subscribe"])
      assert.equal((await owner.subscribe({ ...winfo, Accept: "text/plain" })).raw.status, 406)
    },
  )

  it("a stranger gets 403 and is never listed", { tags: ["3857-4.6-a", "3857-4.7.2-c"] }, async (context) => {
    const { bob, another } = await scene(context)
    const owner = await another("alice")
    await owner.subscribe({ ...winfo, Expires: "600" })
    assert.deepEqual((await toldOfWatchers(owner)).rows, [])
    assert.equal((await bob.subscribe({ ...winfo, Expires: "600" })).raw.status, 403)
    await owner.phone.hearsNothing()
  })

  it(
    "a watcher is listed by the identity it proved, however it writes its From; by another's it is not",
    { tags: ["3858-3-e"] },
    async (context) => {
      const { another } = await scene(context, {
        policy: "open",
        users_file: usersFile(
          context,
          userLine("alice", "example.com", "secret-alice", "SHA-256"),
          userLine("bob", "example.com", "secret-bob", "SHA-256"),
        ),
      })
      const owner = await another("alice")
      await subscribeAs(owner, { user: "alice", password: "secret-alice" }, { ...winfo, Expires: "600" })
      assert.deepEqual((await toldOfWatchers(owner)).rows, [])
      const bob = { user: "bob", password: "secret-bob" }
      const call = await another("bob")
      const from = { From: `"Carol" <sips:b%6Fb@EXAMPLE.com:5061;x=carol>;tag=${call.fromTag}` }
      assert.equal((await subscribeAs(call, bob, { ...from, Expires: "600" })).raw.status, 200)
      assert.deepEqual((await toldOfWatchers(owner)).rows, ["sip:bob@example.com active subscribe"])
      await call.notified({ state: "active" })
      const impostor = await another("carol")
      assert.equal((await subscribeAs(impostor, bob, { Expires: "600" })).raw.status, 403)
      await owner.phone.hearsNothing()
    },
  )

  it(
    "a watcher whom a trusted peer vouches for is listed as that peer says, not as From does",
    { tags: ["3858-3-e"] },
    async (context) => {
      const { another } = await scene(context, { policy: "open", trusted_peers: ["127.0.0.1"] })
      const owner = await another("alice")
      const herself = { "P-Asserted-Identity": "<sip:alice@example.com>" }
      assert.equal((await owner.subscribe({ ...winfo, ...herself, Expires: "600" })).raw.status, 200)
      assert.deepEqual((await toldOfWatchers(owner)).rows, [])
      const call = await another("anonymous")
      const asserted = { "P-Asserted-Identity": '"Bob" <sip:bob@EXAMPLE.com>', Expires: "600" }
      assert.equal((await call.subscribe(asserted)).raw.status, 200)
      await call.notified({ state: "active" })
      assert.deepEqual((await toldOfWatchers(owner)).rows, ["sip:bob@example.com active subscribe"])
      assert.equal((await call.subscribe({ ...asserted, Expires: "0" })).raw.status, 200)
      await call.notified({ state: "terminated;reason=timeout" })
      assert.deepEqual((await toldOfWatchers(owner)).rows, ["sip:bob@example.com terminated timeout"])
    },
  )
})
