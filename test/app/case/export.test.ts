/**
 * Cases from a store: from the landmark on that was kept of what was dropped, and from the one before what is asked for; and
 * of every package there is, under stand-ins.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { describe, it } from "vitest"
import { makeAnonymizer } from "../../../src/app/case/anonymize.ts"
import { exportStream } from "../../../src/app/case/export-case.ts"
import { nodeSha256 } from "../../../src/app/case/node-sha256.ts"
import { makeCaseWriter } from "../../../src/app/case/write.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { replay } from "../../../src/explain/case/replay.ts"
import { worldOf } from "../../../src/explain/case/world.ts"
import type { RecordedDecision } from "../../../src/ports/event-store.ts"
import { playScenario, withRetention, world } from "../../golden/scenario.ts"
import { alice } from "../../support/builders.ts"
import { headerOf, readCase } from "../../support/case.ts"

const made = worldOf(world)
const log = playScenario().log

/** A store that has lost the decisions of a stream up to a version, and kept a landmark there. */
const storeWithout = (upTo: number, all: readonly RecordedDecision[] = log) => {
  const rows = all.filter(({ decision }) => decision.stream === alice)
  const stateAt = (version: number): State =>
    rows.slice(0, version).reduce((state, { decision }) => fold(state, decision), initial(alice))
  return {
    history: (_: string, after: number, max: number) =>
      Effect.succeed(
        rows.filter(({ decision: { version } }) => version > Math.max(after, upTo)).slice(0, max),
      ),
    landmarkBefore: (_: string, version: number) =>
      Effect.succeed(upTo > 0 && version >= upTo ? stateAt(upTo) : null),
    landmarkAt: (_: string, at: number) => {
      const { length } = rows.filter(({ decision }) => decision.at <= at)
      return Effect.succeed(length < upTo ? null : stateAt(length))
    },
  }
}

const exported = (upTo: number, since: number | null, all: readonly RecordedDecision[] = log) => {
  const lines: string[] = []
  const writer = makeCaseWriter(headerOf({ world }), made, (line) => void lines.push(line))
  const place = since === null ? null : ({ _tag: "Instant", at: since } as const)
  const found = Effect.runSync(
    exportStream(storeWithout(upTo, all), alice, writer, { since: place, until: null }),
  )
  writer.end()
  return { found, items: readCase(lines.join("")) }
}

const recordedIn = ({ items }: ReturnType<typeof exported>): readonly RecordedDecision[] =>
  items.flatMap((item) => (item._tag === "decision" ? [item.recorded] : []))

describe("a case from a store", () => {
  it("begins with what was kept of decisions that were dropped", { tags: ["OPS-case"] }, () => {
    const [whole, rest] = [exported(0, null), exported(40, null)]
    assert.ok(whole.found && rest.found)
    assert.deepEqual(recordedIn(rest), recordedIn(whole).slice(40))
    // and ends alike
    const last = (of: typeof whole): string =>
      of.items.flatMap((item) => (item._tag === "end-of-stream" ? [item.state] : []))[0]!
    assert.equal(last(rest), last(whole))
  })

  it("holds what happened at the instant it begins with, and nothing before", { tags: ["OPS-case"] }, () => {
    const whole = recordedIn(exported(0, null))
    for (const { decision } of [whole[0]!, whole[50]!, whole.at(-1)!]) {
      const expected = whole.filter((one) => one.decision.at >= decision.at)
      assert.deepEqual(recordedIn(exported(0, decision.at)), expected)
    }
    assert.equal(exported(0, whole.at(-1)!.decision.at + 1).found, false)
  })

  it(
    "says in full who asked in the first decision that refers to an earlier one",
    { tags: ["OPS-case"] },
    () => {
      const begin = recordedIn(exported(0, null))[50]!.decision
      for (const by of [{ account: "alice" }, undefined]) {
        const referring = log.map((recorded): RecordedDecision => {
          const { decision } = recorded
          if (decision.stream !== alice) return recorded
          const known = decision.version === 1 ? (by === undefined ? {} : { by }) : { by: 1 }
          return { ...recorded, decision: { ...decision, about: { ...known, request: "r" } } }
        })
        const found = recordedIn(exported(0, begin.at, referring)).map(({ decision }) => decision)
        assert.ok(found.length > 2)
        const { version: first } = found[0]!
        for (const { version, about } of found) {
          const expected = by === undefined ? {} : { by: version === first ? by : first }
          assert.deepEqual(about, { ...expected, request: "r" })
        }
      }
    },
  )

  /** With what else may be known of its request. */
  const withAbout = (recorded: RecordedDecision): RecordedDecision => ({
    ...recorded,
    decision: { ...recorded.decision, about: { by: { account: "alice" }, request: "of alice", profile: 1 } },
  })

  it(
    "of every package there is, under stand-ins: comes out again, and is decided as it was",
    { tags: ["OPS-case"] },
    () => {
      for (const some of [log, withRetention(log)]) {
        const lines: string[] = []
        const writer = makeCaseWriter(
          headerOf({ world, anonymized: true }),
          made,
          (line) => void lines.push(line),
        )
        const anonymizer = makeAnonymizer(made)
        for (const stream of new Set(some.map(({ decision }) => decision.stream))) {
          writer.stream(anonymizer.stream(initial(stream)))
          for (const one of some)
            if (one.decision.stream === stream) writer.decision(anonymizer.decision(withAbout(one)))
          writer.endStream()
        }
        writer.end()
        const text = lines.join("")
        assert.doesNotMatch(text, /alice|carol|grace|sip:line|"vip"|192\.0\.2\./i)
        const seen = new Map<string, number>()
        const options = { stream: null, until: null, drift: true, supposition: null, sha256: nodeSha256 }
        for (const { _tag } of replay(readCase(text), options)) seen.set(_tag, (seen.get(_tag) ?? 0) + 1)
        assert.equal(seen.get("Step"), some.length)
        assert.deepEqual([seen.get("Unequal") ?? 0, seen.get("Drift") ?? 0], [0, 0])
        // only where documents were dropped there is something nobody can decide
        assert.equal(seen.has("Undecidable"), some !== log)
      }
    },
  )
})
