import { connect } from "node:net"
/**
 * A server behind a load balancer: its log, its history and its metrics tell of the phone.
 */
import { assert, describe, it } from "vitest"
import { asking } from "../../support/admin.ts"
import { textHeader } from "../../support/proxy-headers.ts"
import { startPresence } from "../../support/server.ts"
import { requestText } from "../../support/sip-messages.ts"
import { eventually, watchSocket } from "../../support/sip-peer.ts"

describe("a server behind a load balancer", () => {
  it("tells of the phone in its history, and of faults in its metrics", async ({ onTestFinished }) => {
    const server = await startPresence({ admin: "127.0.0.1:0", proxy_protocol_from: ["127.0.0.1"] })
    onTestFinished(server.stop)
    const peerWith = (first: Buffer) => {
      const socket = connect(server.tcpPort, "127.0.0.1")
      onTestFinished(() => void socket.destroy())
      socket.write(first)
      return watchSocket(socket)
    }
    const source = "203.0.113.7"
    const peer = peerWith(
      textHeader({ source, destination: "198.51.100.1", sourcePort: 40_001, destinationPort: 5060 }),
    )
    peer.send(
      requestText({
        method: "SUBSCRIBE",
        headers: { Via: "SIP/2.0/TCP 10.9.9.9;branch=z9hG4bK-1;rport", Contact: "<sip:bob@10.9.9.9>" },
      }),
    )
    await eventually(() => peer.text().includes("NOTIFY sip:bob@10.9.9.9"))
    const refused = peerWith(Buffer.from(requestText({})))
    await eventually(refused.isClosed)
    const ask = asking(server.admin)
    const { text: history } = await ask(
      "GET",
      "/v1/presentities/sip:alice%40example.com/history?event=presence",
    )
    assert.include(history, "203.0.113.7:40001")
    assert.notMatch(history, /"(?:source|origin)":"[^"]*127\.0\.0\.1/)
    const { text: metrics } = await ask("GET", "/metrics")
    assert.match(metrics, /^presently_sip_proxy_faults_total\{reason="missing"\} 1$/m)
  })
})
