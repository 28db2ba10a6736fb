/**
 * Taking an appearance of a shared line, and who is told of it.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import { callInfo } from "../../../src/domain/packages/call-info.ts"
import type { EventPackage, PublicationQuestion } from "../../../src/domain/packages/event-package.ts"
import { lineSeize } from "../../../src/domain/packages/line-seize.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { currentView } from "../../../src/domain/presentity/view.ts"
import type { SubHandling, Uri } from "../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../src/encoding/event-codec.ts"
import {
  alice,
  at,
  bob,
  carol,
  delivery,
  dialogOf,
  fallDue,
  publish,
  refused,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { standing } from "../../support/given.ts"

const line = "<sip:alice@example.com>"
const appearance = (index: number | "*", state: string): string =>
  `${line};appearance-index=${index};appearance-state=${state}`
const which = (index: number): string => `${line};appearance-index=${index}`

const packages = makeRegistry([callInfo(), lineSeize()])
const world = standing(initial(alice), { packages })

const seizing = (index: number, call: number, watcher: Uri = bob) =>
  subscribe({ packageName: "line-seize", argument: which(index), dialog: dialogOf(call), watcher })
const again = (call: number, over: Parameters<typeof resubscribe>[1] = {}) =>
  resubscribe(call, { packageName: "line-seize", ...over })

/** `2 line-seize active <what is shown>` of each. */
const told = ({ sent }: { readonly sent: readonly Notify[] }): readonly string[] =>
  sent.map(({ no, packageName, state, headers }) => {
    const shown = headers?.[0]?.[1]
      .replaceAll(`${line};appearance-index=`, "")
      .replaceAll(";appearance-state=", " ")
    return `${no} ${packageName} ${state} ${shown ?? "nothing"}`
  })

/** Carol watches the line: subscription 1. */
const watched = world
  .when(subscribe({ packageName: "call-info", watcher: carol, dialog: dialogOf(1) }), at("10:00:00"))
  .and()

