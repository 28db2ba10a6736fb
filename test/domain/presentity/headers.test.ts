/**
 * Headers of a PUBLISH that belong to what it publishes, and packages whose publications need no body.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { passThrough } from "../../../src/domain/packages/pass-through.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Publish } from "../../../src/domain/presentity/commands.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import { presentityRow } from "../../../src/domain/projections/rows.ts"
import { isHeaderValue } from "../../../src/domain/vocabulary.ts"
import type { EntityTag, Header } from "../../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../../src/encoding/event-codec.ts"
import {
  alice,
  at,
  busy,
  dialogOf,
  fallDue,
  open,
  publish,
  resubscribe,
  setHardState,
  subscribe,
} from "../../support/builders.ts"
import { publishedAs, standing, tag } from "../../support/given.ts"
import type { World } from "../../support/given.ts"

const types = { contentTypes: ["text/plain"], carriedHeaders: ["X-State", "Call-Info"] }
const packages = makeRegistry([
  passThrough({ name: "both", ...types }),
  passThrough({ name: "either", ...types, bodyRequired: false }),
])
const limits: Partial<World["limits"]> = { notifyIntervalMillis: 0 }
const world = standing(initial(alice), { packages, limits })

const state = (value: string): Header => ["X-State", value]
const asked = (over: Parameters<typeof publish>[0] = {}): Publish =>
  publish({ packageName: "either", expires: 600, ...over })

/** Bob watches, and is told of what there is. */
const watched = (packageName: string) => world.when(subscribe({ packageName }), at("10:00:00"))

/** What the NOTIFYs show, in headers and body. */
const shown = (outcome: {
  readonly sent: readonly { readonly headers?: readonly Header[]; readonly body: unknown }[]
}) => outcome.sent.map(({ headers = [], body }) => [...headers.map(([, value]) => value), body])

