/**
 * Places of one host name, each of which may do anything with a NOTIFY: which are tried, in which order, and how it ends,
 * against a model that says it in a few lines.
 */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { makeAllowances } from "../../../src/adapters/sip/allowances.ts"
import { makeClientTransactions } from "../../../src/adapters/sip/client-transactions.ts"
import { livingFirst, makeDeadTargets } from "../../../src/adapters/sip/dead-targets.ts"
import { prepareDialog } from "../../../src/adapters/sip/format-notify.ts"
import { makeKeepAlive } from "../../../src/adapters/sip/keep-alive.ts"
import { readDatagram } from "../../../src/adapters/sip/message-reader.ts"
import { makeNotifier } from "../../../src/adapters/sip/notifier.ts"
import { countersZero, limitsDefault, timersDefault } from "../../../src/adapters/sip/options.ts"
import { tcp } from "../../../src/adapters/sip/transports/tcp.ts"
import { transports } from "../../../src/adapters/sip/transports/transports.ts"
import type { DeliveryOutcome } from "../../../src/domain/presentity/commands.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"

const manners = ["takes", "refuses", "absent", "silent", "overloaded", "closes", "waits"] as const
type Manner = (typeof manners)[number]

const port = 5_060
const addressOf = (place: number): string => `192.0.2.${place + 1}`
const nameOf = (place: number): string => `tcp:${addressOf(place)}:${port}`

const notifyOf = (cseq: number): Notify => ({
  _tag: "Notify",
  rates: null,
  presentity: "sip:alice@example.com" as Uri,
  no: 1,
  cseq,
  packageName: "presence",
  eventId: null,
  state: "active",
  reason: null,
  retryAfter: null,
  expires: 600,
  body: null,
  entityTag: null,
  dialog: {
    callId: "c",
    localTag: "l",
    remoteTag: "r",
    localUri: "<sip:alice@example.com>",
    remoteUri: "<sip:bob@example.com>",
    remoteTarget: "sip:bob@phones.example.org;transport=tcp",
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:192.0.2.100",
    flow: "udp:192.0.2.100:5060",
    source: "192.0.2.50:5060",
  },
})

const worldOf = (count: number) => {
  let now = 0
  let minted = 0
  const clock = (): number => now
  const counters = countersZero()
  const client = makeClientTransactions(timersDefault, counters, clock)
  const all: Manner[] = Array.from({ length: count }, () => "takes")
  const asked: number[] = []
  const ended: DeliveryOutcome[] = []
  const later: (() => void)[] = []
  const branches: string[] = []
  const respond = (bytes: Buffer, status: string, more = ""): void => {
    const lines = bytes.toString("latin1").split("\r\n")
    const kept = lines.filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line))
    const text = `SIP/2.0 ${status}\r\n${kept.join("\r\n")}\r\n${more}Content-Length: 0\r\n\r\n`
    later.push(() => client.answer(readDatagram(Buffer.from(text), limitsDefault)!))
  }
  const connectionTo = (place: number) => ({
    transport: tcp,
    host: "192.0.2.100",
    port,
    remoteAddress: addressOf(place),
    remotePort: port,
    isOpen: () => true,
    branches: new Set<string>(),
    activeAt: 0,
    keepFor: () => {},
    close: () => {},
    send: (bytes: Buffer, _address: string, _port: number, failed?: () => void) => {
      asked.push(place)
      branches.push(/branch=([^;\r]+)/.exec(bytes.toString("latin1"))![1]!)
      const manner = all[place]!
      if (manner === "takes") respond(bytes, "200 OK")
      if (manner === "refuses") respond(bytes, "486 Busy Here")
      if (manner === "overloaded") respond(bytes, "503 Service Unavailable")
      if (manner === "waits") respond(bytes, "503 Service Unavailable", "Retry-After: 30\r\n")
      if (manner === "closes") later.push(() => failed?.())
    },
  })
  const streams = {
    kind: "streams",
    find: () => null,
    isOpening: () => false,
    open: (address: string, _port: number, _within: number, done: (connection: unknown) => void) => {
      const place = Number(address.split(".").at(-1)) - 1
      if (all[place] === "absent") asked.push(place)
      later.push(() => done(all[place] === "absent" ? null : connectionTo(place)))
    },
  }
  const hops = all.map((_, place) => ({ transport: tcp, address: addressOf(place), port }))
  const dead = makeDeadTargets(limitsDefault.deadTargetMs, clock)
  const notifier = makeNotifier({
    client,
    transports,
    socketsOf: () => streams as never,
    prepareDialog,
    counters,
    limits: limitsDefault,
    udpMtuBytes: 1_300,
    resolver: { resolve: async () => hops },
    clock,
    mintTag: () => `tag${minted++}`,
    localHost: (bound) => bound,
    delivered: (_presentity, _no, _cseq, outcome) => void ended.push(outcome),
    isOwnAddress: () => false,
    allowances: makeAllowances(limitsDefault, timersDefault, counters, clock),
    isNotifyTarget: () => true,
    onLimit: () => {},
    keepAlive: makeKeepAlive(limitsDefault, counters, clock),
    advertisedFor: null,
    credentials: null,
    dead,
  })
  return {
    all,
    asked,
    ended,
    branches,
    counters,
    dead,
    pass: (millis: number) => {
      now += millis
    },
    /** Sends one NOTIFY and lets everything happen that follows. */
    send: async (cseq: number): Promise<void> => {
      notifier.send(notifyOf(cseq))
      const before = ended.length
      for (let step = 0; step < 10_000 && ended.length === before; step++) {
        await Promise.resolve()
        const next = later.shift()
        if (next !== undefined) next()
        else {
          now += 50
          client.tick()
        }
      }
    },
  }
}

