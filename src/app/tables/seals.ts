/**
 * The seals of a log against its public key and against the hashes of its rows.
 *
 * That rows are what their hashes say is the chain's business (`chain.ts`).
 */
import type { KeyObject } from "node:crypto"
import { Effect } from "effect"
import { digestOfRows, isSigned, noDigest } from "../../adapters/store/seals.ts"
import type { RowHash, Seal, Seals } from "../../adapters/store/seals.ts"
import type { LogFinding } from "./fold.ts"

export interface SealReport {
  readonly seals: number
  /** Of the newest one; null: there is none. */
  readonly position: number | null
  readonly at: number | null
  /** Decisions since then, which nobody has signed. */
  readonly unsealed: number
  /** Seals of decisions that were dropped, of which only the signature can be checked. */
  readonly dropped: number
}

/** @param droppedTo rows up to this position were dropped in order, or some of them */
export const checkSeals = Effect.fnUntraced(function* (
  seals: Seals,
  key: KeyObject,
  begun: bigint,
  droppedTo: bigint,
  findings: LogFinding[],
) {
  let before: Pick<Seal, "position" | "digest"> = { position: begun, digest: noDigest }
  let count = 0
  let dropped = 0
  let newest: Seal | null = null
  const rows = rowReader(seals, begun)
  for (
    let page = yield* seals.after(-1n);
    page.length > 0;
    page = yield* seals.after(page.at(-1)!.position)
  ) {
    for (const seal of page) {
      const faults: string[] = []
      if (!isSigned(seal, key)) faults.push("its signature is not that of this key")
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
      for (const found_ of faults) {
        findings.push({
          table: "seals",
          key: `position ${seal.position}`,
          column: "digest",
          log: null,
          found: found_,
        })
      }
      before = seal
      newest = seal
      count++
    }
  }
  if (newest === null) {
    const found = "there is none, so nobody has signed anything here"
    findings.push({ table: "seals", key: "position", column: "position", log: null, found })
  }
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

/** Rows by position, one at a time. */
const rowReader = (seals: Seals, begun: bigint) => {
  let page: readonly RowHash[] = []
  let next = 0
  let after = begun
  return {
    peek: Effect.gen(function* () {
      if (next >= page.length) {
        page = yield* seals.hashes(after)
        next = 0
        after = page.at(-1)?.position ?? after
      }
      return page[next] ?? null
    }),
    take: (): void => void next++,
  }
}
