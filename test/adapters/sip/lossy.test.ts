/**
 * Phones with ten lamps each behind a line that loses three of ten packets either way, in virtual time: they keep their lamps,
 * and nobody is sent more than he may be (C2, T6).
 *
 * The core, the decoder, transactions, allowances and the notifier are the real ones; the network, the clock and the store are
 * not.
 */
import { assert, describe, it } from "vitest"
import { allowanceKey, makeAllowances } from "../../../src/adapters/sip/allowances.ts"
import { makeClientTransactions } from "../../../src/adapters/sip/client-transactions.ts"
import { makeDeadTargets } from "../../../src/adapters/sip/dead-targets.ts"
import { prepareDialog } from "../../../src/adapters/sip/format-notify.ts"
import { makeKeepAlive } from "../../../src/adapters/sip/keep-alive.ts"
import { makeNotifier } from "../../../src/adapters/sip/notifier.ts"
import { countersZero, limitsDefault, timersDefault } from "../../../src/adapters/sip/options.ts"
import { transports } from "../../../src/adapters/sip/transports/transports.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import { makeMemoryLog } from "../../../src/adapters/store/memory.ts"
import { makeRandom } from "../../../src/app/testing/random.ts"
import type { Release } from "../../../src/domain/engine/engine.ts"
import { makeEngine } from "../../../src/domain/engine/make-engine.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import { get, values } from "../../../src/domain/table.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../src/encoding/event-codec.ts"
import { publish } from "../../support/builders.ts"
import { decodeMessage, requestRules } from "../../support/sip-decoder.ts"
import { headerValue, read, requestText } from "../../support/sip-messages.ts"
import { answerTo } from "../../support/sip-peer.ts"
import { packages, text } from "../../support/stub-package.ts"

interface Phone {
  /** Which packets are lost, either way, counted from 1: a share of all, or one. */
  readonly loss: number | { readonly nth: number }
  /** How long it takes to answer, in milliseconds. */
  readonly patience: number
  /** Octets of the document that each lamp shows. */
  readonly document: number
  /** Absent: ten. */
  readonly lamps?: number
}

/** One phone that lights its lamps at once; what is left of them a minute later, and what it was sent before it answered. */
const minuteOf = (seed: number, { loss, patience, document, lamps = 10 }: Phone) => {
  const random = makeRandom(seed)
  const began = Date.UTC(2026, 10, 20, 10)
  let now = 0
  const happenings: { readonly at: number; readonly happen: () => void }[] = []
  const later = (ms: number, happen: () => void): void => void happenings.push({ at: now + ms, happen })
  let packets = 0
  const arrives = (happen: () => void): void => {
    packets++
    const isLost = typeof loss === "number" ? random.chance(loss) : packets === loss.nth
    if (!isLost) later(20, happen)
  }

  const counters = countersZero()
  const clock = (): number => now
  const allowances = makeAllowances(limitsDefault, timersDefault, counters, clock)
  const client = makeClientTransactions(timersDefault, counters, clock)
  const engine = makeEngine<null>({
    packages,
    limits: { ...defaultLimits, endSubOnTimeout: true },
    authorize: allowEveryone,
    recordAfterMillis: 10_000,
  })
  const log = makeMemoryLog()
  let tokens = 0
  const mint = (): string => `n${tokens++}`

  // ── what the phone is sent ──
  const sent: string[] = []
  const seen = new Set<string>()
  let heardFrom = false
  const unasked: string[] = []
  const send = (bytes: Buffer): void => {
    const notify = bytes.toString("latin1")
    sent.push(notify)
    if (!heardFrom) unasked.push(notify)
    arrives(() => {
      const cseq = `${headerValue(notify, "Call-ID")} ${headerValue(notify, "CSeq")}`
      const answer = (): void =>
        arrives(() => {
          heardFrom = true
          client.answer(read(answerTo(notify))!)
        })
      // a copy of what it is busy with says nothing new
      if (seen.has(cseq)) return later(0, answer)
      seen.add(cseq)
      later(patience, answer)
    })
  }
  const sockets = {
    kind: "datagrams",
    listeners: [{ transport: udp, host: "192.0.2.10", port: 5_060, send }],
  }
  const notifier = makeNotifier({
    client,
    transports,
    // nothing here goes over a stream
    socketsOf: (transport) => {
      assert.strictEqual(transport, udp)
      return sockets as never
    },
    prepareDialog,
    counters,
    limits: limitsDefault,
    udpMtuBytes: 1_300,
    resolver: { resolve: async () => [] },
    clock,
    mintTag: mint,
    advertisedFor: null,
    localHost: (bound) => bound,
    delivered: (presentity, no, cseq, outcome) =>
      // never inside the call that handed the NOTIFY over
      later(0, () => offer(presentity, { _tag: "ReportDelivery", no, cseq, outcome })),
    isOwnAddress: () => false,
    allowances,
    isNotifyTarget: () => false,
    onLimit: () => {},
    keepAlive: makeKeepAlive(limitsDefault, counters, clock),
    credentials: null,
    dead: makeDeadTargets(limitsDefault.deadTargetMs, clock),
  })

  // ── the core, whose store is always there ──
  const release = ({ notifications }: Release<null>): void => {
    for (const one of notifications) notifier.send(one)
  }
  const commit = (): void => {
    for (let batch = engine.takeBatch(100); batch !== null; batch = engine.takeBatch(100))
      engine.committed(log.append(batch.decisions).conflicts).release.forEach(release)
  }
  const offer = (presentity: Uri | null, command: Command): void => {
    const offered = engine.offer({ presentity, command, origin: "", ticket: null }, began + now, mint)
    if (offered._tag === "Missing") {
      engine.load(log.load(offered.presentity))
      return offer(presentity, command)
    }
    if (offered._tag === "Released") release(offered.release)
    commit()
  }

  // ── what the phone asks, and repeats until it is answered ──
  const received = { octets: 0 }
  const subscribe = (lamp: number): void => {
    const request = requestText({
      method: "SUBSCRIBE",
      uri: `sip:lamp${lamp}@example.com`,
      headers: {
        To: `<sip:lamp${lamp}@example.com>`,
        Contact: "<sip:phone@192.0.2.20:5062>",
        Event: "stub",
        Accept: "text/plain",
        "User-Agent": "Phone/1.0 with a name of the usual length",
        Allow: "INVITE, ACK, CANCEL, BYE, NOTIFY, OPTIONS, REFER",
      },
    })
    const arrival = {
      transport: udp,
      flow: "udp:192.0.2.10:5060",
      contact: "sip:presence@192.0.2.10:5060",
      sourceAddress: "192.0.2.20",
      sourcePort: 5_062,
    }
    let key: string | null = null
    let isAnswered = false
    const once = (): void =>
      arrives(() => {
        const message = read(request)!
        received.octets += message.octets ?? 0
        if (key === null) {
          const decoded = decodeMessage(message, arrival, { ...requestRules, mintTag: mint })
          assert(decoded._tag === "Submit" && decoded.command._tag === "Subscribe")
          key = allowanceKey(message.callId, decoded.command.dialog.localTag)
          allowances.received(key, message.octets ?? 0, false)
          offer(decoded.presentity, decoded.command)
        } else allowances.received(key, message.octets ?? 0, true)
        arrives(() => {
          isAnswered = true
        })
      })
    for (let at = 0, wait = 500; at < 32_000; at += wait, wait = Math.min(2 * wait, 4_000))
      later(at, () => {
        if (!isAnswered) once()
      })
  }

  for (let lamp = 0; lamp < lamps; lamp++) {
    offer(`sip:lamp${lamp}@example.com` as Uri, publish({ body: text("x".repeat(document)), expires: 600 }))
    subscribe(lamp)
  }
  for (; now < 60_000; now += 10) {
    const due = happenings.filter(({ at }) => at <= now)
    happenings.splice(0, happenings.length, ...happenings.filter(({ at }) => at > now))
    for (const { happen } of due) happen()
    if (now % 50 === 0) {
      client.tick()
      allowances.tick()
      engine.advance(began + now, mint)
      commit()
    }
  }
  let alive = 0
  for (let lamp = 0; lamp < lamps; lamp++) {
    const state = engine.state(`sip:lamp${lamp}@example.com` as Uri)
    const [one] = state === undefined ? [] : [...values(state.subscriptions)]
    if (one !== undefined && get(state!.dialogs, one.dialog)?.proof === undefined) alive++
  }
  const events = log.read(0, Number.MAX_SAFE_INTEGER).flatMap(({ decision }) => decision.events)
  return { alive, sent, unasked, heardFrom, received: received.octets, counters, events }
}

