/**
 * Laws of documents that are partial and numbered: whatever is published, lost and held back, a watcher that reads as
 * RFC 4235 §4.3 says knows the calls there are.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { dialogInfo } from "../../src/domain/packages/dialog-info.ts"
import { dialogsInPresence } from "../../src/domain/packages/dialog-presence.ts"
import { presence } from "../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../src/domain/packages/registry.ts"
import { nextDeadline } from "../../src/domain/presentity/deadlines.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import { currentDocument } from "../../src/domain/presentity/view.ts"
import { get, values } from "../../src/domain/table.ts"
import {
  accepted,
  after,
  alice,
  at,
  bob,
  delivery,
  dialogOf,
  fallDue,
  publish,
  resubscribe,
  subscribe,
} from "../support/builders.ts"
import { afterReading, bodyOf, dialog, partial, read, states, written } from "../support/dialog-info.ts"
import type { ReaderTable } from "../support/dialog-info.ts"
import { standing } from "../support/given.ts"
import { bodyInShort } from "../support/ruled.ts"

const dialogs = dialogInfo({ xml: xmlCodec })
const packages = makeRegistry([
  dialogs,
  presence({ xml: xmlCodec, notifyOfflineBody: true, mixes: dialogsInPresence(dialogs) }),
])
const world = standing(initial(alice), { packages, limits: { endSubOnTimeout: false } })
const packageName = "dialog"

type Step =
  | {
      readonly _tag: "Publish"
      readonly device: number
      readonly text: string
      readonly expires: number
      readonly isLost: boolean
    }
  | { readonly _tag: "Watch" | "Refresh" | "Pass" | "Lose"; readonly which: number }

const anyText = fc
  .tuple(
    fc.boolean(),
    fc.array(
      fc.tuple(fc.constantFrom("1", "2", "3"), fc.constantFrom(...states), fc.constantFrom(null, "c1", "c2")),
      {
        maxLength: 3,
      },
    ),
  )
  .map(([isPartial, list]) => {
    const inside = [
      ...new Map(list.map(([id, state, callId]) => [id, dialog(id, state, callId)])).values(),
    ].join("")
    return isPartial ? partial(inside) : written(inside)
  })

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      _tag: fc.constant("Publish" as const),
      device: fc.nat(1),
      text: anyText,
      expires: fc.constantFrom(0, 4, 3600, 3600),
      isLost: fc.constantFrom(false, false, false, true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      _tag: fc.constantFrom("Watch" as const, "Refresh" as const, "Pass" as const, "Lose" as const),
      which: fc.nat(3),
    }),
  },
)

interface Watcher {
  readonly no: number
  readonly dialog: number
  cseq: number
  versions: number[]
  table: ReaderTable
  /** It missed one, so what it knows is only right again after the next full document. */
  isBehind: boolean
}

