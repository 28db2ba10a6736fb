/**
 * Worked flows of subscriptions and their dialogs over real sockets.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import { userLine } from "../../src/app/config/users.ts"
import { notBefore } from "../support/condition.ts"
import { openScene, phoneClosed, phoneOpen } from "../support/scene.ts"
import type { SceneSettings } from "../support/scene.ts"
import { answer, messageText, mint, script, viaOf } from "../support/sip-client.ts"
import type { Transport } from "../support/sip-client.ts"
import { usersFile } from "../support/users.ts"

/** A server with alice's phone and bob; each `publish` is a publication of its own. */
const scene = async (context: TestContext, transport: Transport, settings: SceneSettings = {}) => {
  const { anotherPhone, another } = await openScene(context, settings, transport)
  const bob = await another("bob")
  const publisher = await another("alice")
  return {
    another: anotherPhone,
    bobPhone: bob.phone,
    bob,
    publish: async (body = phoneOpen): Promise<void> => {
      assert.equal((await publisher.publish({ Expires: "3600" }, body)).raw.status, 200)
    },
  }
}

const secured = (context: TestContext) => ({
  digest_md5: true,
  policy: "open",
  users_file: usersFile(
    context,
    userLine("bob", "example.com", "secret-bob", "SHA-256"),
    userLine("bob", "example.com", "secret-bob", "MD5"),
    userLine("alice", "example.com", "secret-alice", "SHA-256"),
  ),
})

describe.concurrent.each<Transport>(["udp", "tcp"])("subscriptions over %s", (transport) => {
  it(
    "refresh, unsubscribe, too late",
    {
      tags: [
        "F08",
        "3265-3.1.4.2-a",
        "3265-3.1.4.3-a",
        "3265-3.1.1-f",
        "3265-3.3.4-c",
        "3856-6.7-e",
        "L06",
        "L08",
      ],
    },
    async (context) => {
      const { bob, bobPhone, publish } = await scene(context, transport)
      await publish()
      await bob.subscribe({ Expires: "600" })
      await bob.notified({ state: "active", expires: 600, body: phoneOpen })
      const refreshed = await bob.subscribe({ Expires: "7200" })
      assert.equal(refreshed.raw.status, 200)
      assert.equal(refreshed.header("expires"), "3600")
      await bob.notified({ state: "active", expires: 3_600, body: phoneOpen })
      const ended = await bob.subscribe({ Expires: "0" })
      assert.equal(ended.raw.status, 200)
      assert.equal(ended.header("expires"), "0")
      await bob.notified({ state: "terminated;reason=timeout", body: phoneOpen })
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
      await publish(phoneClosed)
      await bobPhone.hearsNothing()
    },
  )

  it(
    "Record-Route is copied and followed, a refresh moves the target only",
    { tags: ["F21", "3261-12.1.1-a", "3261-12.2.1.1-b", "3265-3.1.5-a", "6665-3.2-a", "L13"] },
    async (context) => {
      const { another, bob, bobPhone } = await scene(context, transport)
      const routes = [`<sip:${bobPhone.address};lr>`, "<sip:p1.example.org;lr>"]
      const vias = [
        viaOf(bobPhone),
        "SIP/2.0/UDP p1.example.org:5060;branch=z9hG4bK2a38a4a931;received=198.51.100.1",
        "SIP/2.0/UDP bob-pc.example.com:5060;branch=z9hG4bK93db85ed90;received=192.0.2.20;rport=5060",
      ]
      const laptop = await another()
      const response = await bob.subscribe({
        Via: vias,
        "Record-Route": routes,
        Contact: "<sip:bob@bob-pc.example.com:5060>",
        Expires: "600",
      })
      assert.deepEqual(response.headers("record-route"), routes)
      assert.deepEqual(response.headers("via").slice(1), vias.slice(1))
      const first = await bob.notified({ state: "active", body: null })
      assert.equal(first.raw.uri, "sip:bob@bob-pc.example.com:5060")
      assert.deepEqual(routesOf(first), routes)
      const moved = await bob.subscribe({
        "Record-Route": "<sip:p9.example.net;lr>",
        Contact: `<sip:bob@${laptop.address}>`,
        Expires: "600",
      })
      assert.equal(moved.raw.status, 200)
      const second = await bob.notified({ state: "active", body: null })
      assert.equal(second.raw.uri, `sip:bob@${laptop.address}`)
      assert.deepEqual(routesOf(second), routes)
      await laptop.hearsNothing()
    },
  )

  it(
    "a strict first route becomes the Request-URI, the target goes last",
    { tags: ["F21", "3261-12.2.1.1-b"] },
    async (context) => {
      const { bob, bobPhone } = await scene(context, transport)
      const strict = `<sip:${bobPhone.address}>`
      await bob.subscribe({
        "Record-Route": `${strict}, <sip:p1.example.org;lr>`,
        Contact: "<sip:bob@bob-pc.example.com:5060>",
        Expires: "600",
      })
      const notify = await bob.notified({ state: "active", body: null })
      assert.equal(notify.raw.uri, `sip:${bobPhone.address}`)
      assert.deepEqual(routesOf(notify), ["<sip:p1.example.org;lr>", "<sip:bob@bob-pc.example.com:5060>"])
    },
  )
})

