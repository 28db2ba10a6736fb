/**
 * Phones behind a real NAT, made of network namespaces: lamps are lit before and after it has forgotten the way to them.
 */
import assert from "node:assert/strict"
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest"
import { holds } from "../support/condition.ts"
import { makeNattedNetwork, whyNoNattedNetwork } from "../support/natted-network.ts"
import type { NattedNetwork, NattedPhone } from "../support/natted-network.ts"
import { phoneClosed, phoneOpen } from "../support/scene.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { messageText, mint, openPhone, pause, script, viaOf } from "../support/sip-client.ts"
import type { Script, Transport } from "../support/sip-client.ts"

const noNattedNetwork = whyNoNattedNetwork()

describe.skipIf(noNattedNetwork !== null)("phones behind a NAT", () => {
  let network: NattedNetwork
  let server: PresenceServer
  beforeAll(async () => {
    network = makeNattedNetwork()
    server = await startPresence({
      listen: [`udp:${network.publicAddress}:0`, `tcp:${network.publicAddress}:0`],
      insecure_no_auth: true,
      domain: ["example.com"],
      policy: "open",
      keep_alive: 1,
    })
  })
  afterAll(async () => {
    await server.stop()
    network.remove()
  })

  const phoneOver = async (transport: Transport): Promise<NattedPhone> => {
    const phone = await network.phone(server, transport)
    onTestFinished(() => phone.close())
    return phone
  }

  /** Somebody on the public side, who publishes. */
  const publisherOf = async (presentity: string): Promise<(body: string) => Promise<void>> => {
    const to = network.publicAddress
    const phone = await openPhone(server, "udp", { own: to, to })
    onTestFinished(() => phone.close())
    const publisher = script(phone, { user: "alice", presentity })
    let etag: string | null = null
    return async (body) => {
      const headers = etag === null ? {} : { "SIP-If-Match": etag }
      const response = await publisher.publish({ Expires: "3600", ...headers }, body)
      assert.equal(response.raw.status, 200)
      etag = response.header("sip-etag")
    }
  }

  const shows = async (call: Script, basic: "open" | "closed"): Promise<void> => {
    const notify = await call.notified({ state: "active" })
    assert.match(notify.raw.body.toString("utf8"), new RegExp(`<basic>${basic}</basic>`))
  }

  it(
    "over UDP: another port after the NAT has forgotten the first",
    { tags: ["6665-4.2.1.2-a"] },
    async () => {
      const presentity = `sip:${mint("nat")}@example.com`
      const publish = await publisherOf(presentity)
      const phone = await phoneOver("udp")
      assert.match(phone.address, /^192\.168\.77\.10:/)
      const call = script(phone, { user: "bob", presentity })
      const first = await call.subscribe({ Expires: "600" })
      assert.equal(first.raw.status, 200)
      await call.notified({ state: "active" })
      await publish(phoneOpen)
      await shows(call, "open")
      network.forget()
      const second = await call.subscribe({ Expires: "600" })
      assert.equal(second.raw.status, 200)
      const rportOf = (via: string | undefined): string | undefined => /rport=(\d+)/.exec(via ?? "")?.[1]
      assert.notEqual(rportOf(second.raw.vias[0]), rportOf(first.raw.vias[0]), "the NAT gives another port")
      await shows(call, "open")
      await publish(phoneClosed)
      await shows(call, "closed")
    },
  )

  it(
    "over UDP: keep-alives keep the way open while the phone says nothing",
    { tags: ["OPS-keep_alive"] },
    async () => {
      network.forgetAfter(4)
      const presentity = `sip:${mint("nat")}@example.com`
      const publish = await publisherOf(presentity)
      const call = script(await phoneOver("udp"), { user: "bob", presentity })
      assert.equal((await call.subscribe({ Expires: "600" })).raw.status, 200)
      await call.notified({ state: "active" })
      // twice as long as the NAT remembers
      await pause(8_500)
      await publish(phoneOpen)
      await shows(call, "open")
    },
  )

  it(
    "over TCP: another connection after the NAT has forgotten the first",
    { tags: ["6665-4.2.1.2-a"] },
    async () => {
      const presentity = `sip:${mint("nat")}@example.com`
      const publish = await publisherOf(presentity)
      const phone = await phoneOver("tcp")
      const call = script(phone, { user: "bob", presentity })
      assert.equal((await call.subscribe({ Expires: "600" })).raw.status, 200)
      await call.notified({ state: "active" })
      await publish(phoneOpen)
      await shows(call, "open")
      network.forget()
      // to the server it is a connection that it does not know
      phone.send(
        messageText("OPTIONS sip:example.com SIP/2.0", {
          Via: viaOf(phone),
          "Max-Forwards": "70",
          From: `<sip:bob@example.com>;tag=${mint("t")}`,
          To: "<sip:example.com>",
          "Call-ID": mint("c"),
          CSeq: "1 OPTIONS",
        }),
      )
      await holds("the phone has lost it", () => phone.isClosed())
      await publish(phoneClosed)
      const { callId, fromTag, toTag, cseq, target } = call
      const again = Object.assign(script(await phoneOver("tcp"), { user: "bob", presentity }), {
        callId,
        fromTag,
        toTag,
        cseq,
        target,
      })
      assert.equal(
        (await again.subscribe({ Expires: "600" })).raw.status,
        200,
        "the subscription is still there",
      )
      await shows(again, "closed")
      await publish(phoneOpen)
      await shows(again, "open")
    },
  )
})
