/**
 * A process that did not run for a while: what came meanwhile waits in its sockets, and is read before anything ends for want
 * of it. The thread is stopped for real; what is sent just before is in the socket by then.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { attention } from "../../src/app/clock/attention.ts"
import type { Subscribe } from "../../src/domain/presentity/commands.ts"
import { notifyOf } from "../support/notify.ts"
import { openScene } from "../support/scene.ts"
import type { Transport } from "../support/sip-client.ts"
import { requestText } from "../support/sip-messages.ts"
import { answerTo, eventually, startServer, udpPeer } from "../support/sip-peer.ts"

/** Nothing in this thread runs meanwhile: no timer, no socket. */
const stopThread = (millis: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
}

describe.each<Transport>(["udp", "tcp"])("a stopped process, over %s", (transport) => {
  it(
    "a refresh that waits in the socket comes before the end of its subscription",
    { tags: ["3265-3.1.6.4-d"] },
    async (context) => {
      const { another } = await openScene(context, {}, transport)
      const bob = await another("bob")
      await bob.subscribe({ Expires: "1" })
      await bob.notified({ state: "active" })
      const refreshed = bob.subscribe({ Expires: "600" })
      stopThread(1700)
      assert.equal((await refreshed).raw.status, 200)
      await bob.notified({ state: "active", expires: 600 })
    },
  )

  it("so does the refresh of a publication", { tags: ["3903-6-c"] }, async (context) => {
    const { another } = await openScene(context, {}, transport)
    const alice = await another("alice")
    const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"/>`
    const published = await alice.publish({ Expires: "1" }, body)
    const refreshed = alice.publish({
      Expires: "600",
      "SIP-If-Match": published.header("sip-etag") ?? "",
    })
    stopThread(1700)
    assert.equal((await refreshed).raw.status, 200)
  })

  it(
    "what fell due meanwhile ends all the same when nothing waits",
    { tags: ["3265-3.1.6.4-d"] },
    async (context) => {
      const { another } = await openScene(context, {}, transport)
      const bob = await another("bob")
      await bob.subscribe({ Expires: "1" })
      await bob.notified({ state: "active" })
      stopThread(1700)
      await bob.notified({ state: "terminated;reason=timeout" })
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
    },
  )
})

describe("a stopped process", () => {
  it(
    "many answers that wait in the socket end their NOTIFYs as accepted, long after Timer F",
    { tags: ["3261-17.1.2.2-a"] },
    async (context) => {
      const server = await startServer({ timers: { t1Ms: 100, t2Ms: 400, transactionMs: 1000 }, attention })
      const peer = await udpPeer(server.port)
      context.onTestFinished(async () => {
        peer.close()
        await server.close()
      })
      peer.send(
        requestText({ method: "SUBSCRIBE", headers: { Contact: `<sip:bob@127.0.0.1:${peer.port}>` } }),
      )
      await peer.next()
      const { command, presentity } = server.requests.at(-1)!
      const { dialog } = command as Subscribe
      // several times what is read of a socket in one round of the event loop
      const count = 150
      server.sip.notify(
        Array.from({ length: count }, (_, index) =>
          notifyOf({ dialog }, { presentity: presentity!, cseq: index + 1 }),
        ),
      )
      const notifies = (): readonly string[] => [
        ...new Set(peer.messages.filter((one) => one.startsWith("NOTIFY"))),
      ]
      await eventually(() => notifies().length === count)
      for (const one of notifies()) peer.send(answerTo(one))
      stopThread(1500)
      await eventually(() => server.outcomes.length === count)
      assert.deepEqual([...new Set(server.outcomes.map(({ outcome }) => outcome._tag))], ["Accepted"])
    },
  )
})
