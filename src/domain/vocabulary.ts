/**
 * The vocabulary of the domain: identifiers, instants, bodies, dialogs, watchers.
 *
 * Only shapes that several folders use belong here, with no behaviour except making keys and small checks.
 */

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** A canonical presentity or watcher URI (`sip:user@host`, `tel:number`): two equal URIs are the same string. */
export type Uri = Branded<string, "Uri">
/** A SIP-ETag value: a token, compared byte by byte (RFC 3903 §12). */
export type EntityTag = Branded<string, "EntityTag">
/** An event package name as in the Event header, with registered parameters (`presence`, `dialog;sla`). */
export type PackageName = string
/**
 * Identifies a subscription within its presentity: the version of the decision that created it, so it is never reused.
 */
export type SubscriptionNo = number
/** Identifies a dialog within its presentity: the number of the subscription that created it. */
export type DialogNo = number
/** A place in the log: the number of a decision over all streams; 0 is before the first. */
export type Position = number
/** Milliseconds since 1970-01-01T00:00:00Z, in the chronology of the log. */
export type Millis = number
/** Whole seconds, as on the wire. */
export type Seconds = number

/** A document as transferred: its media type in lower case without parameters, and its text. */
export interface Body {
  readonly contentType: string
  /** Parameters of the media type, as written and without `charset` (`boundary=xyz`). Absent: none. */
  readonly parameters?: string
  readonly text: string
  /**
   * The SHA-256, in hex, of a text that retention has dropped from the log; the text is then empty. Absent: not
   * dropped.
   */
  readonly dropped?: string
}

/**
 * A header that belongs to a publication: its name as spelt by the package (`Call-Info`), and its value on one line.
 */
export type Header = readonly [name: string, value: string]

/**
 * Whether a value can stand in a header line and be parsed again: one line of octets without control characters (RFC
 * 3261 §25.1).
 *
 * Text above U+00FF has no octet of its own; truncated to one octet it could end the line.
 */
export const isHeaderValue = (text: string): boolean =>
  /^[\t\x20-\x7e\x80-\xff]+$/.test(text) && !/^[\t ]|[\t ]$/.test(text)

/**
 * Why NOTIFYs are sent to the source of the newest SUBSCRIBE, or over its connection, and not to its Contact:
 *
 * - `ob`: the Contact has the parameter `ob`, or `reg-id` (RFC 5626 §4.3, §5.3)
 * - `invalid`: its host is under `.invalid`, a name that no DNS has (RFC 7118 §5, RFC 2606)
 * - `private`: its address is private, and the source is another one (RFC 1918, 6598, 4193, 3927, 1122)
 * - `nat`: its host is the one in Via, with `rport`, and the source is another one (RFC 3581)
 * - `alias`: its parameter `alias` or `received` names the address, and is believed
 * - `source`: the operator's setting says so
 * - `silence`: the Contact has not answered, and never did
 *
 * `contact`: the operator's setting says that NOTIFYs go to the Contact, except over the connection of the newest
 * SUBSCRIBE while it is open.
 */
export type Reach = "ob" | "invalid" | "private" | "nat" | "alias" | "source" | "silence" | "contact"

/** Where a SUBSCRIBE of a dialog arrived, and what follows for the requests that we send in it. */
export interface Arrival {
  /** The URI in our Contact. */
  readonly localContact: string
  /** The socket on which the SUBSCRIBE arrived: `udp:192.0.2.10:5060`. */
  readonly flow: string
  /** The source address of the SUBSCRIBE: `192.0.2.20:5060`; empty: not known. */
  readonly source: string
  /**
   * Why NOTIFYs do not follow RFC 3261 §12.2.1.1. Absent: they do, and over a stream (`flow`) take the connection of
   * the SUBSCRIBE while it is open.
   */
  readonly reach?: Reach
}

/**
 * What is needed to send requests inside a dialog.
 *
 * @source RFC 3261 §12.1.1; `flow`, `source`, `reach` and `room` are additions
 */
