/**
 * The facts about publications of one presentity. They are part of the storage contract in `events.ts`.
 */
import type { Body, EntityTag, Header, Millis, PackageName } from "../vocabulary.ts"

export interface PublicationCreated {
  readonly _tag: "PublicationCreated"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly expiresAt: Millis
  /** Null for packages whose state is in headers. */
  readonly body: Body | null
  /** Headers of the PUBLISH that belong to the publication. Absent: none. */
  readonly headers?: readonly Header[]
  /** The SHA-256 of headers that retention has dropped. Absent: none were dropped. */
  readonly droppedHeaders?: string
  readonly sender: string | null
  /**
   * What identifies the device that published it (`deviceIn` in `adapters/sip/device.ts`); kept through modifications.
   * Absent: nothing does, or the log is older than this.
   */
  readonly device?: string
  /** As in `Order`: 0. Absent: its package does not need it, or the log is older than this. */
  readonly after?: number
  /** When it was received by the server from which it was taken over. Absent: at the instant of the decision. */
  readonly receivedAt?: Millis
}

export interface PublicationModified {
  readonly _tag: "PublicationModified"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly supersedes: EntityTag
  readonly expiresAt: Millis
  /** Null for packages whose state is in headers. */
  readonly body: Body | null
  /** Headers of the PUBLISH that belong to the publication. Absent: none. */
  readonly headers?: readonly Header[]
  /** The SHA-256 of headers that retention has dropped. Absent: none were dropped. */
  readonly droppedHeaders?: string
  readonly sender: string | null
  /**
   * As in `Order`: the decision that issued the superseded entity-tag. Absent: its package does not need it, or the log is
   * older than this.
   */
  readonly after?: number
}

export interface PublicationRefreshed {
  readonly _tag: "PublicationRefreshed"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  readonly supersedes: EntityTag
  readonly expiresAt: Millis
}

export interface PublicationRemoved {
  readonly _tag: "PublicationRemoved"
  readonly packageName: PackageName
  readonly entityTag: EntityTag
  /** `replaced`: its device published anew, without its entity-tag. */
  readonly cause: "requested" | "expired" | "replaced"
  /** The Contact URI of the device that removed it. Absent: unknown, or no device did. */
  readonly sender?: string
}