describe("dialog documents", () => {
  it(
    "who reads them knows the calls there are, and their numbers have no gap",
    { tags: ["OPS-aux_body_processing", "L32", "L33", "4235-3.7-a", "4235-4.1-a", "4235-4.3-a"] },
    () => {
      let partials = 0
      fc.assert(
        fc.property(fc.array(anyStep, { minLength: 4, maxLength: 30 }), (steps) => {
          let now = at("10:00:00")
          let here = world
          const watchers: Watcher[] = []
          const tags = new Map<number, string>()
          let loses = false

          const take = (sent: readonly Notify[]): void => {
            for (const { no, cseq, body, state } of sent) {
              const watcher = watchers.find((one) => one.no === no)
              if (watcher === undefined || state !== "active") continue
              ok(body !== null, "phones take a NOTIFY without body for a fault")
              const document = read(body.text)
              watcher.versions.push(document.version ?? 0)
              deepStrictEqual(document.entity, alice)
              if (document.state === "partial") partials++
              if (loses) {
                watcher.isBehind = true
                turn(here.when(delivery(no, cseq, { _tag: "TimedOut" }), now))
                continue
              }
              if (document.state === "full") watcher.isBehind = false
              watcher.table = afterReading(watcher.table, document)
              turn(here.when(delivery(no, cseq, accepted()), now))
            }
          }
          const turn = (outcome: ReturnType<typeof world.when>): void => {
            here = outcome.and()
            take(outcome.sent)
          }
          const pass = (until: number): void => {
            for (;;) {
              const due = nextDeadline(here.state)
              if (due === null || due > until) break
              now = due
              turn(here.when(fallDue, now))
            }
            now = until
          }

          for (const [index, step] of steps.entries()) {
            pass(now + 300)
            loses = false
            if (step._tag === "Publish") {
              loses = step.isLost
              const ifMatch = tags.get(step.device)
              const outcome = here.when(
                publish({
                  packageName,
                  ...(ifMatch === undefined ? {} : { ifMatch }),
                  body: bodyOf(step.text),
                  expires: step.expires,
                }),
                now,
              )
              const { answer } = outcome
              if (answer._tag === "Accepted" && answer.reply._tag === "Published" && step.expires > 0)
                tags.set(step.device, answer.reply.entityTag)
              else tags.delete(step.device)
              turn(outcome)
            } else if (step._tag === "Watch") {
              const outcome = here.when(subscribe({ packageName, dialog: dialogOf(index) }), now)
              watchers.push({
                no: here.state.version + 1,
                dialog: index,
                cseq: 1,
                versions: [],
                table: new Map(),
                isBehind: false,
              })
              turn(outcome)
            } else if (step._tag === "Refresh") {
              const watcher = watchers[step.which % Math.max(1, watchers.length)]
              if (watcher !== undefined)
                turn(here.when(resubscribe(watcher.dialog, { packageName, cseq: ++watcher.cseq }), now))
            } else if (step._tag === "Lose") {
              loses = true
              pass(now + 1500)
            } else pass(now + [0, 999, 1000, 5000][step.which]!)
          }
          loses = false
          pass(now + 6000)
          const present = currentDocument(here.state, dialogs) as ReturnType<typeof read>
          const truth = afterReading(new Map(), read(dialogs.render(present).text))
          for (const watcher of watchers) {
            deepStrictEqual(watcher.versions, [...watcher.versions.keys()])
            const one = get(here.state.subscriptions, watcher.no)
            // told in vain and nothing has changed since: nobody sends it again (RFC 6665 §4.2.2)
            if (one === undefined || one.shown === "") continue
            ok(!watcher.isBehind, "a partial document went to somebody who missed one")
            deepStrictEqual(watcher.table, truth)
          }
          for (const one of values(here.state.subscriptions)) deepStrictEqual(one.dueAt, null)
        }),
        { numRuns: 400 },
      )
      ok(partials > 100, "partial documents are sent")
    },
  )

  it(
    "whose device made the last change itself is told everything next, as it was not told that",
    { tags: ["L33", "BLA-3"] },
    () => {
      const begun = world.when(
        publish({ packageName, body: bodyOf(written(dialog("1", "early"))) }),
        at("10:00:00"),
      )
      const lamp = begun.and().when(subscribe({ packageName, dialog: dialogOf(1) }), at("10:00:01"))
      const device = dialogOf(1).remoteTarget
      const own = lamp
        .and()
        .when(
          publish({
            packageName,
            ifMatch: "n.1",
            body: bodyOf(written(dialog("1", "confirmed"))),
            sender: device,
          }),
          at("10:00:10"),
        )
        .sends()
      const next = own
        .and()
        .when(publish({ packageName, body: bodyOf(written(dialog("2", "early"))) }), at("10:00:20"))
      deepStrictEqual(
        next.sent.map(({ body }) => read(body!.text).state),
        ["full"],
      )
    },
  )

  it(
    "a modification that says only what changed leaves the rest, and a dialog that it names again is there again",
    { tags: ["4235-4.1-a", "4235-4.1.1-a"] },
    () => {
      const first = world.when(
        publish({
          packageName,
          body: bodyOf(written(dialog("1", "early", "c1") + dialog("2", "confirmed"))),
        }),
        at("10:00:00"),
      )
      const over = first
        .and()
        .when(
          publish({ packageName, ifMatch: "n.1", body: bodyOf(partial(dialog("1", "terminated", "c1"))) }),
          at("10:00:01"),
        )
      const again = over
        .and()
        .when(
          publish({ packageName, ifMatch: "n.2", body: bodyOf(partial(dialog("1", "early", "c1"))) }),
          at("10:00:02"),
        )
      const shown = again.and().when(subscribe({ packageName }), at("10:00:03")).sent[0]!
      const known = afterReading(new Map(), read(shown.body!.text))
      deepStrictEqual([...known.keys()], ["2", "1"])
    },
  )
})

describe("calls in presence", () => {
  const ringing = publish({ packageName, body: bodyOf(written(dialog("1", "early"))), expires: 60 })

  it("one publication with one ringing call is open, never closed", { tags: ["BUG-14"] }, () => {
    const seen = world
      .when(ringing, at("10:00:00"))
      .and()
      .when(subscribe({ packageName: "presence" }), at("10:00:01"))
    deepStrictEqual(bodyInShort(seen.sent[0]!.body), "tuple_mixingid=open")
  })

  it(
    "watchers of presence are told of calls, of their end by a PUBLISH and by time",
    { tags: ["AGG-5", "L36"] },
    () => {
      const watching = world.when(subscribe({ packageName: "presence", watcher: bob }), at("10:00:00"))
      deepStrictEqual(bodyInShort(watching.sent[0]!.body), "offline=closed")
      const rings = watching.and().when(ringing, at("10:00:10"))
      deepStrictEqual(
        rings.sent.map(({ body }) => bodyInShort(body)),
        ["tuple_mixingid=open"],
      )
      const expired = rings.and().when(fallDue, at("10:01:10"))
      deepStrictEqual(
        expired.sent.map(({ body }) => bodyInShort(body)),
        ["offline=closed"],
      )
      const removed = rings.and().when(publish({ packageName, ifMatch: "n.2", expires: 0 }), after("20 s"))
      deepStrictEqual(
        removed.sent.map(({ body }) => bodyInShort(body)),
        ["offline=closed"],
      )
    },
  )

  it("what is published stays beside the call", { tags: ["AGG-5"] }, () => {
    const text =
      '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com"><tuple id="desk"><status><basic>closed</basic></status></tuple></presence>'
    const body = { contentType: "application/pidf+xml", text }
    const seen = world
      .when(publish({ packageName: "presence", body }), at("10:00:00"))
      .and()
      .when(ringing, at("10:00:10"))
      .and()
      .when(subscribe({ packageName: "presence" }), at("10:00:20"))
    deepStrictEqual(bodyInShort(seen.sent[0]!.body), "desk=closed tuple_mixingid=open")
  })
})