export interface DialogStart extends Arrival {
  readonly callId: string
  /** Our tag: To tag of the 2xx, From tag of every NOTIFY. */
  readonly localTag: string
  /** The watcher's From tag; empty if it sent none (RFC 2543). */
  readonly remoteTag: string
  /** To of the SUBSCRIBE without its tag, as written: From of every NOTIFY. */
  readonly localUri: string
  /** From of the SUBSCRIBE without its tag, as written: To of every NOTIFY. */
  readonly remoteUri: string
  /** The URI in the watcher's Contact. */
  readonly remoteTarget: string
  /** Record-Route values of the initial SUBSCRIBE in order, each as written (`<sip:p.example.com;lr>`). */
  readonly routeSet: readonly string[]
  /** CSeq of the last accepted SUBSCRIBE. */
  readonly remoteCseq: number
  /**
   * The target of NOTIFYs is not proven: until a NOTIFY is answered 2xx from there, a document of at most this many
   * octets may be sent. Over a stream (`flow`) this applies to the target used once the connection is gone. Absent: the
   * target is proven.
   */
  readonly room?: number
}

/** What is known of the target of a dialog's NOTIFYs, unless all of it is proven. */
export type Proof =
  /** The target has not answered a NOTIFY yet. */
  | {
      readonly _tag: "Unproven"
      /** Octets of a document that may still be sent. */
      readonly room: number
      /** Responses to NOTIFYs up to this CSeq came from another target. */
      readonly since: number
      /** A NOTIFY had no response: nothing more is sent until the watcher sends a request. */
      readonly spent?: true
    }
  /** Only the connection over which the SUBSCRIBE arrived is proven; `room`: as in `DialogStart`. */
  | { readonly _tag: "Connection"; readonly room: number }
  /** The next hop is a name, proven while it resolves to one of these: `udp:192.0.2.20:5060`, the newest last. */
  | { readonly _tag: "Addresses"; readonly addresses: readonly string[] }

/** Identifies one dialog for the whole server. */
export type DialogKey = Branded<string, "DialogKey">

/** @source RFC 3261 §12: Call-ID, local tag, remote tag; no header value can contain the separator. */
export const dialogKey = (callId: string, localTag: string, remoteTag: string): DialogKey =>
  // in one piece: a template leaves its parts beside the whole once it is a key of a Map
  [callId, localTag, remoteTag].join("\n") as DialogKey

/**
 * How often a watcher wants to be notified, in NOTIFYs per second; null: not stated.
 *
 * @source RFC 6446 §5 (`max-rate`), §6 (`min-rate`), §7 (`adaptive-min-rate`)
 */
export interface Rates {
  readonly max: number | null
  readonly min: number | null
  readonly adaptiveMin: number | null
}

/** How the rules treat a watcher (RFC 5025 §3.2.1). */
export type SubHandling = "block" | "confirm" | "polite-block" | "allow"

/**
 * Who may watch a package. `owner`: the presentity itself and the owners listed with it; `domain`: every identity of
 * its domain; `everybody`; `rules`: those whom its authorization document admits (RFC 4745).
 */
export type WatchPolicy = "owner" | "domain" | "everybody" | "rules"

/** Which part of the settings decided on a watcher: the policy of its package, or the list of members of a line. */
export type WatchWord = WatchPolicy | "members"

/** Whether a phone needs that: the needs of a subscription are names that its package knows, separated by spaces. */
export const hasNeed = (needs: string | null | undefined, need: string): boolean =>
  needs !== null && needs !== undefined && needs.split(" ").includes(need)

export const withNeed = (needs: string | undefined, need: string): string =>
  needs === undefined ? need : hasNeed(needs, need) ? needs : `${needs} ${need}`

/** Undefined: none is left. */
export const withoutNeed = (needs: string | undefined, need: string): string | undefined => {
  if (!hasNeed(needs, need)) return needs
  const left = needs!.split(" ").filter((word) => word !== need)
  return left.length === 0 ? undefined : left.join(" ")
}

/** Throws if a condition is broken that must always hold: a defect of this program, not of a peer. */
export const invariant: (condition: boolean, what: string) => asserts condition = (condition, what) => {
  if (!condition) throw new Error(`invariant broken: ${what}`)
}

/** The end of an exhaustive switch: adding a case to the union breaks the build here. */
export const unreachable = (value: never): never => {
  throw new Error(`invariant broken: unexpected ${JSON.stringify(value)}`)
}
