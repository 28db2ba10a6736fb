/**
 * What the log keeps of a request beside what its command says.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { readDatagram } from "../../../src/adapters/sip/message-reader.ts"
import { limitsDefault } from "../../../src/adapters/sip/options.ts"
import { makePeers, readPeers } from "../../../src/adapters/sip/peers.ts"
import type { KeptOfRequests } from "../../../src/adapters/sip/request-facts.ts"
import type { RequestRules } from "../../../src/adapters/sip/request-rules.ts"
import type { About } from "../../../src/domain/presentity/about.ts"
import { arrival, decodeMessage, requestRules } from "../../support/sip-decoder.ts"

interface Wish {
  readonly method?: "PUBLISH" | "SUBSCRIBE"
  readonly from?: string
  readonly headers?: readonly string[]
  readonly callId?: string
  readonly cseq?: number
  readonly tag?: string
  readonly userAgent?: string
}

const aboutOf = (
  {
    method = "PUBLISH",
    from = "<sip:alice@example.com>",
    headers = [],
    callId = "c1",
    cseq = 1,
    tag = "t1",
    userAgent = "phone/1.0",
  }: Wish,
  kept: KeptOfRequests,
  rules: Partial<RequestRules> = {},
): About | undefined => {
  const lines = [
    `${method} sip:alice@example.com SIP/2.0`,
    "Via: SIP/2.0/UDP 127.0.0.1:5998;branch=z9hG4bK1",
    `From: ${from};tag=${tag}`,
    "To: <sip:alice@example.com>",
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    "Contact: <sip:alice@127.0.0.1:5998>",
    "Event: presence",
    `User-Agent: ${userAgent}`,
    ...headers,
    "Content-Length: 0",
  ]
  const message = readDatagram(
    Buffer.from(`${lines.join("\r\n")}\r\n\r\n`),
    limitsDefault,
    new Set(["user-agent"]),
  )
  const decoded = decodeMessage(message!, arrival, { ...requestRules, ...rules, keptOfRequests: kept })
  assert.equal(decoded._tag, "Submit")
  return decoded._tag === "Submit" ? decoded.about : undefined
}

const as = (user: string, uri: string | null): Partial<RequestRules> => ({
  authenticate: () => ({ _tag: "Verified", user, uri }) as never,
  mayPublishFor: () => true,
})
const behind = (entry: string): Partial<RequestRules> => ({ peers: makePeers(readPeers([entry]).peers) })

describe("what the log keeps of a request", () => {
  it(
    "nobody's account and a From that is the presentity's or the watcher's say nothing new",
    { tags: ["T38"] },
    () => {
      for (const method of ["PUBLISH", "SUBSCRIBE"] as const) {
        for (const from of ["<sip:alice@example.com>", '"Alice" <sip:alice@EXAMPLE.com;transport=udp>']) {
          const about = aboutOf({ method, from }, "identity")
          assert.deepEqual(Object.keys(about ?? {}), ["request"])
          assert.match(about!.request!, /^[\w-]{12}$/)
        }
        assert.equal(aboutOf({ method }, "none"), undefined)
      }
    },
  )

  it(
    "the account that authenticated, From where it is somebody else, and the device if that is wanted",
    { tags: ["T38"] },
    () => {
      assert.deepEqual(aboutOf({}, "identity", as("alice", "sip:alice@example.com"))?.by, {
        account: "alice",
      })
      assert.deepEqual(
        aboutOf({ from: "<sip:Carol@example.com:5060>" }, "identity", as("carol", "sip:carol@example.com"))
          ?.by,
        { account: "carol", identity: "sip:carol@example.com", from: "sip:Carol@example.com" },
      )
      assert.deepEqual(aboutOf({}, "full")?.by, { userAgent: "phone/1.0" })
      assert.deepEqual(aboutOf({ userAgent: "x".repeat(256) }, "full")?.by, { userAgent: "x".repeat(256) })
      assert.equal(aboutOf({ userAgent: "x".repeat(257) }, "full")?.by, undefined)
    },
  )

  it("whom a trusted peer names, and not what anybody may write", { tags: ["T38", "3325-5-a"] }, () => {
    const headers = ["P-Asserted-Identity: <sip:alice@example.com>"]
    const from = "<sip:eve@example.com>"
    assert.deepEqual(aboutOf({ headers, from }, "identity", behind("127.0.0.1;identity=pai"))?.by, {
      identity: "sip:alice@example.com",
      from: "sip:eve@example.com",
    })
    assert.deepEqual(aboutOf({ headers, from }, "identity")?.by, { from: "sip:eve@example.com" })
  })

  it("the digest is that of Call-ID, From tag and CSeq, and of nothing else", { tags: ["T38"] }, () => {
    const digestOf = (wish: Wish): string => aboutOf(wish, "identity")!.request!
    const first = digestOf({})
    assert.equal(digestOf({ headers: ["Subject: again"] }), first)
    const others = [{ callId: "c2" }, { cseq: 2 }, { tag: "t2" }].map(digestOf)
    assert.equal(new Set([first, ...others]).size, 4)
  })
})