const failsAs: Partial<Record<Manner, { readonly outcome: string; readonly status?: number }>> = {
  absent: { outcome: "unreachable" },
  closes: { outcome: "unreachable" },
  silent: { outcome: "timed-out" },
  overloaded: { outcome: "refused", status: 503 },
  waits: { outcome: "refused", status: 503 },
}

describe("fail-over", () => {
  it("any places, any manners, several NOTIFYs: as the model says", { tags: ["3263-4.3-a"] }, async () => {
    const round = fc.record({
      manners: fc.array(fc.constantFrom(...manners), { minLength: 4, maxLength: 4 }),
      pass: fc.constantFrom(0, 1_000, 29_000, 61_000),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(round, { maxLength: 4 }),
        async (count, rounds) => {
          const world = worldOf(count)
          let cseq = 1
          for (const { manners: given, pass } of rounds) {
            world.pass(pass)
            world.all.splice(0, count, ...given.slice(0, count))
            const order = livingFirst(
              world.all.map((_, place) => place),
              (place) => world.dead.has(nameOf(place)),
            )
            world.asked.length = 0
            world.branches.length = 0
            await world.send(cseq++)
            const end = order.findIndex((place) => failsAs[world.all[place]!] === undefined)
            const expected = end < 0 ? order : order.slice(0, end + 1)
            assert.deepStrictEqual(world.asked, [...expected])
            assert.strictEqual(new Set(world.branches).size, world.branches.length)
            assert.strictEqual(world.ended.length, cseq - 1)
            const outcome = world.ended.at(-1)!
            const failed = end < 0 ? order : order.slice(0, end)
            assert.deepStrictEqual(
              [...(outcome.tried ?? [])] as unknown[],
              failed.map((place) => ({ address: nameOf(place), ...failsAs[world.all[place]!] })),
            )
            const last = world.all[order.at(-1)!]
            if (end >= 0)
              assert.strictEqual(outcome._tag, world.all[order[end]!] === "takes" ? "Accepted" : "Refused")
            else if (order.some((place) => world.all[place] === "waits"))
              assert.deepStrictEqual(
                { ...outcome, tried: undefined },
                { _tag: "Refused", status: 503, retryAfter: 30, tried: undefined },
              )
            else
              assert.strictEqual(
                outcome._tag,
                last === "silent" ? "TimedOut" : last === "overloaded" ? "Refused" : "Unreachable",
              )
            // one that said Retry-After may be asked again before all others have failed
            for (const place of failed.filter((failing) => world.all[failing] !== "waits"))
              assert.isTrue(world.dead.has(nameOf(place)), nameOf(place))
            if (end >= 0) assert.isFalse(world.dead.has(nameOf(order[end]!)))
          }
          assert.strictEqual(world.counters.clientTransactions, 0)
        },
      ),
      { numRuns: 300 },
    )
  })

  it("the memory of places that failed is bounded in number and in time", { tags: ["OPS-resolver"] }, () => {
    let now = 0
    const dead = makeDeadTargets(60_000, () => now)
    for (let place = 0; place < 30_000; place++) dead.add(`udp:${place}`)
    assert.isAtMost(dead.size(), 10_000)
    assert.isTrue(dead.has("udp:29999"))
    assert.isFalse(dead.has("udp:0"))
    dead.add("udp:long", 1e12)
    now = 60_001
    assert.isFalse(dead.has("udp:29999"))
    assert.isTrue(dead.has("udp:long"))
    now = 600_001
    assert.isFalse(dead.has("udp:long"))
    const forgetful = makeDeadTargets(0, () => now)
    forgetful.add("udp:1", 5_000)
    assert.isFalse(forgetful.has("udp:1"))
  })
})
