/**
 * What is known of the request behind a decision, beyond its events and its origin. It decides nothing: no state and no NOTIFY depends
 * on it.
 *
 * Every part may be absent. A part that is long and rarely changes (`by`, `profile`) stands in full in the first decision of a dialog or
 * device that it is true of; later ones say the version of that decision.
 */
export interface About {
  /** What the command was beyond what its events say, as JSON. */
  readonly command?: string
  /** Who asked; a number: whoever asked for the decision of that version of the stream. */
  readonly by?: Requester | number
  /** A digest of Call-ID, From tag and CSeq, by which a request that comes again is recognized. */
  readonly request?: string
  /** The node that answered, where a log has several. */
  readonly node?: string
  /** The epoch of the writer, where the position does not tell it. */
  readonly epoch?: number
  /** What the phone can do; a number: as in the decision of that version of the stream. */
  readonly profile?: string | number
}

/** Who sent a request, as far as the request and the server that took it say. */
export interface Requester {
  /** The account that the request was authenticated for. */
  readonly account?: string
  /** The address that is proven: a trusted proxy asserts it (RFC 3325), or it is that of the account, where that is somebody else. */
  readonly identity?: string
  /** The URI in From (RFC 3261 §20.20). */
  readonly from?: string
  /** RFC 3261 §20.41. */
  readonly userAgent?: string
  /** Where it came from, when `origin` says something else. */
  readonly source?: string
}
