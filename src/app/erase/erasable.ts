/**
 * Whether a person can be erased from a store.
 */
import { Effect } from "effect"
import { saysOfPersons } from "../../adapters/store/encryption/about-texts.ts"
import { isPersonalOrigin, mapPersonalFields } from "../../adapters/store/encryption/personal-fields.ts"
import { decodeRow } from "../../adapters/store/encryption/stored-row.ts"
import { hasEarlierClear } from "../../adapters/store/encryption/stored-texts.ts"
import { retentionStream } from "../../domain/presentity/retention.ts"
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import type { ErasureStore } from "../../ports/log-retention.ts"
import { catchUp } from "../node/catch-up.ts"
import { EraseRefused } from "./erase-refused.ts"
import { scrubStorage, tablesUnwritten } from "./erasure-steps.ts"

export const requireErasable = Effect.fnUntraced(function* (log: LogAdmin["Service"], person: Uri) {
  const { erasure } = log
  if (
    person.startsWith("presently:") ||
    /^sip:erased-(?:[0-9a-f]{12}|[0-9a-f]{24}|[\w-]{16})@erased\.invalid$/.test(person)
  ) {
    return yield* new EraseRefused({ why: `${person} is no person` })
  }
  if (!(yield* erasure.isKnown(person))) {
    const [retention] = yield* log.store.load([retentionStream])
    if (retention?.retained?.erased !== undefined) yield* scrubStorage(log)
    return yield* new EraseRefused({ why: `the log knows nobody called ${person}` })
  }
  let count = 0
  let newest = 0n
  for (let after = 0n; ;) {
    const page = yield* erasure.clearRows(person, after)
    if (page.length === 0) break
    for (const row of page) {
      if (!isAbout(row, person)) continue
      count++
      newest = row.position
    }
    after = page.at(-1)!.position
  }
  if (count > 0) {
    return yield* new EraseRefused({
      why:
        `${count} decisions up to position ${newest} hold ${person} in clear, from when erasable was off; they are part of what ` +
        "the chain proves and cannot be changed: drop them first with presently compact --set retention=DAYS",
    })
  }
})

/** Decisions in the person's own stream from before encryption, which hold personal data in clear text. */
export interface Remains {
  readonly decisions: number
  /** Milliseconds since 1970: the oldest and the newest of them. */
  readonly from: Millis
  readonly to: Millis
  /** Of the newest of them. */
  readonly position: number
}

/**
 * What erasure cannot remove: before digests of what watchers were shown were encrypted, they stood in rows in clear text, and
 * the hash chain covers rows as they were written.
 */
export const remainsOf = Effect.fnUntraced(function* (erasure: ErasureStore, person: Uri) {
  let remains: Remains | null = null
  for (let after = 0n; ;) {
    const page = yield* erasure.earlierRows(person, after)
    if (page.length === 0) break
    for (const { position, at, origin, events } of page) {
      if (!hasEarlierClear(origin, events)) continue
      const before: Remains = remains ?? { decisions: 0, from: at, to: at, position: 0 }
      remains = {
        decisions: before.decisions + 1,
        from: Math.min(before.from, at),
        to: Math.max(before.to, at),
        position: Number(position),
      }
    }
    after = page.at(-1)!.position
  }
  return remains as Remains | null
})

/** Live subscriptions and publications are found in snapshots, so the snapshots must be complete. */
export const requireStopped = Effect.fnUntraced(function* (log: LogAdmin["Service"]) {
  if ((yield* log.erasure.servers) > 0) {
    return yield* new EraseRefused({
      why: "a server is at work on this database: ask it, with --admin HOST:PORT, or stop it first",
    })
  }
  if (!(yield* catchUp(log))) return yield* new EraseRefused({ why: tablesUnwritten })
})

/** Whether an unencrypted decision holds personal data. */
const isAbout = (
  { stream, origin, events }: { readonly stream: string; readonly origin: string; readonly events: unknown },
  person: Uri,
): boolean => {
  const isOwn = stream === person
  let found = isOwn && isPersonalOrigin(origin)
  const own = <A>(value: A): A => {
    found ||= isOwn
    return value
  }
  // digests from before encryption are counted separately (`remainsOf`)
  const shown = (digest: string): string => digest
  const theirs = (text: string, watcher: Uri | null): string => {
    found ||= watcher === person
    return text
  }
  const watcher = (uri: Uri): Uri => theirs(uri, uri) as Uri
  const touch = { body: own, header: own, shown, own, watcher, theirs, address: theirs }
  const { events: decoded, about } = decodeRow({ origin, nonce: "", events }, () => undefined)
  if (about !== undefined && saysOfPersons(about)) found ||= isOwn || JSON.stringify(about).includes(person)
  for (const event of decoded) mapPersonalFields(event, touch)
  return found
}
