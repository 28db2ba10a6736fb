/**
 * Odd messages over real sockets: answers to NOTIFYs count, requests with a broken Via are answered, and streams go on.
 */
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import type { Subscribe } from "../../../src/domain/presentity/commands.ts"
import { notifyOf } from "../../support/notify.ts"
import { headerValue, headerValues, requestText, statusOf } from "../../support/sip-messages.ts"
import { answerTo, eventually, startServer, tcpListener, tcpPeer, udpPeer } from "../../support/sip-peer.ts"
import type { TestServer, UdpPeer } from "../../support/sip-peer.ts"

let server: TestServer
let peer: UdpPeer
let cseq = 0

beforeEach(async () => {
  // NOTIFYs end only with an answer: nothing is resent, and nothing times out while a test waits
  server = await startServer({ timers: { t1Ms: 60_000, t2Ms: 60_000, transactionMs: 120_000 } })
  peer = await udpPeer(server.port)
})
afterEach(async () => {
  peer.close()
  await server.close()
})

const notifyIn = (command: Subscribe) =>
  notifyOf(command, { presentity: server.requests.at(-1)!.presentity!, cseq: ++cseq })

const subscribe = async (contact = `<sip:bob@127.0.0.1:${peer.port}>`): Promise<Subscribe> => {
  peer.send(requestText({ method: "SUBSCRIBE", headers: { Contact: contact } }))
  assert.strictEqual(statusOf(await peer.next()), 200)
  return server.requests.at(-1)!.command as Subscribe
}

const odd: readonly (readonly [what: string, change: (answer: string) => string])[] = [
  ["a blank in a name", (text) => text.replace("Content-Length", "Foo Bar: 1\r\nContent-Length")],
  ["a line without a colon", (text) => text.replace("Content-Length", "X-Vendor\r\nContent-Length")],
  ["a control character", (text) => text.replace("Content-Length", "X: a\u0001b\r\nContent-Length")],
  ["a bare line feed", (text) => text.replace("Content-Length", "X: a\nb\r\nContent-Length")],
  [
    "doubled headers",
    (text) =>
      text.replace("Content-Length", "Expires: 1\r\nExpires: 2\r\nContent-Length: 0\r\nContent-Length"),
  ],
  [
    "more lines than anybody needs",
    (text) => text.replace("Content-Length", `${"Supported: x\r\n".repeat(200)}Content-Length`),
  ],
  [
    "a long Contact",
    (text) =>
      text.replace("Content-Length", `Contact: <sip:b@127.0.0.1;x=${"x".repeat(3_000)}>\r\nContent-Length`),
  ],
  ["a lower-case version", (text) => text.replace("SIP/2.0 ", "sip/2.0 ")],
  ["a semicolon after Via", (text) => text.replace(/(Via: .*)\r\n/, "$1;\r\n")],
  ["a To that is none", (text) => text.replace(/To: .*\r\n/, 'To: "x\r\n')],
  ["no Content-Length", (text) => text.replace("Content-Length: 0\r\n", "")],
]

describe("an answer to a NOTIFY", () => {
  it.each(odd)(
    "with %s counts, over UDP",
    { tags: ["3261-8.2.2-a", "3261-17.1.3-a"] },
    async (_what, change) => {
      server.sip.notify([notifyIn(await subscribe())])
      peer.send(change(answerTo(await peer.next())))
      await eventually(() => server.outcomes.length === 1)
      assert.strictEqual(server.outcomes[0]!.outcome._tag, "Accepted")
      assert.strictEqual(server.sip.counters.dropped, 0)
    },
  )

  it.each(odd)(
    "with %s counts, over TCP",
    { tags: ["3261-8.2.2-a", "3261-18.3-a"] },
    async (_what, change) => {
      const listener = (await tcpListener())!
      try {
        const command = await subscribe(`<sip:bob@127.0.0.1:${listener.port};transport=tcp>`)
        for (const count of [1, 2]) {
          server.sip.notify([notifyIn(command)])
          await eventually(() => (listener.peers[0]?.text().split("NOTIFY sip:").length ?? 0) === count + 1)
          const notifies = listener.peers[0]!.text().split(/(?=NOTIFY sip:)/)
          listener.peers[0]!.send(change(answerTo(notifies[count - 1]!)))
          await eventually(() => server.outcomes.length === count)
        }
        // the connection is as good as before
        assert.strictEqual(listener.peers.length, 1)
        assert.deepStrictEqual(
          server.outcomes.map(({ outcome }) => outcome._tag),
          ["Accepted", "Accepted"],
        )
      } finally {
        listener.close()
      }
    },
  )

  it(
    "with another CSeq, Call-ID or a second Via is still dropped",
    { tags: ["3261-8.1.3.3-a"] },
    async () => {
      server.sip.notify([notifyIn(await subscribe())])
      const answer = answerTo(await peer.next())
      peer.send(answer.replace(/CSeq: \d+/, "CSeq: 99999"))
      peer.send(answer.replace(/CSeq: .*\r\n/, "CSeq: x NOTIFY\r\n"))
      peer.send(answer.replace(/Call-ID: /, "Call-ID: x"))
      peer.send(answer.replace("Via: ", "Via: SIP/2.0/UDP other.example.com;branch=z9hG4bKx\r\nVia: "))
      await eventually(() => server.sip.counters.dropped === 4)
      assert.deepStrictEqual(server.outcomes, [])
      peer.send(answer)
      await eventually(() => server.outcomes.length === 1)
    },
  )
})

