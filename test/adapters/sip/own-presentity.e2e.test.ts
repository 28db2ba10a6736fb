/**
 * A package of one's own that finds its presentity elsewhere than in the Request-URI, on the wire.
 */
import { afterEach, assert, describe, it } from "vitest"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { requestText, statusOf } from "../../support/sip-messages.ts"
import { startServer, udpPeer } from "../../support/sip-peer.ts"
import type { TestServer, UdpPeer } from "../../support/sip-peer.ts"
import { stub } from "../../support/stub-package.ts"

/** A room is watched by its name, which a header says. */
const rooms: EventPackage = {
  ...stub({ name: "room" }),
  presentityHeaders: ["X-Room"],
  presentityOf: ({ header, requestUri }) => {
    const [name, ...further] = header("x-room")
    if (name === "broken") throw new Error("a fault of the package")
    if (further.length > 0) return { _tag: "BadRequest", why: "One Room\r\nAt A Time" }
    return {
      _tag: "Found",
      presentity: name === undefined ? requestUri : (`sip:${name}@rooms.example.com` as Uri),
    }
  },
}

let server: TestServer
let peer: UdpPeer

const open = async (packages: readonly EventPackage[]): Promise<unknown[]> => {
  const defects: unknown[] = []
  server = await startServer({
    packages: makeRegistry(packages),
    onDefect: (defect) => void defects.push(defect),
  })
  peer = await udpPeer(server.port)
  return defects
}

afterEach(async () => {
  peer.close()
  await server.close()
})

const subscribe = async (headers: Record<string, string | readonly string[]>): Promise<string> => {
  peer.send(
    requestText({
      method: "SUBSCRIBE",
      headers: { Event: "room", Contact: `<sip:bob@127.0.0.1:${peer.port}>`, ...headers },
    }),
  )
  return peer.next()
}

describe("presentityOf", () => {
  it("says which presentity a SUBSCRIBE is for, by a header that nobody else reads", async () => {
    await open([rooms, stub({ name: "plain" })])
    assert.strictEqual(statusOf(await subscribe({ "X-Room": "kitchen" })), 200)
    assert.strictEqual(statusOf(await subscribe({})), 200)
    assert.strictEqual(statusOf(await subscribe({ Event: "plain", "X-Room": "kitchen" })), 200)
    assert.deepStrictEqual(
      server.requests.map(({ presentity }) => String(presentity)),
      ["sip:kitchen@rooms.example.com", "sip:alice@example.com", "sip:alice@example.com"],
    )
  })

  it("refuses with a reason that stays on its line", async () => {
    await open([rooms])
    const answer = await subscribe({ "X-Room": ["a", "b"] })
    assert.match(answer, /^SIP\/2\.0 400 One Room {2}At A Time\r\n/)
    assert.strictEqual(server.requests.length, 0)
  })

  it("answers 500 where it throws, and the stack goes on", async () => {
    const defects = await open([rooms])
    assert.strictEqual(statusOf(await subscribe({ "X-Room": "broken" })), 500)
    assert.strictEqual(defects.length, 1)
    assert.strictEqual(server.sip.counters.defects, 1)
    assert.strictEqual(statusOf(await subscribe({ "X-Room": "hall" })), 200)
  })
})