describe("headers of publications", () => {
  it(
    "stand in the NOTIFYs that show the publication, and a change of header is news",
    { tags: ["OPS-extra_hdrs"] },
    () => {
      const first = watched("both")
        .and()
        .when(asked({ packageName: "both", body: open, headers: [state("a")] }), at("10:00:01"))
      deepStrictEqual(shown(first), [["a", open]])
      const again = first
        .and()
        .when(
          asked({ packageName: "both", body: open, headers: [state("b")], ifMatch: tag(2) }),
          at("10:00:02"),
        )
      deepStrictEqual(shown(again), [["b", open]])
      const same = again
        .and()
        .when(
          asked({ packageName: "both", body: open, headers: [state("b")], ifMatch: tag(3) }),
          at("10:00:03"),
        )
      deepStrictEqual(shown(same), [])
      const without = same
        .and()
        .when(asked({ packageName: "both", body: open, ifMatch: tag(4) }), at("10:00:04"))
      deepStrictEqual([shown(without), "headers" in without.sent[0]!], [[[open]], false])
    },
  )

  it(
    "those of the newest publication, and of the next one when it ends",
    { tags: ["OPS-extra_hdrs"] },
    () => {
      const two = watched("both")
        .and()
        .when(asked({ packageName: "both", body: open, headers: [state("a")] }), at("10:00:01"))
        .and()
        .when(asked({ packageName: "both", body: open, headers: [state("b")], expires: 60 }), at("10:00:02"))
      deepStrictEqual(shown(two), [["b", open]])
      deepStrictEqual(shown(two.and().when(fallDue, at("10:01:02"))), [["a", open]])
    },
  )

  it(
    "without a body they alone are another, and the body stays; unchanged they are a refresh",
    { tags: ["OPS-extra_hdrs", "PUB-17"] },
    () => {
      const first = watched("both")
        .and()
        .when(asked({ packageName: "both", body: busy, headers: [state("a")] }), at("10:00:01"))
        .and()
      deepStrictEqual(
        shown(
          first.when(asked({ packageName: "both", ifMatch: tag(2), headers: [state("b")] }), at("10:00:02")),
        ),
        [["b", busy]],
      )
      first
        .when(asked({ packageName: "both", ifMatch: tag(2), headers: [state("a")] }), at("10:00:02"))
        .gives({
          _tag: "PublicationRefreshed",
          packageName: "both",
          entityTag: tag(3) as EntityTag,
          supersedes: tag(2) as EntityTag,
          expiresAt: at("10:10:02"),
        })
    },
  )

  it(
    "one can be all there is to a publication, where the package has that",
    { tags: ["OPS-mandatory_body", "PUB-9"] },
    () => {
      const first = watched("either")
        .and()
        .when(asked({ headers: [state("a")] }), at("10:00:01"))
      first.answers(publishedAs(tag(2), 600)).gives(
        {
          _tag: "PublicationCreated",
          packageName: "either",
          entityTag: tag(2) as EntityTag,
          expiresAt: at("10:10:01"),
          body: null,
          headers: [state("a")],
          sender: null,
        },
        ...first.events.slice(1),
      )
      deepStrictEqual(shown(first), [["a", null]])
      const ended = first.and().when(asked({ ifMatch: tag(2), expires: 0 }), at("10:00:02"))
      deepStrictEqual(shown(ended), [[null]])
      const why = "a publication without entity-tag needs a X-State or Call-Info or body"
      world.when(asked(), at("10:00:01")).refused({ _tag: "BadRequest", status: 400, why })
      world.when(asked({ headers: [["Subject", "a"]] }), at("10:00:01")).refused(400)
      world.when(asked({ packageName: "both", headers: [state("a")] }), at("10:00:01")).refused(400)
    },
  )

  it(
    "of several with one name all are kept, in order; what the package does not carry is not",
    { tags: ["OPS-extra_hdrs"] },
    () => {
      const headers: readonly Header[] = [state("a"), ["Call-Info", "<sip:h>"], ["Subject", "no"], state("b")]
      const outcome = watched("either").and().when(asked({ headers }), at("10:00:01"))
      deepStrictEqual(outcome.sent[0]?.headers, [state("a"), ["Call-Info", "<sip:h>"], state("b")])
      deepStrictEqual(
        presentityRow(outcome.state, "either", tag(2))?.extra_hdrs,
        "X-State: a\r\nCall-Info: <sip:h>\r\nX-State: b\r\n",
      )
      deepStrictEqual(presentityRow(outcome.state, "either", tag(2))?.body, "")
    },
  )

  it(
    "no value ever breaks a line: it is refused, or it is one line of octets",
    { tags: ["OPS-extra_hdrs", "T5"] },
    () => {
      const anyValue = fc.oneof(
        fc.string({ unit: "binary", maxLength: 12 }),
        fc.string({
          unit: fc.constantFrom("a", " ", "\t", "\r", "\n", "\0", "é", "\u010a", "\u010d"),
          maxLength: 6,
        }),
      )
      fc.assert(
        fc.property(anyValue, (value) => {
          const outcome = watched("either")
            .and()
            .when(asked({ headers: [state(value)] }), at("10:00:01"))
          if (!isHeaderValue(value)) {
            outcome.refused({ _tag: "BadRequest", status: 400, why: "X-State is empty or not one line" })
            return
          }
          const line = Buffer.from(outcome.sent[0]!.headers![0]![1], "latin1").toString("latin1")
          deepStrictEqual([line, line.trim(), /[\r\n\0]/.test(line)], [value, value, false])
        }),
      )
      ok(["a", "é", "a\tb", "<sip:h>;x=1"].every(isHeaderValue))
      deepStrictEqual(["", " ", "a ", "\ta", "a\nb", "a\r\nb", "\u010a", "\x7f"].some(isHeaderValue), false)
    },
  )

  it("the log and snapshots keep them", { tags: ["L04", "OPS-extra_hdrs"] }, () => {
    const { events, state: after } = world.when(asked({ headers: [state("a"), state("b")] }), at("10:00:01"))
    const modified = { ...events[0], _tag: "PublicationModified", supersedes: "x", body: open } as Event
    deepStrictEqual(decodeEvents(JSON.parse(JSON.stringify([...events, modified]))), [...events, modified])
    const snapshot = freeze(after)
    deepStrictEqual(freeze(thaw(JSON.parse(JSON.stringify(snapshot)))), snapshot)
  })

  it(
    "a watcher that has them is spared them, one that has others is not",
    { tags: ["5839-6.2-b", "OPS-extra_hdrs"] },
    () => {
      const first = watched("either")
        .and()
        .when(asked({ headers: [state("a")] }), at("10:00:01"))
      const suppressIfMatch = first.sent[0]!.entityTag!
      const call = { packageName: "either", expires: 600, suppressIfMatch } as const
      first
        .and()
        .when(resubscribe(1, call), at("10:00:02"))
        .answers({ _tag: "Subscribed", status: 204, expires: 600 })
        .sends()
      const changed = first.and().when(asked({ ifMatch: tag(2), headers: [state("b")] }), at("10:00:02"))
      deepStrictEqual(shown(changed.and().when(resubscribe(1, call), at("10:00:03"))), [["b", null]])
      // outside a dialog a NOTIFY goes, without what she has
      const fresh = { packageName: "either", suppressIfMatch, dialog: dialogOf(3) }
      deepStrictEqual(shown(first.and().when(subscribe(fresh), at("10:00:03"))), [[null]])
    },
  )

  it("hard state has none", { tags: ["OPS-extra_hdrs"] }, () => {
    const { state: after } = world.when(setHardState(open, "either"), at("10:00:00"))
    deepStrictEqual(
      shown(standing(after, { packages }).when(subscribe({ packageName: "either" }), at("10:00:01"))),
      [[open]],
    )
  })
})
