/** The state of polling one source of documents. */
import { Deferred, Semaphore } from "effect"
import type { IsUnread } from "../../../domain/presentity/context.ts"
import type { Millis, PackageName, Uri } from "../../../domain/vocabulary.ts"
import { keyOf } from "../../../ports/document-source.ts"
import type { DocumentChange, Trouble } from "../../../ports/document-source.ts"
import type { Pump } from "../pump.ts"
import type { DocumentKind, DocumentSource, Troubled } from "./source.ts"

export interface Polling {
  readonly source: DocumentSource
  readonly kind: DocumentKind
  readonly pump: Pump
  /** How long a start waits for it, and how long it may stay silent before it is reported unreachable. */
  readonly waitSeconds: number
  hasRead: boolean
  unreachable: { readonly why: string; readonly since: Millis } | null
  documents: number
  readonly counts: { looks: number; failures: number }
  /** By place and reason. */
  troubles: Map<string, Troubled>
  /** Packages whose part of the source cannot be read. */
  unreadPackages: ReadonlySet<PackageName>
  /** Documents that cannot be used, or are known but not yet in force. */
  readonly open: Map<string, DocumentChange | null>
  readonly refused: Map<string, { readonly text: string; readonly trouble: Trouble }>
  readonly lock: Semaphore.Semaphore
  readonly firstRead: Deferred.Deferred<void>
  readonly firstApplied: Deferred.Deferred<void>
  /** The start has stopped waiting for it. */
  hasGivenUp: boolean
  /** Why the last poll of a start failed. */
  lastWhy: string | null
  /** What the first poll removes because the source does not contain it. */
  unlisted: ReadonlySet<DocumentChange>
  /** The store was away when watchers should have been reviewed. */
  owesReview: boolean
}

export const newPolling = (parts: Pick<Polling, "source" | "kind" | "pump" | "waitSeconds">): Polling => ({
  ...parts,
  hasRead: false,
  unreachable: null,
  documents: 0,
  counts: { looks: 0, failures: 0 },
  troubles: new Map(),
  unreadPackages: new Set(),
  open: new Map(),
  refused: new Map(),
  lock: Semaphore.makeUnsafe(1),
  firstRead: Deferred.makeUnsafe<void>(),
  firstApplied: Deferred.makeUnsafe<void>(),
  hasGivenUp: false,
  lastWhy: null,
  unlisted: new Set(),
  owesReview: false,
})

export const isUnreadIn =
  (polling: Polling): IsUnread =>
  (presentity, packageName) =>
    polling.kind.decidesWhoWatches &&
    polling.kind.governs(packageName) &&
    (!polling.hasRead ||
      polling.unreadPackages.has(packageName) ||
      polling.open.has(keyOf({ packageName, presentity })))

/** The document in force; null if there is none. */
export const present = (
  { pump, kind }: Polling,
  presentity: Uri,
  packageName: PackageName,
): string | null => {
  const state = pump.engine.state(presentity)
  if (state === undefined) return null
  for (const [name, text] of kind.inForce(state)) if (name === packageName) return text
  return null
}

/** Documents and packages of which nothing is known. */
export const unreadKeys = ({ open, unreadPackages }: Polling): ReadonlySet<string> =>
  new Set([...open.keys(), ...unreadPackages])