describe("a request whose Via is broken", () => {
  const withVia = (lines: string, parts = {}): string =>
    requestText(parts).replace(/Via: .*\r\n/, () => lines)
  const own = (): string => `127.0.0.1:${peer.port}`

  it("is served where there is one way to read it", { tags: ["3261-18.2.2-a"] }, async () => {
    for (const parameters of [
      ";rport;branch=z9hG4bKa1;",
      ";rport=;branch=z9hG4bKa2",
      ";branch=z9hG4bKa3 ; ",
    ]) {
      peer.send(withVia(`Via: SIP/2.0/UDP ${own()}${parameters}\r\n`))
      const response = await peer.next()
      assert.strictEqual(statusOf(response), 200)
      assert.match(headerValue(response, "Via")!, /;branch=z9hG4bKa\d/)
      assert.notMatch(headerValue(response, "Via")!, /;\s*(?:;|$)|=\s*(?:;|$)/)
    }
  })

  it.each([
    ["Via: SIP/2.0/UDP 2001:db8::9:1;branch=z9hG4bK1\r\n", "400 Malformed Via"],
    ["Via: SIP/2.0/UDP ;branch=z9hG4bK1\r\n", "400 Malformed Via"],
    ["Via: SIP/2.0/UDP h;;branch=z9hG4bK1\r\n", "400 Malformed Via"],
    ["Via: SIP/2.0/UDP h:0;branch=z9hG4bK1\r\n", "400 Malformed Via"],
    ["Via: \r\n", "400 Malformed Via"],
    ["Via: a\u0001b\nX: y\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\r\n", "400 Malformed Via"],
    ["", "400 Missing Via"],
  ])(
    "%j is refused where it came from",
    { tags: ["3261-18.2.2-a", "5118-4.6-a"] },
    async (lines, expected) => {
      for (const parts of [
        {},
        { method: "SUBSCRIBE" },
        { method: "PUBLISH", body: "<a/>" },
        { method: "CANCEL" },
      ]) {
        const request = withVia(lines, parts)
        peer.send(request)
        const response = await peer.next()
        assert.strictEqual(response.split("\r\n")[0], `SIP/2.0 ${expected}`)
        assert.isAtMost(response.length, request.length + 60)
        for (const name of ["From", "Call-ID", "CSeq"])
          assert.strictEqual(headerValue(response, name), headerValue(request, name))
        assert.strictEqual(headerValues(response, "Via").length, headerValues(request, "Via").length)
        assert.notMatch(response.replaceAll("\r\n", ""), /\p{Cc}/u)
      }
      assert.strictEqual(server.requests.length, 0)
      const tcp = await tcpPeer(server.port)
      tcp.send(withVia(lines))
      await eventually(() => tcp.text().includes("\r\n\r\n"))
      assert.match(tcp.text(), new RegExp(`^SIP/2.0 ${expected}\r\n`))
      tcp.close()
    },
  )

  it("of another version is refused with 505", { tags: ["3261-21.5.6-a"] }, async () => {
    peer.send(withVia("Via: SIP/3.0/UDP h;branch=z9hG4bK1\r\n").replace(" SIP/2.0\r\n", " SIP/3.0\r\n"))
    assert.strictEqual((await peer.next()).split("\r\n")[0], "SIP/2.0 505 Version Not Supported")
    peer.send(requestText().replace(" SIP/2.0\r\n", " SIP/3.0\r\n"))
    assert.strictEqual(statusOf(await peer.next()), 505)
  })

  it(
    "and that is incomplete besides, or an ACK, is not answered, so that nothing is gained by forging",
    { tags: ["3261-17.1.1.3-a"] },
    async () => {
      for (const text of [
        "A B C\r\n\r\n",
        "OPTIONS sip:a@b SIP/2.0\r\n\r\n",
        "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nFrom: x\r\n\r\n",
        withVia("Via: x\r\n", { method: "ACK" }),
      ])
        peer.send(text)
      await eventually(() => server.sip.counters.malformed === 4)
      peer.send(requestText())
      assert.strictEqual(statusOf(await peer.next()), 200)
      assert.strictEqual(peer.messages.length, 1)
    },
  )
})

describe("a stream", () => {
  it(
    "goes on after odd lines, and ends where nobody can tell how long a message is",
    { tags: ["3261-18.3-a", "4475-3.3.9-a"] },
    async () => {
      const tcp = await tcpPeer(server.port)
      tcp.send(
        requestText().replace(
          "Content-Length",
          "Foo Bar\r\nX: \u0001\r\nContent-Length: 0\r\nContent-Length",
        ),
      )
      tcp.send(requestText())
      await eventually(() => tcp.text().split("SIP/2.0 200 OK").length === 3)
      tcp.send(requestText().replace("Content-Length: 0", "Content-Length: 0\r\nContent-Length: 7"))
      await eventually(() => tcp.isClosed())
      assert.include(tcp.text(), "SIP/2.0 400 Repeated Single-Value Header")
    },
  )
})
