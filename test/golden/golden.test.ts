/**
 * Logs that some presently once wrote: today's code reads them, and they mean what they meant.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { isDecidable, reconstructCommand } from "../../src/domain/history/reconstruct-command.ts"
import type { About } from "../../src/domain/presentity/about.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../src/domain/presentity/snapshot.ts"
import { initial, isEmpty } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { decodeEvents, eventFields } from "../../src/encoding/event-codec.ts"
import { worldOf } from "../../src/explain/case/world.ts"
import { eventRows, expectedOf, goldenLogs, meaningOf, momentsOf, snapshotRows } from "./golden.ts"

const newest = goldenLogs().at(-1)!

/** What to do about a failure here. */
const whatNow =
  "rows that are in somebody's database must go on meaning what they mean: let src/encoding/upcast.ts bring older ones up to date. " +
  "Only when documents are meant to look otherwise from now on: node test/golden/record.ts NAME --expected, and say so in CHANGELOG.md"

describe.each(goldenLogs())("golden log %s", (name) => {
  const rows = eventRows(name)
  const expected = expectedOf(name)

  it("gives the rows of the three tables, and every NOTIFY, that were recorded", { tags: ["L03"] }, () => {
    assert.ok(rows.length > 10)
    const { tables, notifications } = meaningOf(momentsOf(rows, expected))
    assert.deepEqual(tables, expected.tables, whatNow)
    assert.deepEqual(notifications, expected.notifications, whatNow)
    assert.ok(Object.values(tables).every((some) => some.length > 0))
  })

  it("gives the same from its snapshots on", { tags: ["L03"] }, () => {
    const snapshots = new Map(snapshotRows(name).map((row) => [row.stream, row]))
    const fromStart = new Map(momentsOf(rows, expected).map(({ after }) => [after.presentity, after]))
    const states = new Map<Uri, State>()
    for (const { stream: of, version, at, events } of rows) {
      const stream = of as Uri
      const snapshot = snapshots.get(of)
      if (snapshot !== undefined && version <= snapshot.version) continue
      const begin: State =
        snapshot === undefined
          ? initial(stream)
          : snapshot.state === null
            ? { ...initial(stream), version: snapshot.version }
            : thaw(snapshot.state as Snapshot)
      const decision = { version, at: Date.parse(at), events: decodeEvents(events) }
      states.set(stream, fold(states.get(stream) ?? begin, decision))
    }
    for (const [stream, state] of states) {
      const whole = fromStart.get(stream)!
      // of nothing a snapshot keeps only the version
      if (!isEmpty(whole)) assert.deepEqual(freeze(state), freeze(whole), whatNow)
    }
  })
})

describe("golden logs", () => {
  it("today's code decides the newest as it was decided", { tags: ["L03"] }, () => {
    const expected = expectedOf(newest)
    let decided = 0
    for (const { before, decision, position } of momentsOf(eventRows(newest), expected)) {
      if (!isDecidable(before, decision)) continue
      decided++
      const reconstructed = reconstructCommand(before, decision, worldOf(expected.world))
      assert.ok(reconstructed !== null, `position ${position}`)
      assert.deepEqual(
        reconstructed.outcome.events,
        decision.events,
        `position ${position} (${decision.cause})`,
      )
    }
    assert.ok(decided > 150, `only ${decided}`)
  })

  it("a change of events has a golden log that shows it", { tags: ["L03"] }, () => {
    const pinned = JSON.parse(readFileSync(join(import.meta.dirname, "shape.json"), "utf8")) as unknown
    assert.deepEqual(
      eventFields(),
      pinned,
      "events have changed. 1. Rows without the change must go on being read: what cannot be absent gets an upcaster in " +
        "src/encoding/upcast.ts. 2. Let test/golden/scenario.ts use it, and record a log: node test/golden/record.ts NNNN-name. " +
        "3. node test/golden/record.ts --shape. 4. Say so in CHANGELOG.md under Log format",
    )
  })

  it("the newest uses every event there is, with every field it can have", { tags: ["L03"] }, () => {
    const used = new Map<string, Set<string>>()
    for (const { events } of eventRows(newest)) {
      for (const event of events as readonly Record<string, unknown>[]) {
        const fields = used.get(String(event["_tag"])) ?? new Set()
        for (const field of Object.keys(event)) fields.add(field)
        used.set(String(event["_tag"]), fields)
      }
    }
    for (const [tag, fields] of Object.entries(eventFields())) {
      assert.deepEqual(
        fields.map((field) => field.replace("?", "")),
        [...(used.get(tag) ?? [])].sort(),
        `${tag}: let test/golden/scenario.ts use it, and record another log`,
      )
    }
  })

  it(
    "the newest holds every part of what may be known of a request, in full and by reference",
    { tags: ["L03"] },
    () => {
      const abouts = eventRows(newest).flatMap(({ about }) => (about === undefined ? [] : [about]))
      const parts = (about: About): string => Object.keys(about).sort().join()
      const kinds = [...new Set(abouts.map(parts))].sort()
      assert.deepEqual(kinds, ["by,command,epoch,node,profile,request", "by,epoch,node,profile,request"])
      const whole = abouts.find(({ command }) => command !== undefined)
      assert.deepEqual(whole?.by, {
        account: "carol",
        identity: "sip:carol@example.com",
        from: "sip:carol@example.com",
        userAgent: "phone/1.0",
        source: "udp:192.0.2.9:5060",
      })
      assert.match(String(whole?.command), /^\{"index":\d+\}$/)
      assert.match(String(whole?.request), /^digest-\d+$/)
    },
  )

  it("rows of an older shape are brought up to date, and only those", { tags: ["L03"] }, () => {
    const created = { _tag: "SubscriptionTerminated", no: 1, reason: "timeout", silent: false }
    assert.deepEqual(decodeEvents([created]), [{ ...created, waitsUntil: null }])
    assert.deepEqual(decodeEvents([{ ...created, waitsUntil: 5 }]), [{ ...created, waitsUntil: 5 }])
    assert.throws(() => decodeEvents([{ ...created, waitsUntil: "soon" }]))
    assert.throws(() => decodeEvents({ 0: created }))
    assert.throws(() => decodeEvents([null]))
  })
})