describe("line-seize", () => {
  it(
    "whoever subscribes has the appearance for 15 s, and those who watch the line see it",
    { tags: ["SCA-5"] },
    () => {
      const seized = watched.when(seizing(1, 2), at("10:00:01"))
      seized.answers({ _tag: "Subscribed", status: 200, expires: 15 })
      deepStrictEqual(told(seized), [
        "2 line-seize active 1 seized, * idle",
        "1 call-info active 1 seized, * idle",
      ])
      // a fetch sees it as well
      const fetched = seized
        .and()
        .when(subscribe({ packageName: "call-info", expires: 0, dialog: dialogOf(3) }), at("10:00:02"))
      deepStrictEqual(told(fetched), ["3 call-info terminated 1 seized, * idle"])
    },
  )

  it(
    "what is taken cannot be taken again until it is given back",
    { tags: ["OPS-evs_subs_handl", "SCA-6", "SUB-11"] },
    () => {
      const seized = watched.when(seizing(1, 2), at("10:00:01")).and()
      seized
        .when(seizing(1, 3, carol), at("10:00:02"))
        .refused({ _tag: "TemporarilyUnavailable", status: 480, why: "appearance-index=1 is seized" })
      const other = seized.when(seizing(2, 3, carol), at("10:00:02"))
      deepStrictEqual(told(other), [
        "3 line-seize active 1 seized, 2 seized, * idle",
        "1 call-info active 1 seized, 2 seized, * idle",
        "2 line-seize active 1 seized, 2 seized, * idle",
      ])
      const released = seized.when(again(2, { expires: 0 }), at("10:00:03"))
      deepStrictEqual(told(released), ["2 line-seize terminated * idle", "1 call-info active * idle"])
      deepStrictEqual(
        told(released.and().when(seizing(1, 4, carol), at("10:00:04")))[0],
        "4 line-seize active 1 seized, * idle",
      )
    },
  )

  it(
    "time gives it back, by default without telling the phone that forgot it",
    { tags: ["OPS-mandatory_timeout_notification", "SCA-7"] },
    () => {
      const seized = watched.when(seizing(1, 2), at("10:00:01")).and()
      deepStrictEqual(told(seized.when(fallDue, at("10:00:16"))), ["1 call-info active * idle"])
      const telling = makeRegistry([
        callInfo({ timeoutNotification: false }),
        lineSeize({ timeoutNotification: true }),
      ])
      const loud = standing(watched.state, { packages: telling }).when(seizing(1, 2), at("10:00:01")).and()
      deepStrictEqual(told(loud.when(fallDue, at("10:00:16"))), [
        "2 line-seize terminated * idle",
        "1 call-info active * idle",
      ])
      const silent = standing(watched.state, { packages: telling })
      deepStrictEqual(told(silent.when(fallDue, at("11:00:00"))), [])
      deepStrictEqual(told(watched.when(fallDue, at("11:00:00"))), ["1 call-info terminated * idle"])
    },
  )

  it("a phone that is gone has given it back", { tags: ["SCA-7"] }, () => {
    const seized = watched.when(seizing(1, 2), at("10:00:01")).and()
    deepStrictEqual(told(seized.when(delivery(2, 1, refused(481)), at("10:00:02"))), [
      "1 call-info active * idle",
    ])
    const ended = seized.when(
      { _tag: "Terminate", packageName: "line-seize", watcher: null, reason: "deactivated" },
      at("10:00:02"),
    )
    deepStrictEqual(told(ended)[1], "1 call-info active * idle")
  })

  it("a refresh keeps it, and may ask for another one instead", { tags: ["SCA-8"] }, () => {
    const seized = watched.when(seizing(1, 2), at("10:00:01")).and()
    const kept = seized.when(again(2), at("10:00:10"))
    deepStrictEqual(told(kept), ["2 line-seize active 1 seized, * idle"])
    deepStrictEqual(told(kept.and().when(again(2, { argument: which(1), cseq: 3 }), at("10:00:20"))), [
      "2 line-seize active 1 seized, * idle",
    ])
    const two = seized.when(seizing(2, 3, carol), at("10:00:02")).and()
    two.when(again(2, { argument: which(2) }), at("10:00:03")).refused(480)
    deepStrictEqual(told(two.when(again(2, { argument: which(3) }), at("10:00:03"))), [
      "2 line-seize active 2 seized, 3 seized, * idle",
      "1 call-info active 2 seized, 3 seized, * idle",
      "3 line-seize active 2 seized, 3 seized, * idle",
    ])
  })

  it(
    "is shown as taken whatever is published of it, and as published again when it is given back",
    { tags: ["SCA-5"] },
    () => {
      const published = watched.when(
        publish({
          packageName: "call-info",
          headers: [["Call-Info", `${appearance(1, "active")}, ${appearance(2, "held")}`]],
        }),
        at("10:00:01"),
      )
      deepStrictEqual(told(published), ["1 call-info active 1 active, 2 held, * idle"])
      const seized = published.and().when(seizing(1, 3), at("10:00:02"))
      deepStrictEqual(told(seized)[1], "1 call-info active 1 seized, 2 held, * idle")
      const released = seized.and().when(again(3, { expires: 0 }), at("10:00:03"))
      deepStrictEqual(told(released)[1], "1 call-info active 1 active, 2 held, * idle")
    },
  )

  it(
    "who is blocked does not learn what is taken, and who takes nothing is not refused for it",
    { tags: ["SCA-6", "L24"] },
    () => {
      const seized = watched.when(seizing(1, 2), at("10:00:01")).and()
      for (const [treat, status] of [
        ["block", 403],
        ["polite-block", 200],
        ["confirm", 202],
      ] as const) {
        const { answer } = standing(seized.state, { packages, authorize: () => treat }).when(
          seizing(1, 3, carol),
          at("10:00:02"),
        )
        deepStrictEqual(
          answer._tag === "Rejected"
            ? answer.rejection.status
            : answer.reply._tag === "Subscribed" && answer.reply.status,
          status,
        )
      }
    },
  )

  it.for([
    [undefined, 400],
    [line, 400],
    ["nonsense", 400],
    [`${which(1)}, ${which(2)}`, 400],
    [`${line};appearance-index=*`, 400],
  ] as const)("Call-Info %s gets %i", { tags: ["SCA-9", "SUB-11"] }, ([argument, status]) => {
    const asked = subscribe({ packageName: "line-seize", ...(argument === undefined ? {} : { argument }) })
    watched.when(asked, at("10:00:01")).refused(status)
  })

  it("Call-Info of more than one line gets 400", { tags: ["SCA-9", "T5"] }, () => {
    const asked = subscribe({ packageName: "line-seize", argument: `${which(1)}\r\nX: y` })
    const why = "Call-Info is empty or not one line"
    watched.when(asked, at("10:00:01")).refused({ _tag: "BadRequest", status: 400, why })
  })

  it("giving back works whatever the header says, and asking once takes nothing", { tags: ["SCA-9"] }, () => {
    const seized = watched.when(seizing(1, 2), at("10:00:01")).and()
    deepStrictEqual(
      told(seized.when(again(2, { expires: 0, argument: "nonsense" }), at("10:00:02")))[1],
      "1 call-info active * idle",
    )
    const asked = subscribe({
      packageName: "line-seize",
      argument: which(1),
      expires: 0,
      dialog: dialogOf(3),
    })
    deepStrictEqual(told(seized.when(asked, at("10:00:02"))), ["3 line-seize terminated 1 seized, * idle"])
    deepStrictEqual(told(watched.when(asked, at("10:00:02"))), ["2 line-seize terminated * idle"])
  })

  it(
    "15 s are long enough for it, whatever the shortest subscription is",
    { tags: ["SCA-9", "3265-3.1.6.1-a"] },
    () => {
      const limits = { minExpiresSubscribe: 60 }
      const strict = standing(watched.state, { packages, limits })
      strict.when(seizing(1, 2), at("10:00:01")).answers({ _tag: "Subscribed", status: 200, expires: 15 })
      strict
        .when({ ...seizing(1, 2), expires: 5 }, at("10:00:01"))
        .refused({ _tag: "IntervalTooBrief", status: 423, minExpires: 15 })
    },
  )

  it("who is not decided on, or politely blocked, takes nothing", { tags: ["SCA-5", "5025-3.2.1-e"] }, () => {
    for (const treat of ["confirm", "polite-block"] as const) {
      const authorize = ({ watcher }: { readonly watcher: Uri }): SubHandling =>
        watcher === bob ? treat : "allow"
      const asked = standing(watched.state, { packages, authorize }).when(seizing(1, 2), at("10:00:01"))
      deepStrictEqual(told(asked).length, 1)
      deepStrictEqual(told(asked.and().when(seizing(1, 3, carol), at("10:00:02"))), [
        "3 line-seize active 1 seized, * idle",
        "1 call-info active 1 seized, * idle",
      ])
    }
  })

  it("the log and snapshots keep what was asked for", { tags: ["L04"] }, () => {
    const seized = watched.when(seizing(1, 2), at("10:00:01"))
    const moved = seized.and().when(again(2, { argument: which(2) }), at("10:00:02"))
    const events = [...seized.events, ...moved.events]
    deepStrictEqual(decodeEvents(JSON.parse(JSON.stringify(events))), events)
    const thawed = thaw(JSON.parse(JSON.stringify(freeze(moved.state))))
    deepStrictEqual(freeze(thawed), freeze(moved.state))
    const eventPackage = packages.find("call-info")!
    deepStrictEqual(currentView(thawed, eventPackage), currentView(moved.state, eventPackage))
    ok(
      currentView(thawed, eventPackage).headers?.[0]?.[1].includes(
        "appearance-index=2;appearance-state=seized",
      ),
    )
  })
})

