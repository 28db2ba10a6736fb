/**
 * Checks the seals of a log against its public key and against the hashes of its rows.
 *
 * Whether rows match their hashes is checked in `check-chain.ts`.
 */
import { verify } from "node:crypto"
import type { KeyObject } from "node:crypto"
import { Effect } from "effect"
import { digestOfRows, isSigned, noDigest } from "../../adapters/store/integrity/signed-seals.ts"
import { droppedDocumentsText, droppedText, retentionStream } from "../../domain/presentity/retention.ts"
import type { Retained } from "../../domain/presentity/retention.ts"
import type { Seal, SealStore } from "../../ports/log-audit.ts"
import { signatureColumn } from "./folded.ts"
import type { LogFinding } from "./folded.ts"
import { oneByOne } from "./one-by-one.ts"

export interface SealReport {
  readonly seals: number
  /** Position of the newest seal; null: there is none. */
  readonly position: number | null
  readonly at: number | null
  /** Decisions since then, which no seal covers. */
  readonly unsealed: number
  /** Seals of dropped decisions, of which only the signature can be checked. */
  readonly dropped: number
}

/** Before the first position that the database can write: somebody may have put a seal where none belongs. */
const beforeAll = -(2n ** 63n)

/** @param retained what the log records as dropped; it must be signed as well to count */
export const checkSeals = Effect.fnUntraced(function* (
  seals: SealStore,
  key: KeyObject,
  begun: bigint,
  retained: Retained,
  findings: LogFinding[],
) {
  const droppedTo = BigInt(retained.position)
  let before: Pick<Seal, "position" | "digest"> = { position: begun, digest: noDigest }
  let count = 0
  let dropped = 0
  let newest: Seal | null = null
  const rows = oneByOne(seals.hashes, ({ position }) => position, begun)
  for (
    let page = yield* seals.after(beforeAll);
    page.length > 0;
    page = yield* seals.after(page.at(-1)!.position)
  ) {
    for (const seal of page) {
      const faults: string[] = []
      if (!isSigned(seal, key)) findings.push(foreign(seal))
      if (seal.previous !== before.position) {
        faults.push(`it follows ${seal.previous}, and the one before it is ${before.position}`)
      }
      const digest = digestOfRows(before.digest)
      let found = 0n
      for (
        let row = yield* rows.peek;
        row !== null && row.position <= seal.position;
        row = yield* rows.peek
      ) {
        digest.add(row)
        found++
        rows.take()
      }
      if (seal.previous < droppedTo) dropped++
      else if (found !== seal.rows) {
        faults.push(`it is of ${seal.rows} decisions since ${seal.previous}, and there are ${found}`)
      } else if (Buffer.compare(digest.end(), seal.digest) !== 0) {
        faults.push(`a decision after ${seal.previous} is not the one that was sealed`)
      }
      for (const fault of faults)
        findings.push(finding("seals", `position ${seal.position}`, "digest", fault))
      before = seal
      newest = seal
      count++
    }
  }
  findings.push(...unsignedFindings(retained, key, dropped > 0, newest !== null))
  let unsealed = 0
  for (let row = yield* rows.peek; row !== null; row = yield* rows.peek) {
    unsealed++
    rows.take()
  }
  const report: SealReport = {
    seals: count,
    position: newest === null ? null : Number(newest.position),
    at: newest?.at ?? null,
    unsealed,
    dropped,
  }
  return report
})

const unsignedFindings = (
  retained: Retained,
  key: KeyObject,
  isSealed: boolean,
  hasSeals: boolean,
): readonly LogFinding[] => {
  const none = "there is none, so nobody has signed anything here"
  return [
    ...unsignedIn(retained, key, isSealed).map((found) =>
      finding("events", retentionStream, signatureColumn, found),
    ),
    ...(hasSeals ? [] : [finding("seals", "position", signatureColumn, none)]),
  ]
}

const foreign = ({ position }: Seal): LogFinding =>
  finding("seals", `position ${position}`, signatureColumn, "its signature is not that of this key")

const finding = (table: "events" | "seals", key: string, column: string, found: string): LogFinding => ({
  table,
  key,
  column,
  log: null,
  found,
})

/** Decisions that were dropped without a signed record. */
const unsignedIn = (retained: Retained, key: KeyObject, isSealed: boolean): readonly string[] => {
  const isOf = (text: string, signature: string | undefined): boolean =>
    signature !== undefined && verify(null, Buffer.from(text), key, Buffer.from(signature, "hex"))
  const documents = retained.documents
    .filter((documents) => !isOf(droppedDocumentsText(documents), documents.signature))
    .map(({ packageName }) => `that documents of ${packageName} were dropped is not signed with this key`)
  return isSealed && !isOf(droppedText(retained), retained.signature)
    ? ["that sealed decisions were dropped is not signed with this key", ...documents]
    : documents
}
