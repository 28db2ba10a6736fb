/** The facts about sharing tags (`handle_subscribe(, tag)` of OpenSIPS). */

/** The state of a sharing tag on this server from now on. Only in the stream of tags. */
export interface SharingTagSet {
  readonly _tag: "SharingTagSet"
  readonly tag: string
  readonly role: SharingTagRole
  /** Rises with every switch of the tag. */
  readonly epoch: number
}

/** The subscriptions with this tag are put on standby, or are served again. */
export interface SharingTagSwitched {
  readonly _tag: "SharingTagSwitched"
  readonly tag: string
  readonly role: SharingTagRole
  readonly epoch: number
}

export type SharingTagRole = "active" | "backup"
