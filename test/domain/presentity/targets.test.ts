/**
 * Where NOTIFYs may go: what nobody there has asked for waits until somebody there has answered (C2, T6).
 */
import { deepStrictEqual, notStrictEqual, ok, strictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { Decided, Standing } from "../../../src/app/testing/given.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../../src/domain/presentity/snapshot.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { hopOf, octetsOf } from "../../../src/domain/presentity/targets.ts"
import { get } from "../../../src/domain/table.ts"
import {
  accepted,
  at,
  bob,
  busy,
  delivery,
  dialogOf,
  fallDue,
  open,
  publish,
  published,
  redeliver,
  refused,
  resubscribe,
  subscribe,
  timedOut,
} from "../../support/builders.ts"
import { given, standing, treatAs } from "../../support/given.ts"
import { text } from "../../support/stub-package.ts"

const long = text("l".repeat(2_000))
const nearby = (room: number, over: Parameters<typeof dialogOf>[1] = {}) => ({
  dialog: dialogOf(1, { room, ...over }),
  expires: 3600,
})
const answeredAt = (cseq: number, no = 2) => delivery(no, cseq, accepted())
/** The answer is written down, and what follows from it decided, as the engine does. */
const answers = (so: Standing, cseq: number, now: number): Decided =>
  so
    .when({ _tag: "RecordDeliveries", accepted: [{ no: 2, cseq, at: now }] }, now)
    .and()
    .when(answeredAt(cseq), now)
const proofOf = (state: State) => get(state.dialogs, 2)?.proof

describe("a target that has not answered yet", () => {
  const one = given(published("tag-1", open))
  const big = given(published("tag-1", long))

  it("is sent a document that fits, and nothing more is said when it answers", { tags: ["C2"] }, () => {
    const first = one.when(subscribe(nearby(100)), at("10:00:00")).sends("2/1 active;expires=3600 open")
    strictEqual(first.sent[0]?.proof?._tag, "Unproven")
    const answered = first.and().when(answeredAt(1), at("10:00:01")).sends()
    deepStrictEqual(answered.events, [])
  })

  it(
    "is sent no document that does not fit; the document follows the 2xx at once, whatever the pace",
    { tags: ["C2"] },
    () => {
      const first = big
        .when(subscribe(nearby(100)), at("10:00:00"))
        .sends("2/1 active;expires=3600 (no body)")
      ok(first.events.some((event) => event._tag === "NotificationsIssued" && event.withheld === true))
      strictEqual(first.sent[0]?.entityTag, null)
      first.and().when(answeredAt(1), at("10:00:00.050")).sends(`2/2 active;expires=3600 ${long.text}`)
      const answered = answers(first.and(), 1, at("10:00:00.050")).sends(
        `2/2 active;expires=3600 ${long.text}`,
      )
      // what waited is no change: the next one is not held back for it
      answered
        .and()
        .when(publish({ ifMatch: "tag-1", body: busy }), at("10:00:00.100"))
        .sends("2/3 active;expires=3600 busy")
    },
  )

  it("is shown what a package shows when nothing is published, if that fits", { tags: ["C2"] }, () => {
    const summary = { packageName: "presence", ...nearby(100) }
    one.when(subscribe(summary), at("10:00:00")).sends("2/1 active;expires=3600 (no body)")
  })

  it("changes wait while it has not answered, and the newest follows the 2xx", { tags: ["C2"] }, () => {
    let so = big.when(subscribe(nearby(100)), at("10:00:00")).and({ inFlight: [2] })
    for (const [index, body] of [text("m".repeat(900)), text("n".repeat(900))].entries()) {
      const tag = index === 0 ? "tag-1" : "n.3"
      so = so
        .when(publish({ ifMatch: tag, body, expires: 600 }), at(`10:00:0${index + 1}`))
        .sends()
        .and()
    }
    so.and({ inFlight: [] })
      .when(answeredAt(1), at("10:00:03"))
      .sends(`2/2 active;expires=3597 ${"n".repeat(900)}`)
  })

  it(
    "only one document goes there before an answer, however often something is to be told",
    { tags: ["C2"] },
    () => {
      const first = one.when(subscribe(nearby(10 + 4)), at("10:00:00")).sends("2/1 active;expires=3600 open")
      first
        .and()
        .when({ _tag: "RefreshWatchers", packageName: "stub", kind: "state" }, at("10:00:01"))
        .sends("2/2 active;expires=3599 (no body)")
      first
        .and()
        .when(redeliver(at("10:00:00")), at("10:00:01"))
        .sends("2/2 active;expires=3599 (no body)")
    },
  )

  it(
    "gets no more when it stays silent and the operator keeps it, until it is heard of",
    { tags: ["C2"] },
    () => {
      const kept = { limits: { endSubOnTimeout: false } }
      const silent = big
        .when(subscribe(nearby(100)), at("10:00:00"))
        .and(kept)
        .when(delivery(2, 1, timedOut), at("10:00:32"))
        .sends()
      const changed = silent
        .and()
        .when(publish({ ifMatch: "tag-1", body: busy }), at("10:01:00"))
        .sends()
      changed.and().when(fallDue, at("10:02:00")).sends()
      // its last NOTIFY is not sent either
      changed
        .and()
        .when({ _tag: "Terminate", packageName: "stub", watcher: bob, reason: "deactivated" }, at("10:02:00"))
        .sends()
      changed
        .and()
        .when(resubscribe(1, { room: 100, expires: 600 }), at("10:03:00"))
        .sends("2/2 active;expires=600 busy")
    },
  )

  it(
    "a document that was lost and cannot be repeated makes way for a NOTIFY without it, and follows its 2xx",
    { tags: ["C2"] },
    () => {
      const lost = one
        .when(subscribe(nearby(100)), at("10:00:00"))
        .sends("2/1 active;expires=3600 open")
        .and()
        .when(delivery(2, 1, { _tag: "Unproven", room: 0 }), at("10:00:08"))
        .sends("2/2 active;expires=3592 (no body)")
      deepStrictEqual(
        lost.events.map((event) => (event._tag === "NotificationFailed" ? event.outcome : event._tag)),
        ["unrepeated", "NotificationsIssued"],
      )
      ok(lost.events.some((event) => event._tag === "NotificationsIssued" && event.withheld === true))
      strictEqual(proofOf(lost.state)?._tag, "Unproven")
      lost.and().when(answeredAt(2), at("10:00:09")).sends("2/3 active;expires=3591 open")
      // when that is not answered either, Timer F decides
      const silent = lost.and().when(delivery(2, 2, timedOut), at("10:00:40"))
      ok(silent.events.some(({ _tag }) => _tag === "SubscriptionTerminated"))
    },
  )

  it(
    "of a document that cannot be repeated nothing more is said when the watcher is gone, asks itself, or is told already",
    { tags: ["C2"] },
    () => {
      const unrepeated = { _tag: "Unproven", room: 0 } as const
      const begun = one.when(subscribe(nearby(100)), at("10:00:00"))
      const ended = begun.and().when(resubscribe(1, { expires: 0, room: 100 }), at("10:00:01"))
      ended
        .and()
        .when(delivery(2, 1, unrepeated), at("10:00:08"))
        .sends()
      const again = begun.and().when(resubscribe(1, { expires: 600, room: 100 }), at("10:00:05"))
      again
        .and()
        .when(delivery(2, 1, unrepeated), at("10:00:08"))
        .sends()
      const busyWith = begun
        .and({ inFlight: [2] })
        .when(delivery(2, 1, unrepeated), at("10:00:08"))
        .sends()
      // it counts as not told all the same
      busyWith.and({ inFlight: [] }).when(answeredAt(2), at("10:00:09")).sends("2/2 active;expires=3591 open")
      begun
        .and()
        .when(
          { _tag: "RecordDeliveries", accepted: [{ no: 2, cseq: 1, at: at("10:00:07") }] },
          at("10:00:07"),
        )
        .and()
        .when(delivery(2, 1, unrepeated), at("10:00:08"))
        .sends("2/2 active;expires=3592 open")
    },
  )

  it("when what was lost said that nothing is left, that is said again", { tags: ["C2"] }, () => {
    const gone = one
      .when(subscribe({ expires: 3600 }), at("10:00:00"))
      .sends("2/1 active;expires=3600 open")
      .and()
      .when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:00:10"))
      .sends("2/2 active;expires=3590 -open")
      .and({ inFlight: [2] })
      .when(resubscribe(1, { expires: 600, remoteTarget: "sip:bob@192.0.2.99", room: 100 }), at("10:00:11"))
      .sends("2/3 active;expires=600 offline")
    gone
      .and({ inFlight: [] })
      .when(delivery(2, 3, { _tag: "Unproven", room: 0 }), at("10:00:19"))
      .sends("2/4 active;expires=592 (no body)")
      .and()
      .when(answeredAt(4), at("10:00:20"))
      .sends("2/5 active;expires=591 offline")
  })

  it("a refusal is no proof, and brings nothing about", { tags: ["C2"] }, () => {
    big
      .when(subscribe(nearby(100)), at("10:00:00"))
      .and({ limits: { profile: "6665" } })
      .when(delivery(2, 1, refused(500)), at("10:00:01"))
      .sends()
  })

  it("a fetch that does not fit is refused; one that shows nothing is not", { tags: ["C2"] }, () => {
    big
      .when(subscribe({ ...nearby(100), expires: 0 }), at("10:00:00"))
      .refused({ _tag: "TargetUnproven", status: 403 })
    big
      .when(subscribe({ ...nearby(3_000), expires: 0 }), at("10:00:00"))
      .sends(`2/1 terminated;reason=timeout ${long.text}`)
    for (const handling of ["confirm", "polite-block"] as const)
      big
        .and({ authorize: treatAs(handling) })
        .when(subscribe({ ...nearby(0), expires: 0 }), at("10:00:00"))
        .sends("2/1 terminated;reason=timeout (no body)")
  })

  it(
    "who unsubscribes before it has answered gets its last NOTIFY without the document",
    { tags: ["C2"] },
    () => {
      const ended = big
        .when(subscribe(nearby(100)), at("10:00:00"))
        .and({ inFlight: [2] })
        .when(resubscribe(1, { expires: 0, room: 100 }), at("10:00:01"))
        .sends("2/2 terminated;reason=timeout (no body)")
      ok(ended.events.some((event) => event._tag === "SubscriptionTerminated" && event.withheld === true))
    },
  )
})

describe("a target that moves", () => {
  const proven = given(published("tag-1", long))
    .when(subscribe({ expires: 3600 }), at("10:00:00"))
    .and()
  const moved = "sip:bob@192.0.2.99"

  it("is proven when nothing is said against it, as in every earlier log", { tags: ["C2"] }, () => {
    const refreshed = proven
      .when(resubscribe(1, { expires: 600, remoteTarget: moved }), at("10:00:01"))
      .sends(`2/2 active;expires=600 ${long.text}`)
    strictEqual(proofOf(refreshed.state), undefined)
    ok(refreshed.events.every((event) => !("room" in event)))
  })

  it("is unproven again, and answers to older NOTIFYs prove nothing", { tags: ["C2"] }, () => {
    const refreshed = proven
      .and({ inFlight: [2] })
      .when(resubscribe(1, { expires: 600, remoteTarget: moved, room: 100 }), at("10:00:01"))
      .sends("2/2 active;expires=600 (no body)")
    const old = refreshed.and().when(answeredAt(1), at("10:00:02")).sends()
    strictEqual(proofOf(old.state)?._tag, "Unproven")
    old.and({ inFlight: [] }).when(answeredAt(2), at("10:00:03")).sends(`2/3 active;expires=598 ${long.text}`)
  })

  it.each([
    ["another user", "sip:robert@192.0.2.20"],
    ["another parameter", "sip:bob@192.0.2.20;x=y"],
    ["the port that goes without saying", "sip:bob@192.0.2.20:5060"],
  ])("is the same place with %s", { tags: ["C2"] }, (_what, target) => {
    proven
      .when(resubscribe(1, { expires: 600, remoteTarget: target, room: 0 }), at("10:00:01"))
      .sends(`2/2 active;expires=600 ${long.text}`)
  })

  it.each([
    ["another host", "sip:bob@192.0.2.21"],
    ["another port", "sip:bob@192.0.2.20:5062"],
    ["another transport", "sip:bob@192.0.2.20;transport=tcp"],
    ["maddr", "sip:bob@192.0.2.20;maddr=192.0.2.99"],
    ["another scheme", "sips:bob@192.0.2.20"],
  ])("is another place with %s", { tags: ["C2"] }, (_what, target) => {
    proven
      .when(resubscribe(1, { expires: 600, remoteTarget: target, room: 0 }), at("10:00:01"))
      .sends("2/2 active;expires=600 (no body)")
  })

  it(
    "with a route the next hop stays, whatever the Contact and wherever the request comes from",
    { tags: ["C2"] },
    () => {
      const routed = (room?: number) =>
        given(published("tag-1", long))
          .when(
            subscribe({
              expires: 3600,
              dialog: dialogOf(1, {
                routeSet: ["<sip:192.0.2.50;lr>"],
                ...(room === undefined ? {} : { room }),
              }),
            }),
            at("10:00:00"),
          )
          .and()
      routed()
        .when(resubscribe(1, { expires: 600, remoteTarget: moved, room: 0 }), at("10:00:01"))
        .sends(`2/2 active;expires=600 ${long.text}`)
      // a Contact that is proven says nothing of the route
      const refreshed = routed(0).when(resubscribe(1, { expires: 600, remoteTarget: moved }), at("10:00:01"))
      strictEqual(proofOf(refreshed.state)?._tag, "Unproven")
    },
  )

  it("is proven by a refresh that proves it", { tags: ["C2"] }, () => {
    const unproven = given(published("tag-1", long))
      .when(subscribe(nearby(0)), at("10:00:00"))
      .and()
    unproven
      .when(resubscribe(1, { expires: 600 }), at("10:00:01"))
      .sends(`2/2 active;expires=600 ${long.text}`)
  })
})

describe("a proof that ends", () => {
  const streamed = given(published("tag-1", long))
    .when(subscribe(nearby(60, { flow: "tcp:192.0.2.10:5060" })), at("10:00:00"))
    .sends(`2/1 active;expires=3600 ${long.text}`)

  it(
    "of a connection: what would have gone elsewhere is told again without the document, and with it after the 2xx",
    { tags: ["C2"] },
    () => {
      strictEqual(streamed.sent[0]?.proof?._tag, "Connection")
      const doubted = streamed
        .and()
        .when(delivery(2, 1, { _tag: "Unproven" }), at("10:00:01"))
        // what never left leaves its number to it (RFC 3261 §12.2.1.1)
        .sends("2/1 active;expires=3599 (no body)")
      ok(doubted.events.some((event) => event._tag === "TargetDoubted" && event.room === 60))
      // and not again and again
      doubted
        .and()
        .when(delivery(2, 1, { _tag: "Unproven" }), at("10:00:02"))
        .sends()
      const answered = doubted
        .and()
        .when(answeredAt(1), at("10:00:02"))
        .sends(`2/2 active;expires=3598 ${long.text}`)
      strictEqual(answered.sent.length, 1)
    },
  )

  it("of a name: each address that answered is known, and another one is doubted", { tags: ["C2"] }, () => {
    const named = (address: string) => delivery(2, 1, { _tag: "Accepted", remoteTarget: null, address })
    const one = given(published("tag-1", long))
      .when(subscribe({ expires: 3600 }), at("10:00:00"))
      .and()
      .when(named("udp:192.0.2.20:5060"), at("10:00:01"))
      .and()
      .when(named("udp:192.0.2.21:5060"), at("10:00:02"))
    deepStrictEqual(proofOf(one.state), {
      _tag: "Addresses",
      addresses: ["udp:192.0.2.20:5060", "udp:192.0.2.21:5060"],
    })
    one
      .and()
      .when(delivery(2, 1, { _tag: "Unproven" }), at("10:00:03"))
      .sends("2/1 active;expires=3597 (no body)")
  })
})

describe("laws of targets", () => {
  type Move = "change" | "refresh" | "tell" | "answer" | "silence" | "restart" | "snapshot"
  const moves = fc.array(
    fc.record({
      move: fc.constantFrom<Move>("change", "refresh", "tell", "answer", "silence", "restart", "snapshot"),
      size: fc.nat(400),
      room: fc.nat(400),
    }),
    { maxLength: 14 },
  )

  it(
    "between a new target and its first 2xx no more of documents goes there than was said; after it the newest is there",
    { tags: ["C2"] },
    () => {
      let withheld = 0
      fc.assert(
        fc.property(fc.nat(400), fc.nat(400), moves, (size, room, steps) => {
          const first = given(published("tag-1", text("d".repeat(size + 1)))).when(
            subscribe(nearby(room)),
            at("10:00:00"),
          )
          let [state, allowed, gone, newest] = [first.state, room, 0, "d".repeat(size + 1)]
          let tag = "tag-1"
          let flying: number[] = []
          let [cseq, isProven, seconds] = [1, false, 0]
          let shown = ""
          const take = (sent: typeof first.sent): void => {
            for (const one of sent) {
              flying.push(one.cseq)
              if (!isProven) gone += octetsOf(one.body, one.headers)
              if (one.body !== null) shown = one.body.text
              if (!isProven && one.body === null) withheld++
            }
            ok(isProven || gone <= allowed, `${gone} of ${allowed}`)
          }
          take(first.sent)
          for (const { move, size: more, room: extra } of steps) {
            seconds += 10
            const now = at("10:00:00") + seconds * 1000
            const so = standing(state, {
              limits: { endSubOnTimeout: false },
              inFlight: flying.length > 0 ? [2] : [],
            })
            if (move === "snapshot") {
              const again = thaw(JSON.parse(JSON.stringify(freeze(state))) as Snapshot)
              deepStrictEqual(freeze(again), freeze(state))
              strictEqual(again.unproven, state.unproven)
              state = again
              continue
            }
            if (move === "change") {
              const body = "c".repeat(more + 1)
              const outcome = so.when(publish({ ifMatch: tag, body: text(body), expires: 3600 }), now)
              const stored = outcome.events.find((event: Event) => event._tag === "PublicationModified")
              tag = stored?._tag === "PublicationModified" ? stored.entityTag : tag
              newest = body
              ;({ state } = outcome)
              take(outcome.sent)
            } else if (move === "refresh") {
              if (!isProven) allowed += extra
              const outcome = so.when(resubscribe(1, { cseq: ++cseq, room: extra, expires: 3600 }), now)
              ;({ state } = outcome)
              take(outcome.sent)
            } else if (move === "answer" || move === "silence") {
              const answered = flying.shift()
              if (answered === undefined) continue
              if (move === "answer") isProven = true
              const left = standing(state, {
                limits: { endSubOnTimeout: false },
                inFlight: flying.length > 0 ? [2] : [],
              })
              const outcome =
                move === "answer"
                  ? answers(left, answered, now)
                  : left.when(delivery(2, answered, timedOut), now)
              ;({ state } = outcome)
              take(outcome.sent)
              if (move === "answer" && flying.length === 0) strictEqual(shown, newest)
            } else {
              const outcome = so.when(
                move === "restart"
                  ? redeliver(at("10:00:00"))
                  : { _tag: "RefreshWatchers", packageName: "stub", kind: "state" },
                now,
              )
              ;({ state } = outcome)
              take(outcome.sent)
            }
          }
        }),
        { numRuns: 300 },
      )
      notStrictEqual(withheld, 0)
    },
  )

  it("octets are counted as they are on the wire", { tags: ["C2"] }, () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (content) => {
        strictEqual(
          octetsOf(text(content)),
          Buffer.byteLength(Buffer.from(content, "utf8")) + "text/plain".length,
        )
      }),
    )
  })

  it("two spellings of one place are one, and no two places are", { tags: ["3261-19.1.4-a"] }, () => {
    const places = [
      ["sip:a@h", "sip:b:pw@H:5060;x=y", "SIP:h?subject=x", "sip:a@h;lr"],
      ["sip:a@h:5062", "sip:h:05062"],
      ["sip:a@h;transport=tcp", "sip:h;TRANSPORT=TCP;lr"],
      ["sip:a@h;maddr=192.0.2.1", "sip:b@g;maddr=192.0.2.1"],
      ["sip:[2001:db8::1]", "sip:a@[2001:DB8:0::1]:5060"],
      ["sips:a@h"],
      ["sip:a@g"],
    ]
    for (const some of places) strictEqual(new Set(some.map(hopOf)).size, 1, some.join(" "))
    strictEqual(new Set(places.flat().map(hopOf)).size, places.length)
  })
})
