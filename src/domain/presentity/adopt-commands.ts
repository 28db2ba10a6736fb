/** The commands that continue what was alive at another server (`presently import`). */
import type { Body, DialogStart, EntityTag, Header, Millis, PackageName, Uri } from "../vocabulary.ts"
import type { Status, TakenOver } from "./events.ts"

/** Continues a live publication of another server, under the entity-tag that its publisher knows. */
export interface AdoptPublication {
  readonly _tag: "AdoptPublication"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly expiresAt: Millis
  readonly receivedAt: Millis
  readonly body: Body | null
  /** Headers that the package does not carry are ignored. Absent: none. */
  readonly headers?: readonly Header[]
  readonly sender: string | null
}

/** Continues a live subscription of another server, in the dialog that its watcher knows. */
export interface AdoptSubscription {
  readonly _tag: "AdoptSubscription"
  readonly packageName: PackageName
  readonly eventId: string | null
  readonly watcher: Uri
  /** As the other server decided; rules in force here take precedence. */
  readonly status: Status
  readonly polite: boolean
  /** Including this server's grace period. */
  readonly expiresAt: Millis
  readonly dialog: DialogStart
  readonly takenOver: TakenOver
}

/** A watcher that waits at another server for a decision, without a subscription, waits here from now on. */
export interface AdoptWatcher {
  readonly _tag: "AdoptWatcher"
  readonly packageName: PackageName
  readonly watcher: Uri
  readonly createdAt: Millis
}
