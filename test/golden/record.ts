/**
 * Records a golden log as today's code writes it, or what follows from one that is there:
 *
 *   node test/golden/record.ts NAME                plays the scenario, writes NAME/events.jsonl and all beside it
 *   node test/golden/record.ts NAME --expected     leaves the rows as they are, writes only what they mean today
 *   node test/golden/record.ts --shape             writes shape.json: the events and fields there are today
 *
 * Rows that are recorded are never recorded again: they are what some presently wrote, and must be read for ever.
 */
import { deepEqual } from "node:assert/strict"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { encryptDecision } from "../../src/adapters/store/encryption/encrypted-decision.ts"
import { sha256Hex } from "../../src/adapters/store/integrity/sha256.ts"
import type { About } from "../../src/domain/presentity/about.ts"
import type { Decision } from "../../src/domain/presentity/events.ts"
import { freeze } from "../../src/domain/presentity/snapshot.ts"
import { isEmpty } from "../../src/domain/presentity/state.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { eventFields } from "../../src/encoding/event-codec.ts"
import type { RecordedDecision } from "../../src/ports/event-store.ts"
import type { PersonKey } from "../../src/ports/stored-events.ts"
import { eventRows, expectedOf, meaningOf, momentsOf, sentOf } from "./golden.ts"
import type { EventRow, SnapshotRow } from "./golden.ts"
import { playScenario, withRetention, world } from "./scenario.ts"

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { expected: { type: "boolean", default: false }, shape: { type: "boolean", default: false } },
})
const [name] = positionals

/** Every part that may be known of a request, in full and by reference. */
const withAbout = (decision: Decision, index: number): Decision => {
  if (index % 5 !== 0) return decision
  const about: About =
    index % 2 === 0
      ? {
          command: `{"index":${index}}`,
          by: {
            account: "carol",
            identity: "sip:carol@example.com",
            from: "sip:carol@example.com",
            userAgent: "phone/1.0",
            source: "udp:192.0.2.9:5060",
          },
          request: `digest-${index}`,
          node: "north",
          epoch: 3,
          profile: '{"phone":"of carol"}',
        }
      : { by: 1, request: `digest-${index}`, node: "north", epoch: 3, profile: 1 }
  return { ...decision, about }
}

/** Whose request it was; null: the presentity's own. */
const requesterOf = ({ events }: Decision): Uri | null =>
  events.flatMap((event) => (event._tag === "SubscriptionCreated" ? [event.watcher] : []))[0] ?? null

const put = (file: string, text: string): void => writeFileSync(join(import.meta.dirname, file), text)
const lines = (rows: readonly unknown[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("")

if (values.shape) put("shape.json", `${JSON.stringify(eventFields(), null, 2)}\n`)
if (name !== undefined) {
  const isThere = existsSync(join(import.meta.dirname, name, "events.jsonl"))
  if (isThere !== values.expected)
    throw new Error(isThere ? `${name} is recorded: choose another name` : `there is no golden log ${name}`)
  mkdirSync(join(import.meta.dirname, name), { recursive: true })
  const shaped = values.expected ? expectedOf(name).world : world
  if (!values.expected) {
    const played = playScenario()
    const rowsOf = (log: readonly RecordedDecision[]): readonly EventRow[] =>
      log.map(({ position, decision }) => {
        const { at, events, ...row } = decision
        return {
          pos: position,
          at: new Date(at).toISOString(),
          ...row,
          events: JSON.parse(JSON.stringify(events)) as unknown,
        }
      })
    // what the engine sent is what a log says that it sent
    deepEqual(meaningOf(momentsOf(rowsOf(played.log), { world })).notifications, sentOf(played))
    const rows = rowsOf(withRetention(played.log))
    const keys = new Map<string, PersonKey>()
    const keyOf = (person: string): PersonKey => {
      const digest = sha256Hex(person)
      const id = Buffer.from(digest.slice(0, 24), "hex").toString("base64url")
      const key = { id, person, key: Buffer.from(digest + sha256Hex(digest), "hex") }
      keys.set(key.id, key)
      return key
    }
    const stored = withRetention(played.log).map(({ decision }, index) => {
      const { origin, stored: events } = encryptDecision(
        withAbout(decision, index),
        requesterOf(decision),
        keyOf,
      )
      return { ...rows[index], origin, events: JSON.parse(JSON.stringify(events)) as unknown }
    })
    put(join(name, "events.jsonl"), lines(stored))
    const hex = [...keys.values()].map(({ id, key }) => [id, Buffer.from(key).toString("hex")])
    put(join(name, "keys.json"), `${JSON.stringify(Object.fromEntries(hex), null, 1)}\n`)
    const halfWay = momentsOf(rows, { world }).slice(0, rows.length / 2)
    const states = new Map(halfWay.map(({ after }) => [after.presentity, after]))
    put(
      join(name, "snapshots.jsonl"),
      lines(
        [...states.values()].map((state): SnapshotRow => ({
          stream: state.presentity,
          version: state.version,
          state: isEmpty(state) ? null : freeze(state),
        })),
      ),
    )
  }
  const meaning = meaningOf(momentsOf(eventRows(name), { world: shaped }))
  put(join(name, "expected.json"), `${JSON.stringify({ world: shaped, ...meaning }, null, 1)}\n`)
}
