/**
 * What encrypting a decision costs, and reading it: microseconds of processor time, without a database.
 *
 *   node bench/cipher.ts [--other DIR] [--runs 9]
 *
 * --other: another checkout beside this one; both in turn, with the ratio of each pair.
 */
import { join } from "node:path"
import { parseArgs } from "node:util"
import type * as sealed from "../src/adapters/store/encryption/encrypted-decision.ts"
import type * as codec from "../src/adapters/store/encryption/stored-row.ts"
import type * as proof from "../src/adapters/store/integrity/hash-chain.ts"
import type { Decision, Event } from "../src/domain/presentity/events.ts"
import type { EntityTag, Uri } from "../src/domain/vocabulary.ts"

const { values } = parseArgs({
  options: { other: { type: "string" }, runs: { type: "string", default: "9" } },
})

type Sealed = typeof sealed
type Proof = typeof proof
type Codec = typeof codec

const alice = "sip:alice@example.com" as Uri
const bob = "sip:bob@example.com" as Uri
const document = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}">${"x".repeat(400)}</presence>`

const told: Event = {
  _tag: "NotificationsIssued",
  packageName: "presence",
  to: "active",
  except: [],
  suppressed: [],
  shown: "27v5nwl6kez",
  cause: "change",
}
const decisions: Readonly<Record<string, readonly [Decision, Uri | null]>> = {
  "PUBLISH that modifies, with NOTIFYs": [
    decisionOf("Publish", [
      {
        _tag: "PublicationModified",
        packageName: "presence",
        entityTag: "n2.1" as EntityTag,
        supersedes: "n1.1" as EntityTag,
        expiresAt: 1_800_000_000_000,
        body: { contentType: "application/pidf+xml", text: document },
        sender: "sip:alice@192.0.2.20:5060",
      },
      told,
    ]),
    null,
  ],
  "PUBLISH that refreshes": [
    decisionOf("Publish", [
      {
        _tag: "PublicationRefreshed",
        packageName: "presence",
        entityTag: "n2.1" as EntityTag,
        supersedes: "n1.1" as EntityTag,
        expiresAt: 1_800_000_000_000,
      },
    ]),
    null,
  ],
  "SUBSCRIBE that refreshes, with its NOTIFY": [
    decisionOf("Resubscribe", [
      {
        _tag: "SubscriptionRefreshed",
        no: 1,
        expiresAt: 1_800_000_000_000,
        remoteCseq: 2,
        remoteTarget: null,
      },
      { ...told, to: [1], cause: "subscribe" },
    ]),
    bob,
  ],
  "NOTIFYs of a change held back": [
    { ...decisionOf("FallDue", [{ ...told, cause: "rate" }]), origin: "" },
    null,
  ],
}

function decisionOf(cause: string, events: readonly Event[]): Decision {
  return {
    stream: alice,
    version: 2,
    at: 1_795_000_000_000,
    cause,
    origin: "udp:192.0.2.20:5060 a84b4c76e66710@192.0.2.20 100",
    nonce: "5f0c1d2e3a4b",
    events,
  }
}

const rounds = 20_000

const cpuOf = (work: () => void): number => {
  for (let round = 0; round < rounds / 10; round++) work()
  const before = process.cpuUsage()
  for (let round = 0; round < rounds; round++) work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / rounds
}

/** By what is measured. */
const makeBench = async (folder: string) => {
  const from = (name: string): string => join(folder, "src/adapters/store", name)
  const { newPersonKey, encryptDecision: sealDecision } = (await import(
    from("encryption/encrypted-decision.ts")
  )) as Sealed
  const { encodeWithDigest } = (await import(from("integrity/hash-chain.ts"))) as Proof
  const { decodeRow } = (await import(from("encryption/stored-row.ts"))) as Codec
  const keys = new Map([alice, bob].map((person) => [person as string, newPersonKey(person)]))
  const byId = new Map([...keys.values()].map((key) => [key.id, key]))
  const keyOf = (person: string) => keys.get(person)!
  return Object.entries(decisions).flatMap(([name, [decision, requester]]) => {
    const write = () => {
      const { origin, stored } = sealDecision(decision, requester, keyOf)
      return { ...decision, origin, ...encodeWithDigest({ ...decision, origin, events: stored }) }
    }
    const { encoded, ...row } = write()
    const json = { ...row, events: JSON.parse(encoded) as unknown }
    const read = decodeRow as (row: typeof json, keyOf: (id: string) => unknown, only?: "events") => unknown
    return [
      { name: `write: ${name}`, octets: encoded.length + row.origin.length, work: () => void write() },
      { name: `read: ${name}`, octets: 0, work: () => void read(json, (id) => byId.get(id)) },
      { name: `fold: ${name}`, octets: 0, work: () => void read(json, (id) => byId.get(id), "events") },
    ]
  })
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((one, other) => one - other)[Math.floor(numbers.length / 2)] ?? 0

const here = await makeBench(join(import.meta.dirname, ".."))
const other = values.other === undefined ? null : await makeBench(values.other)
for (const [index, { name, octets, work }] of here.entries()) {
  const ours: number[] = []
  const theirs: number[] = []
  for (let run = 0; run < Number(values.runs); run++) {
    const turns = [
      () => ours.push(cpuOf(work)),
      () => other !== null && theirs.push(cpuOf(other[index]!.work)),
    ]
    for (const turn of run % 2 === 0 ? turns : turns.toReversed()) turn()
  }
  const ratios = theirs.map((figure, run) => (ours[run] ?? 0) / figure)
  const weight = octets === 0 ? "" : `, ${octets} octets`
  console.log(
    other === null
      ? `${name}: ${median(ours).toFixed(1)} µs${weight}`
      : `${name}: ${median(theirs).toFixed(1)} → ${median(ours).toFixed(1)} µs, ×${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})${octets === 0 ? "" : `, ${other[index]!.octets} → ${octets} octets`}`,
  )
}