const routesOf = (notify: { readonly headers: (name: string) => readonly string[] }): readonly string[] =>
  notify.headers("route").flatMap((line) => line.split(",").map((route) => route.trim()))

describe.concurrent("subscriptions", () => {
  it(
    "challenged, then subscribed",
    {
      tags: [
        "F01",
        "3265-3.1.1-a",
        "3265-3.1.6.2-a",
        "3265-3.1.6.2-c",
        "3265-3.1.6.3-a",
        "3265-3.2.2-f",
        "3265-3.2.2-g",
        "3856-6.6.1-a",
        "8760-2.3-a",
        "8760-2.6-a",
        "3857-6.1-a",
        "L06",
      ],
    },
    async (context) => {
      const { bob, bobPhone, another } = await scene(context, "udp", secured(context))
      const challenged = await bob.subscribe({ Expires: "600" })
      assert.equal(challenged.raw.status, 401)
      const offers = challenged.headers("www-authenticate")
      assert.deepEqual(
        offers.map((offer) => /algorithm=([^,]+)/.exec(offer)?.[1]),
        ["SHA-256", "MD5"],
      )
      for (const offer of offers)
        assert.match(offer, /^Digest realm="example.com", nonce="[^"]+", qop="auth"/)
      await bobPhone.hearsNothing()
      // the 401 has left nobody behind for the owner to see
      const owner = script(await another(), { user: "alice" })
      const winfo = { Event: "presence.winfo", Accept: "application/watcherinfo+xml", Expires: "0" }
      const asked = challengeOf(await owner.subscribe(winfo))
      assert.ok(asked !== null)
      const alice = authorize(asked, { user: "alice", password: "secret-alice" }, "SUBSCRIBE", owner.target)
      assert.equal((await owner.subscribe({ ...winfo, Authorization: alice })).raw.status, 200)
      const list = (await owner.notify()).raw.body.toString("utf8")
      assert.ok(list.includes("watcher-list") && !list.includes("<watcher "), list)
      const challenge = challengeOf(challenged)
      assert.ok(challenge !== null)
      const credentials = { user: "bob", password: "secret-bob" }
      const authorization = authorize(challenge, credentials, "SUBSCRIBE", bob.target)
      const response = await bob.subscribe({ Expires: "600", Authorization: authorization })
      assert.equal(response.raw.status, 200)
      assert.equal(response.header("expires"), "600")
      assert.match(response.header("contact") ?? "", /^<sip:[^>]*127\.0\.0\.1:\d+>$/)
      assert.match(response.header("allow-events") ?? "", /\bpresence\b/)
      assert.match(response.raw.vias[0] ?? "", /;received=127\.0\.0\.1/)
      const notify = await bob.notified({ state: "active", expires: 600, body: null })
      assert.equal(notify.raw.uri, `sip:bob@${bobPhone.address}`)
      await bobPhone.hearsNothing()
    },
  )

  it("F01 8760-2.6-a 3903-6 step 1: a wrong password is challenged again, and nobody acts for somebody else", async (context) => {
    const { bob, bobPhone, another } = await scene(context, "udp", secured(context))
    const credentials = { user: "bob", password: "secret-bob" }
    const first = challengeOf(await bob.subscribe({ Expires: "600" }))
    assert.ok(first !== null)
    const wrong = authorize(first, { ...credentials, password: "guess" }, "SUBSCRIBE", bob.target)
    const again = await bob.subscribe({ Expires: "600", Authorization: wrong })
    assert.equal(again.raw.status, 401)
    // MD5 is taken as well, for the phone that knows nothing else
    const md5 = again.headers("www-authenticate").find((line) => line.includes("MD5"))
    const challenge = challengeOf({ ...again, headers: () => [md5 ?? ""] })
    assert.ok(challenge?.algorithm === "MD5")
    const mallory = script(await another(), { user: "mallory" })
    const impostor = authorize(challenge, credentials, "SUBSCRIBE", mallory.target)
    assert.equal((await mallory.subscribe({ Authorization: impostor })).raw.status, 403)
    const next = challengeOf(await bob.publish({}, phoneOpen))
    assert.ok(next !== null)
    const foreign = authorize(next, credentials, "PUBLISH", bob.target)
    assert.equal((await bob.publish({ Authorization: foreign }, phoneOpen)).raw.status, 403)
    await bobPhone.hearsNothing()
  })

  it(
    "a fetch is answered once and leaves nothing",
    { tags: ["F09", "3265-3.3.6-a", "3857-4.7.2-c", "L06", "L34"] },
    async (context) => {
      const { bob, bobPhone, publish } = await scene(context, "udp")
      await publish()
      const response = await bob.subscribe({ Expires: "0" })
      assert.equal(response.raw.status, 200)
      assert.equal(response.header("expires"), "0")
      await bob.notified({ state: "terminated;reason=timeout", body: phoneOpen })
      await publish(phoneClosed)
      await bobPhone.hearsNothing()
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
    },
  )

  it(
    "a subscription that is not refreshed ends in time, with state",
    { tags: ["F10", "3265-3.1.6.4-d", "3265-3.1.1-c", "L09", "L10"] },
    async (context) => {
      const { bob, bobPhone, publish } = await scene(context, "udp", { clean_period: 86_400 })
      await publish()
      const isDue = notBefore()
      assert.equal((await bob.subscribe({ Expires: "1" })).header("expires"), "1")
      await bob.notified({ state: "active", expires: 1, body: phoneOpen })
      await bob.notified({ state: "terminated;reason=timeout", body: phoneOpen })
      isDue(1_000)
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
      await bobPhone.hearsNothing()
    },
  )

  it(
    "a NOTIFY answered 481 ends the subscription without a word",
    { tags: ["F19", "3265-3.2.2-e", "6665-4.2.2-a", "6665-4.2.2-b", "5057-5.1-a", "L08", "L37"] },
    async (context) => {
      const { bob, bobPhone, publish } = await scene(context, "udp")
      await bob.subscribe({ Expires: "3600" })
      await bob.notified({ state: "active", body: null })
      await publish()
      answer(bobPhone, await bob.notify(), "481 Subscription does not exist")
      await bobPhone.hearsNothing()
      await publish(phoneClosed)
      await bobPhone.hearsNothing()
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
    },
  )

  it(
    "retransmission, merged request, stale CSeq, unknown dialog",
    {
      tags: ["F20", "3261-17.2.2-a", "3261-8.2.2.2-a", "3261-12.2.2-a", "3261-12.2.2-b", "L02", "L12", "L14"],
    },
    async (context) => {
      const { bob, bobPhone, another } = await scene(context, "udp")
      const text = bob.write("SUBSCRIBE", { Expires: "600" })
      bobPhone.send(text)
      const isResponse = ({ raw }: { readonly raw: { readonly isRequest: boolean } }): boolean =>
        !raw.isRequest
      const first = await bobPhone.next(isResponse)
      assert.equal(first.raw.status, 200)
      bob.toTag = first.raw.to.split(";tag=")[1] ?? null
      bobPhone.send(text)
      const repeated = await bobPhone.next(isResponse)
      assert.equal(repeated.raw.to, first.raw.to)
      assert.equal(repeated.raw.status, 200)

      const detour = await another()
      const original = /Via: ([^\r]*)/.exec(text)?.[1] ?? ""
      detour.send(text.replace("Via: ", `Via: ${viaOf(detour)}\r\nVia: `))
      const merged = await detour.next()
      assert.equal(merged.raw.status, 482)
      assert.equal(merged.raw.vias[1], original)
      assert.notEqual(merged.raw.to, first.raw.to)

      await bob.notified({ state: "active", expires: 600, body: null })
      await bobPhone.hearsNothing()

      const contact = first.header("contact") ?? ""
      bob.target = contact.slice(1, contact.indexOf(">"))
      bob.cseq = 0
      const stale = await bob.subscribe({ Expires: "900" })
      assert.equal(stale.raw.status, 500)
      const gone = script(bobPhone, { user: "bob" })
      gone.toTag = "never-issued"
      gone.cseq = 8
      assert.equal((await gone.ask("SUBSCRIBE", { Expires: "600" }, "", bob.target)).raw.status, 481)
      await bobPhone.hearsNothing()
    },
  )

  it(
    "an unanswered NOTIFY is sent again, byte for byte, until it is answered",
    { tags: ["F20", "3261-17.1.2.2-a"] },
    async (context) => {
      const { bob, bobPhone } = await scene(context, "udp")
      await bob.subscribe({ Expires: "600" })
      const first = await bob.notify()
      const second = await bob.notify()
      assert.equal(second.raw.vias[0], first.raw.vias[0])
      assert.equal(second.raw.cseq, first.raw.cseq)
      answer(bobPhone, second)
      await bobPhone.hearsNothing(1_200)
    },
  )

  it(
    "over TCP a watcher behind a NAT is reached on the connection it came over",
    { tags: ["F21", "L13"] },
    async (context) => {
      const { bob, bobPhone } = await scene(context, "tcp")
      await bob.subscribe({ Contact: "<sip:bob@192.0.2.1:5060;transport=tcp>", Expires: "600" })
      await bob.notified({ state: "active", body: null })
      await bobPhone.hearsNothing()
    },
  )

  it(
    "a NOTIFY and a request of another dialog are answered 481",
    { tags: ["3265-3.2.4", "3261-12.2.2-b"] },
    async (context) => {
      const { bobPhone } = await scene(context, "udp")
      const stray = script(bobPhone, { user: "bob" })
      stray.toTag = mint("none")
      const headers = { Event: "presence", "Subscription-State": "active" }
      assert.equal((await stray.ask("NOTIFY", headers)).raw.status, 481)
      bobPhone.send(messageText("SIP/2.0 200 OK", { Via: viaOf(bobPhone), CSeq: "1 NOTIFY" }))
      await bobPhone.hearsNothing()
    },
  )
})
