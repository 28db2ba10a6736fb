/**
 * The way to a phone is a property of its newest SUBSCRIBE (RFC 6665 §4.2.1.2, RFC 5626 §5.3), and a lost connection ends nothing.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { Standing } from "../../../src/app/testing/given.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { arrivalOf, isSameHop, startNow } from "../../../src/domain/presentity/targets.ts"
import { get } from "../../../src/domain/table.ts"
import type { Arrival, Reach } from "../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../src/encoding/event-codec.ts"
import { packEvent, unpackEvent } from "../../../src/encoding/packed-events.ts"
import {
  at,
  delivery,
  dialogOf,
  open,
  publish,
  published,
  resubscribe,
  subscribe,
  timedOut,
} from "../../support/builders.ts"
import { given } from "../../support/given.ts"

const reaches = [
  undefined,
  "ob",
  "invalid",
  "private",
  "nat",
  "alias",
  "source",
  "contact",
] as const satisfies readonly (Reach | undefined)[]

const arrivals: fc.Arbitrary<Arrival> = fc
  .record({
    transport: fc.constantFrom("udp", "tcp"),
    port: fc.integer({ min: 40_000, max: 40_003 }),
    reach: fc.constantFrom(...reaches),
  })
  .map(({ transport, port, reach }) => ({
    localContact: transport === "udp" ? "sip:192.0.2.10" : "sip:192.0.2.10;transport=tcp",
    flow: `${transport}:192.0.2.10:5060`,
    source: `192.0.2.20:${port}`,
    ...(reach === undefined ? {} : { reach }),
  }))

interface Step {
  readonly arrival: Arrival
  /** Null: no Contact. */
  readonly target: string | null
  readonly room: number | undefined
  readonly lost: boolean
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    arrival: arrivals,
    target: fc.constantFrom(null, "sip:bob@192.0.2.20", "sip:bob@10.0.0.7", "sip:bob@10.0.0.8;transport=tcp"),
    room: fc.constantFrom(undefined, 0, 500),
    lost: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
)

const begun = (): Standing =>
  given(published("tag-1", open))
    .when(subscribe({ dialog: dialogOf(1), expires: 3600 }), at("10:00:00"))
    .and()

const stored = (event: Event): string => JSON.stringify(packEvent(event, "n1"))
const roundTrip = (event: Event): Event | undefined =>
  decodeEvents([unpackEvent(JSON.parse(stored(event)), "n1")])[0]

const last = <A>(list: readonly A[]): A | undefined => list.at(-1)

describe("flows", () => {
  it("every NOTIFY goes by the newest SUBSCRIBE, whatever came before", { tags: ["6665-4.2.1.2-a"] }, () => {
    fc.assert(
      fc.property(steps, (all) => {
        let standing = begun()
        let target = dialogOf(1).remoteTarget
        let reach: Reach | undefined
        let cseq = 1
        for (const [index, { arrival, target: contact, room, lost }] of all.entries()) {
          const now = at("10:00:01") + index * 20_000
          if (contact !== null) {
            target = contact
            reach = arrival.reach
          }
          const { localContact, flow, source } = arrival
          const asked = {
            cseq: ++cseq,
            expires: 3600,
            remoteTarget: contact,
            arrival,
            ...(room === undefined ? {} : { room }),
          }
          const decided = standing.when(resubscribe(1, asked), now)
          const told = last(decided.sent)
          ok(told !== undefined, "an accepted SUBSCRIBE has its NOTIFY")
          deepStrictEqual(
            [
              told.dialog.localContact,
              told.dialog.flow,
              told.dialog.source,
              told.dialog.reach,
              told.dialog.remoteTarget,
            ],
            [localContact, flow, source, reach, target],
          )
          standing = decided.and()
          if (!lost) continue
          const after = standing.when(delivery(2, told.cseq, { _tag: "FlowLost" }), now + 1)
          ok(!after.events.some(({ _tag }) => _tag === "SubscriptionTerminated"))
          standing = after.and()
        }
      }),
    )
  })

  it("a refresh by the same way writes nothing of it; by another, what differs", { tags: ["L03"] }, () => {
    fc.assert(
      fc.property(steps, (all) => {
        let standing = begun()
        let before: Arrival = dialogOf(1)
        let cseq = 1
        for (const [index, { arrival, target }] of all.entries()) {
          const now = at("10:00:01") + index * 20_000
          const decided = standing.when(
            resubscribe(1, { cseq: ++cseq, expires: 3600, remoteTarget: target, arrival }),
            now,
          )
          const refreshed = decided.events.find(({ _tag }) => _tag === "SubscriptionRefreshed")
          ok(refreshed?._tag === "SubscriptionRefreshed")
          for (const [field, value] of Object.entries(refreshed.arrival ?? {}))
            ok(value !== (before as unknown as Record<string, unknown>)[field], `${field} is as before`)
          standing = decided.and()
          const dialog = get(standing.state.dialogs, 2)!
          before = arrivalOf(dialog)
          strictEqual(before.source, arrival.source)
          // what is written down is read again, and so are states
          deepStrictEqual(roundTrip(refreshed), refreshed)
          deepStrictEqual(get(thaw(JSON.parse(JSON.stringify(freeze(standing.state)))).dialogs, 2), dialog)
          strictEqual(isSameHop(dialog, dialog), true)
          deepStrictEqual(startNow(dialog).source, arrival.source)
          ok(stored(refreshed).length <= 250, stored(refreshed))
        }
      }),
    )
  })
})

