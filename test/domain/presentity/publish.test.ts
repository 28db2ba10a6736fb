/**
 * PUBLISH: every row of the publication's life and of its decision table.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Rejection } from "../../../src/domain/presentity/commands.ts"
import { size, values } from "../../../src/domain/table.ts"
import type { Body } from "../../../src/domain/vocabulary.ts"
import {
  after,
  at,
  away,
  bob,
  busy,
  fallDue,
  notified,
  open,
  publicationCreated,
  publicationModified,
  publicationRefreshed,
  publicationRemoved,
  publish,
  published,
  subscribed,
} from "../../support/builders.ts"
import { given, publishedAs, standing, tag } from "../../support/given.ts"
import { packages, text } from "../../support/stub-package.ts"

const unlimited = { limits: { notifyIntervalMillis: 0 } }
const badEvent: Rejection = { _tag: "BadEvent", status: 489, allowEvents: packages.allowEvents }
const notText: Body = { contentType: "application/pidf+xml", text: "open" }
const broken = text("!open")

describe("an initial PUBLISH", () => {
  it("is kept for the time granted, under a new entity-tag", { tags: ["3903-6-n", "P1"] }, () => {
    given()
      .when(publish({ body: open, expires: 600 }), at("10:00:30"))
      .gives(publicationCreated(tag(1), open, { expiresAt: at("10:10:30") }))
      .answers(publishedAs(tag(1), 600))
      .sends()
  })

  it(
    "without Expires gets the package's default",
    { tags: ["OPS-pres_ev.default_expires", "3903-6-h"] },
    () => {
      given()
        .when(publish({ body: open }), at("10:00:00"))
        .gives(publicationCreated(tag(1), open, { expiresAt: at("11:00:00") }))
        .answers(publishedAs(tag(1), 3600))
    },
  )

  it("is never granted more than the maximum, nor more than it asked", { tags: ["3903-6-i"] }, () => {
    given()
      .and({ limits: { maxExpiresPublish: 100 } })
      .when(publish({ body: open, expires: 4294967295 }), at("10:00:00"))
      .gives(publicationCreated(tag(1), open, { expiresAt: after("100 s") }))
      .answers(publishedAs(tag(1), 100))
    given()
      .and({ limits: { maxExpiresPublish: 100 } })
      .when(publish({ body: open, expires: 99 }), at("10:00:00"))
      .answers(publishedAs(tag(1), 99))
  })

  it(
    "with Expires 0 stores nothing and tells nobody; its entity-tag is dead",
    { tags: ["3903-6-m", "P2"] },
    () => {
      const outcome = given(subscribed(1))
        .when(publish({ body: open, expires: 0 }), at("10:00:30"))
        .gives()
        .answers(publishedAs(tag(2), 0))
        .sends()
      standing(outcome.state)
        .when(publish({ ifMatch: tag(2) }), at("10:00:31"))
        .refused(412)
    },
  )

  it("leaves other publications alone and is composed with them", { tags: ["3903-4.2-b"] }, () => {
    given(published("tag-1", open), subscribed(2, bob, open))
      .and(unlimited)
      .when(publish({ body: busy, expires: 3600 }), at("10:00:00"))
      .gives(publicationCreated(tag(3), busy), notified("active", busy))
      .sends("2/2 active;expires=3600 busy")
  })

  it("is put off with 503 when the presentity has too many", { tags: ["3903-9-a"] }, () => {
    const full = given(published("tag-1", open), published("tag-2", busy)).and({
      limits: { publicationsMax: 2, retryAfter: 7 },
    })
    full.when(publish({ body: away }), at("10:00:30")).refused({
      _tag: "ServiceUnavailable",
      status: 503,
      why: "too many publications for this presentity",
      retryAfter: 7,
    })
    // the bound is on new ones, per package, and not on what would not be stored
    full.when(publish({ body: away, ifMatch: "tag-1" }), at("10:00:30")).answers(publishedAs(tag(3), 3600))
    full.when(publish({ body: away, expires: 0 }), at("10:00:30")).answers(publishedAs(tag(3), 0))
    full
      .when(publish({ body: away, packageName: "stub-all" }), at("10:00:30"))
      .answers(publishedAs(tag(3), 3600))
  })
})

describe("a PUBLISH that names an entity-tag", () => {
  const one = given(published("tag-1", open, { sender: "sip:phone@192.0.2.30" }), subscribed(2, bob, open))

  it("refreshes: new tag, new deadline, nobody is told", { tags: ["3903-4.3-a", "P3"] }, () => {
    one
      .when(publish({ ifMatch: "tag-1", expires: 60 }), at("10:30:00"))
      .gives(publicationRefreshed("tag-1", tag(3), at("10:31:00")))
      .answers(publishedAs(tag(3), 60))
      .sends()
  })

  it("modifies exactly that publication", { tags: ["3903-4.4-a", "P4"] }, () => {
    one
      .when(
        publish({ ifMatch: "tag-1", body: busy, expires: 60, sender: "sip:pad@192.0.2.31" }),
        at("10:30:00"),
      )
      .gives(
        publicationModified("tag-1", tag(3), busy, {
          expiresAt: at("10:31:00"),
          sender: "sip:pad@192.0.2.31",
        }),
        notified("active", busy),
      )
      .answers(publishedAs(tag(3), 60))
      .sends("2/2 active;expires=1800 busy")
  })

  it("modifying to the same content tells nobody", { tags: ["L19"] }, () => {
    one
      .when(publish({ ifMatch: "tag-1", body: text("open") }), at("10:00:30"))
      .gives(publicationModified("tag-1", tag(3), text("open"), { expiresAt: at("11:00:30") }))
      .sends()
  })

  it("removes at once, and shows the ended form in that one NOTIFY", { tags: ["3903-4.5-a", "P5"] }, () => {
    one
      .when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:00:30"))
      .gives(publicationRemoved("tag-1", "requested"), notified("active", "nothing"))
      .answers(publishedAs(tag(3), 0))
      .sends("2/2 active;expires=3570 -open")
  })

  it(
    "removes without asking whether the body beside Expires 0 could be read",
    { tags: ["3903-4.5-a"] },
    () => {
      const removal = [publicationRemoved("tag-1", "requested"), notified("active", "nothing")]
      for (const body of [open, broken, notText]) {
        one.when(publish({ ifMatch: "tag-1", expires: 0, body }), at("10:00:30")).gives(...removal)
      }
    },
  )

  it(
    "a superseded, removed or expired tag is refused with 412 for ever",
    { tags: ["3903-6-g", "P7", "P8"] },
    () => {
      const refreshed = one.when(publish({ ifMatch: "tag-1" }), at("10:10:00")).and()
      refreshed.when(publish({ ifMatch: "tag-1" }), at("10:10:01")).refused({
        _tag: "ConditionalRequestFailed",
        status: 412,
      })
      const removed = one.when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:10:00")).and()
      for (const old of ["tag-1", tag(3)]) {
        removed.when(publish({ ifMatch: old, body: busy }), at("10:10:01")).refused(412)
      }
      const expired = one.when(fallDue, at("11:00:00")).and()
      expired.when(publish({ ifMatch: "tag-1" }), at("11:00:00")).refused(412)
    },
  )

  it(
    "a tag means nothing under another package; the asterisk is a tag like any",
    { tags: ["3903-4.1-a"] },
    () => {
      one.when(publish({ ifMatch: "tag-1", packageName: "stub-all" }), at("10:00:30")).refused(412)
      one.when(publish({ ifMatch: "*" }), at("10:00:30")).refused(412)
      one.when(publish({ ifMatch: "TAG-1" }), at("10:00:30")).refused(412)
    },
  )

  it("keeps its tag where the package says so", { tags: ["OPS-etag_not_new", "BLA-5"] }, () => {
    const kept = given(published("tag-1", open, { packageName: "stub-kept" }))
    kept
      .when(publish({ ifMatch: "tag-1", packageName: "stub-kept", expires: 60 }), at("10:00:00"))
      .gives(publicationRefreshed("tag-1", "tag-1", after("60 s"), "stub-kept"))
      .answers(publishedAs("tag-1", 60))
    const modified = kept
      .when(publish({ ifMatch: "tag-1", packageName: "stub-kept", body: busy, expires: 60 }), at("10:00:00"))
      .gives(
        publicationModified("tag-1", "tag-1", busy, { packageName: "stub-kept", expiresAt: after("60 s") }),
      )
    modified
      .and()
      .when(publish({ ifMatch: "tag-1", packageName: "stub-kept", expires: 0 }), at("10:00:01"))
      .gives(publicationRemoved("tag-1", "requested", "stub-kept"))
      .answers(publishedAs(tag(3), 0))
  })

  it("is announced that much less and lives its full time", { tags: ["OPS-expires_offset"] }, () => {
    const early = given(published("tag-1", open)).and({ limits: { expiresOffset: 20 } })
    early
      .when(publish({ ifMatch: "tag-1", expires: 60 }), at("10:00:00"))
      .gives(publicationRefreshed("tag-1", tag(2), after("60 s")))
      .answers(publishedAs(tag(2), 40))
    // never 0 while it lives
    early.when(publish({ ifMatch: "tag-1", expires: 20 }), at("10:00:00")).answers(publishedAs(tag(2), 1))
    early.when(publish({ ifMatch: "tag-1", expires: 0 }), at("10:00:00")).answers(publishedAs(tag(2), 0))
  })
})

describe("a PUBLISH that cannot be taken", () => {
  it(
    "without package, of an unknown one, or of a template gets 489",
    { tags: ["OPS-pres_ev.type", "3903-6-e", "3903-11.1.1-a"] },
    () => {
      for (const packageName of [null, "nonesuch", "Stub", "stub.winfo"]) {
        given()
          .when(publish({ packageName, body: open }), at("10:00:30"))
          .refused(badEvent)
      }
    },
  )

  it(
    "shorter than the minimum gets 423 with Min-Expires; 0 is never too short",
    { tags: ["3903-6-j"] },
    () => {
      const strict = given(published("tag-1", open)).and({ limits: { minExpiresPublish: 60 } })
      const tooBrief: Rejection = { _tag: "IntervalTooBrief", status: 423, minExpires: 60 }
      for (const expires of [1, 59]) {
        strict.when(publish({ ifMatch: "tag-1", expires }), at("10:00:30")).refused(tooBrief)
        strict.when(publish({ body: open, expires }), at("10:00:30")).refused(tooBrief)
      }
      for (const expires of [0, 60, 61]) {
        strict
          .when(publish({ ifMatch: "tag-1", expires }), at("10:00:30"))
          .answers(publishedAs(tag(2), expires))
      }
    },
  )

  it(
    "of a foreign type gets 415 with Accept, of an unreadable body 400",
    { tags: ["OPS-content_type", "3903-6-k"] },
    () => {
      const one = given(published("tag-1", open))
      for (const ifMatch of [[], ["tag-1"]]) {
        one
          .when(publish({ ifMatch, body: notText }), at("10:00:30"))
          .refused({ _tag: "UnsupportedMediaType", status: 415, accept: ["text/plain"] })
        one
          .when(publish({ ifMatch, body: broken }), at("10:00:30"))
          .refused({ _tag: "BadRequest", status: 400, why: "it starts with !" })
        const bodyFault: Rejection = {
          _tag: "UnsupportedEncoding",
          status: 415,
          acceptEncoding: ["identity"],
        }
        one.when(publish({ ifMatch, bodyFault }), at("10:00:30")).refused(bodyFault)
        one.when(publish({ ifMatch, bodyFault, body: open }), at("10:00:30")).refused(bodyFault)
      }
    },
  )

  it("initial and without body gets 400", { tags: ["3903-6-l"] }, () => {
    given().when(publish(), at("10:00:30")).refused(400)
    given()
      .when(publish({ expires: 0 }), at("10:00:30"))
      .refused(400)
  })

  it("with several faults is answered for the first in the order of steps", { tags: ["3903-6-p"] }, () => {
    const strict = given(published("tag-1", open)).and({ limits: { minExpiresPublish: 60 } })
    const worst = { packageName: "nonesuch", ifMatch: ["a", "b"], expires: 1, body: notText } as const
    const two = { ...worst, packageName: "stub" } as const
    const unknown = { ...two, ifMatch: ["a"] } as const
    const known = { ...two, ifMatch: ["tag-1"] } as const
    const long = { ...known, expires: 60 } as const
    const readable = { ...long, body: broken } as const
    for (const [command, status] of [
      [worst, 489],
      [two, 400],
      [unknown, 412],
      [known, 423],
      [long, 415],
      [readable, 400],
    ] as const) {
      strict.when(publish(command), at("10:00:30")).refused(status)
    }
  })
})

/** Table S3, cell by cell, written down here a second time. */
describe("the PUBLISH table", () => {
  const tags = { none: [], live: ["tag-1"], dead: ["tag-0"], two: ["tag-1", "tag-0"] } as const
  const bodies = { none: null, good: busy, foreign: notText, broken } as const
  const lifetimes = { absent: null, zero: 0, short: 59, ok: 60, long: 86_400 } as const
  type Cell = readonly [keyof typeof tags, keyof typeof bodies, keyof typeof lifetimes]

  const expected = ([named, body, lifetime]: Cell): string => {
    if (named === "two") return "400"
    if (named === "dead") return "412"
    if (lifetime === "short") return "423"
    if (named === "live" && lifetime === "zero") return "remove 0"
    const granted = { absent: 3600, zero: 0, ok: 60, long: 7200 }[lifetime]
    if (body === "foreign") return "415"
    if (body === "broken") return "400"
    if (body === "none") return named === "none" ? "400" : `refresh ${granted}`
    if (named === "live") return `modify ${granted}`
    return lifetime === "zero" ? "nothing 0" : `create ${granted}`
  }

  const operation = (events: number): string => ["remove", "nothing", "create"][events + 1] ?? "more"

  const cells = Object.keys(tags).flatMap((named) =>
    Object.keys(bodies).flatMap((body) =>
      Object.keys(lifetimes).map((lifetime) => [named, body, lifetime] as unknown as Cell),
    ),
  )

  it.each([0, 1, 5])("80 cells, with %i other publications", { tags: ["L18"] }, (others) => {
    const live = published("tag-1", open)
    const around = Array.from({ length: others }, (_, index) => published(`other-${index}`, away))
    const world = given(live, ...around).and({ limits: { minExpiresPublish: 60, maxExpiresPublish: 7200 } })
    const found = cells.map((cell) => {
      const [named, body, lifetime] = cell
      const command = publish({ ifMatch: tags[named], body: bodies[body], expires: lifetimes[lifetime] })
      return [cell, described(world, command, others)]
    })
    deepStrictEqual(
      found,
      cells.map((cell) => [cell, expected(cell)]),
    )
    deepStrictEqual(cells.length, 80)
  })

  const described = (
    world: ReturnType<typeof given>,
    command: ReturnType<typeof publish>,
    others: number,
  ): string => {
    const outcome = world.when(command, at("10:00:30"))
    let status: number | null = null
    let granted = -1
    for (const expires of [0, 60, 3600, 7200]) {
      try {
        outcome.answers(publishedAs(tag(others + 2), expires))
        granted = expires
      } catch {
        // another lifetime
      }
    }
    for (const code of [400, 412, 415, 423, 489] as const) {
      try {
        outcome.refused(code)
        status = code
      } catch {
        // another status
      }
    }
    if (status !== null) return `${status}`
    const grown = values(outcome.state.publications).reduce((sum, table) => sum + size(table), 0) - others - 1
    if (grown !== 0) return `${operation(grown)} ${granted}`
    const isRefresh = command.body === null
    return `${outcome.state.version === others + 1 ? "nothing" : isRefresh ? "refresh" : "modify"} ${granted}`
  }
})