describe("what a package checks of a PUBLISH", () => {
  const questions: PublicationQuestion[] = []
  const picky: EventPackage = {
    ...(callInfo() as EventPackage),
    checkPublication: (question) => {
      questions.push(question)
      return question.subscriptions.length > 0
        ? { _tag: "Forbidden", status: 403, why: "somebody is dialling" }
        : null
    },
  }
  const pickyWorld = standing(initial(alice), { packages: makeRegistry([picky, lineSeize()]) })
  const headers = [["Call-Info", appearance(1, "active")]] as const

  it(
    "each operation, with what it says and who has subscribed; a refusal changes nothing",
    { tags: ["OPS-evs_publ_handl", "PUB-12"] },
    () => {
      const asked = publish({ packageName: "call-info", headers, expires: 60 })
      const created = pickyWorld.when(asked, at("10:00:00"))
      const more = { packageName: "call-info", ifMatch: "n.1", expires: 60 }
      const held = [["Call-Info", appearance(1, "held")]] as const
      created.and().when(publish(more), at("10:00:01"))
      created.and().when(publish({ ...more, headers: held }), at("10:00:01"))
      created.and().when(publish({ ...more, expires: 0 }), at("10:00:01"))
      deepStrictEqual(
        questions.map(({ operation, expires, document }) => [operation, expires, document === null]),
        [
          ["initial", 60, false],
          ["refresh", 60, true],
          ["modify", 60, false],
          ["remove", 0, true],
        ],
      )
      deepStrictEqual([questions[0]?.presentity, questions[0]?.headers], [alice, headers])
      pickyWorld
        .when(seizing(1, 1), at("10:00:00"))
        .and()
        .when(asked, at("10:00:01"))
        .refused({ _tag: "Forbidden", status: 403, why: "somebody is dialling" })
      deepStrictEqual(questions.at(-1)?.subscriptions, [{ watcher: bob, argument: which(1) }])
    },
  )
})