describe("a Contact that never answered, over UDP", () => {
  const elsewhere = { room: 500, remoteTarget: "sip:bob@198.51.100.7" }
  const one = given(published("tag-1", open))
  const silent = one.when(subscribe({ dialog: dialogOf(1, elsewhere), expires: 3600 }), at("10:00:00")).and()

  it("gives way to the source: first without the document, then with it", { tags: ["C2"] }, () => {
    const tried = silent.when(delivery(2, 1, timedOut), at("10:00:32"))
    deepStrictEqual(
      tried.events.map(({ _tag }) => _tag),
      ["NotificationFailed", "TargetDoubted", "NotificationsIssued"],
    )
    strictEqual(tried.sent[0]?.dialog.reach, "silence")
    strictEqual(tried.sent[0]?.body, null)
    // nor does the source answer
    const gone = tried.and().when(delivery(2, 2, timedOut), at("10:01:04"))
    ok(gone.events.some(({ _tag }) => _tag === "SubscriptionTerminated"))
  })

  it.each([
    ["it is the source", { room: 500, remoteTarget: "sip:bob@192.0.2.20" }],
    ["it has answered", { remoteTarget: "sip:bob@198.51.100.7" }],
    ["a proxy is on the way", { ...elsewhere, routeSet: ["<sip:192.0.2.1;lr>"] }],
    ["the setting says so", { ...elsewhere, reach: "contact" as const }],
    ["nobody knows the source", { ...elsewhere, source: "" }],
  ])("does not when %s", (_, over) => {
    const standing = one.when(subscribe({ dialog: dialogOf(1, over), expires: 3600 }), at("10:00:00")).and()
    const ended = standing.when(delivery(2, 1, timedOut), at("10:00:32"))
    ok(ended.events.some(({ _tag }) => _tag === "SubscriptionTerminated"))
  })

  it("is not asked again by a refresh, unless that brings another", () => {
    const moved = silent.when(delivery(2, 1, timedOut), at("10:00:32")).and()
    const { localContact, flow } = dialogOf(1)
    const arrival = { localContact, flow, source: "192.0.2.20:41000" }
    const same = moved.when(
      resubscribe(1, { cseq: 2, expires: 3600, remoteTarget: elsewhere.remoteTarget, arrival }),
      at("10:01:00"),
    )
    deepStrictEqual(
      [same.sent[0]?.dialog.reach, same.sent[0]?.dialog.source],
      ["silence", "192.0.2.20:41000"],
    )
    const other = same
      .and()
      .when(
        resubscribe(1, { cseq: 3, expires: 3600, remoteTarget: "sip:bob@198.51.100.8", arrival, room: 90 }),
        at("10:01:10"),
      )
    strictEqual(other.sent[0]?.dialog.reach, undefined)
  })
})

describe("a connection that is lost", () => {
  it(
    "leaves the Contact, as far as it may be sent anything, and then nothing until the phone speaks",
    { tags: ["C2"] },
    () => {
      const stream = {
        flow: "tcp:192.0.2.10:5060",
        source: "192.0.2.20:40001",
        room: 200,
        remoteTarget: "sip:bob@192.0.2.20;transport=tcp",
      }
      const standing = given(published("tag-1", open))
        .when(subscribe({ dialog: dialogOf(1, stream), expires: 3600 }), at("10:00:00"))
        .and()
      const lost = standing.when(delivery(2, 1, { _tag: "FlowLost" }), at("10:00:05"))
      deepStrictEqual(
        lost.events.map(({ _tag }) => _tag),
        ["NotificationFailed", "TargetDoubted", "NotificationsIssued"],
      )
      strictEqual(lost.sent[0]?.proof?._tag, "Unproven")
      const again = lost.and().when(delivery(2, 2, { _tag: "FlowLost" }), at("10:00:06"))
      deepStrictEqual(
        again.events.map(({ _tag }) => _tag),
        ["NotificationFailed", "NotificationsDeferred"],
      )
      // the next change is not sent where nobody answers
      const change = again.and().when(publish({ ifMatch: "tag-1", body: open, expires: 60 }), at("10:00:20"))
      strictEqual(change.sent.length, 0)
      const { localContact } = dialogOf(1)
      const arrival = { localContact, flow: stream.flow, source: "192.0.2.20:40002" }
      const back = change
        .and()
        .when(
          resubscribe(1, { cseq: 2, expires: 3600, remoteTarget: stream.remoteTarget, room: 200, arrival }),
          at("10:01:00"),
        )
      strictEqual(back.sent[0]?.proof?._tag, "Connection")
      strictEqual(back.sent[0]?.dialog.source, "192.0.2.20:40002")
    },
  )
})