const phones = 60
const all = (phone: Phone) => Array.from({ length: phones }, (_, seed) => minuteOf(seed, phone))
const sum = (numbers: readonly number[]): number => numbers.reduce((one, other) => one + other, 0)

describe("a line that loses packets", () => {
  it.each([
    ["no documents", 0],
    ["short documents", 120],
  ])(
    "three of ten packets lost either way, %s: whoever is heard of at all keeps every lamp, and few are not",
    { tags: ["C2"] },
    (_what, document) => {
      const minutes = all({ loss: 0.3, patience: 100, document })
      const silent = minutes.filter(({ heardFrom }) => !heardFrom)
      // of three packets none was answered, the one chance in eight that leaves nothing to be done
      assert.isAtMost(silent.length, phones / 5)
      const alive = sum(minutes.map((one) => one.alive))
      assert.isAtLeast(alive, 0.97 * 10 * (phones - silent.length))
      for (const { unasked, received } of minutes) {
        assert.isAtMost(unasked.length, 3)
        assert.isAtMost(sum(unasked.map((one) => one.length)), 3 * received)
      }
    },
  )

  it(
    "a lamp that is alone survives the loss of its first NOTIFY, which could not be sent twice",
    { tags: ["C2"] },
    () => {
      // the SUBSCRIBE is the first packet
      const phone = { loss: { nth: 2 }, patience: 100, document: 300, lamps: 1 }
      const { alive, counters, sent, unasked, received, events } = minuteOf(1, phone)
      assert.strictEqual(alive, 1)
      assert.strictEqual(counters.notifyUnrepeated, 1)
      assert.isTrue(events.some((one) => one._tag === "NotificationFailed" && one.outcome === "unrepeated"))
      assert.deepStrictEqual(decodeEvents(JSON.parse(JSON.stringify(events))), events)
      // what was lost, one without the document, and the document
      assert.deepStrictEqual(
        sent.map((one) => one.includes("x".repeat(300))),
        [true, false, true],
      )
      assert.isAtMost(sum(unasked.map((one) => one.length)), 3 * received)
      assert.isAbove(sum([...unasked, sent[0]!].map((one) => one.length)), 3 * received)
    },
  )

  it.each([100, 1_000, 5_000])(
    "where nothing is lost a phone that answers within %d ms has all lamps, and repetitions are all it is sent twice",
    { tags: ["C2"] },
    (patience) => {
      const { alive, counters, sent } = minuteOf(1, { loss: 0, patience, document: 120 })
      assert.strictEqual(alive, 10)
      assert.strictEqual(counters.notifyUnrepeated, 0)
      assert.strictEqual(new Set(sent).size, 10)
      assert.strictEqual(counters.notifyTimedOut, 0)
    },
  )
})
