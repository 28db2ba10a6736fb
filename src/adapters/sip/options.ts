/**
 * What can be set on the SIP side, what each setting is when it is not given, and the counters that are kept.
 *
 * Every limit has its unit in its name. Values only: nothing here acts.
 */
import type { Packages } from "../../domain/packages/event-package.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { TrustedPeer } from "./peers.ts"
import type { Policy } from "./policy.ts"
import type { KeptOfRequests } from "./request-facts.ts"
import type { Resolver } from "./resolver.ts"
import type { TransportName } from "./transports/names.ts"
import type { Transport } from "./transports/transport.ts"

export interface ListenAddress {
  readonly transport: TransportName
  /** A numeric address, or `localhost`; `::` is IPv6 only. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** What is known about one user: the password, or ready-made hashes of user, realm and password by algorithm. */
export type Secret =
  | { readonly password: string }
  | { readonly ha1: Partial<Readonly<Record<DigestAlgorithm, string>>> }

export type DigestAlgorithm = "SHA-256" | "SHA-512-256" | "MD5"

export interface AuthOptions {
  readonly realm: string
  /** Null for an unknown user, who is refused exactly like a wrong password. */
  readonly lookup: (user: string, realm: string) => Secret | null
  /** At least 16 bytes; nodes of one cluster share it. */
  readonly nonceKey: Uint8Array | string
  /** Offered in this order (RFC 8760 §2.3). MD5 is offered only when it is listed. */
  readonly algorithms?: readonly DigestAlgorithm[]
  /** The address of a user's account; null: it is the user's name at the realm. */
  readonly addressOf?: (user: string, realm: string) => string | null
  /**
   * May this user publish for that presentity? Asked only when they differ; of a user whom a trusted peer names, with that
   * URI. Default: no.
   */
  readonly mayPublishFor?: (user: string, presentity: string) => boolean
}

export interface Limits {
  /** A head above this is answered 513. */
  readonly headBytesMax: number
  readonly headerLinesMax: number
  readonly lineBytesMax: number
  readonly addressLineBytesMax: number
  readonly viaMax: number
  /** A body above this is answered 413. */
  readonly bodyBytesMax: number
  readonly uriBytesMax: number
  readonly callIdBytesMax: number
  readonly tagBytesMax: number
  readonly eventIdBytesMax: number
  readonly routesMax: number
  readonly serverTransactionsMax: number
  readonly serverTransactionBytesMax: number
  readonly clientTransactionsMax: number
  /**
   * Octets of NOTIFYs under way, each with its own copy of the document; above, NOTIFYs end as refused with 503. Those of one
   * address and port may be as many as are left for all others.
   */
  readonly unansweredOctetsMax: number
  /** Dialogs, and addresses, where nothing is proven that are remembered with what was sent there; above, NOTIFYs to others are put off. */
  readonly unprovenTargetsMax: number
  /** NOTIFYs that wait until where they go has answered; above, further ones are put off. */
  readonly unprovenWaitingMax: number
  /** The same of one address and port. */
  readonly unprovenWaitingPerTargetMax: number
  /** How long a connection to where nothing is proven may take to come up: as long as three SYNs. */
  readonly unprovenConnectMs: number
  readonly connectionsMax: number
  readonly connectionsPerSourceMax: number
  readonly connectionIdleMs: number
  readonly headCompleteMs: number
  readonly writeQueueBytesMax: number
  readonly connectMs: number
  /** How long a connection may take to come up when it is only tried because the request is big. */
  readonly bigRequestConnectMs: number
  /** How long a refused attempt of that kind is remembered. */
  readonly streamRefusedMs: number
  readonly bindingsMax: number
  readonly bindingsPerAddressMax: number
}

/** Settings that bound what this side does for others, and that were met. */
export type SipLimit =
  | "unanswered_octets_max"
  /** What one address and port may have of them. */
  | "unanswered_octets_share"
  | "unproven_targets_max"
  | "unproven_waiting_max"
  | "unproven_waiting_per_target_max"

/** RFC 3261 §17.1.1.1 and table 4; shorter ones make tests quick. */
export interface Timers {
  readonly t1Ms: number
  readonly t2Ms: number
  /** 64·T1: Timers F and J. */
  readonly transactionMs: number
}

/** A stop of the process: what waits in sockets then is read before timers fire. */
export interface Attention {
  /** Milliseconds that only grow, without stops. */
  readonly clock: () => number
  /** Above 0 while sockets are being read after a stop. */
  readonly late: () => number
  /** Something came from a socket. */
  readonly heard: () => void
  /** A timer that counts by that clock, and waits for what is to be read; returns what calls it off. */
  readonly after: (millis: number, done: () => void) => () => void
  /** Looks for stops until what it returns is called. */
  readonly begin: () => () => void
}

const timeout = (millis: number, done: () => void): (() => void) => {
  const timer = setTimeout(done, millis)
  return () => clearTimeout(timer)
}

/** Nobody looks for stops. */
export const inattention: Attention = {
  clock: () => performance.now(),
  late: () => 0,
  heard: () => {},
  after: timeout,
  begin: () => () => {},
}

export interface SipOptions {
  /** The transports that the stack may use, that of a plain `sip` URI first; default: all that there are. */
  readonly transports?: readonly Transport[]
  readonly listen: readonly ListenAddress[]
  /** Hosts served; empty serves every host. Own addresses, `localhost` and `127.0.0.1` are always served. */
  readonly domains?: readonly string[]
  /** The URI of our Contact (`server_address`); null derives it from the receiving socket. */
  readonly contactUri?: string | null
  /** User part of a derived Contact; empty leaves it out. */
  readonly contactUser?: string
  /** Host printed in Via and Contact for a socket bound to every interface; null asks the system. */
  readonly advertisedHost?: string | null
  /** The event packages that requests may name, as a registry has them; without them, parameters never distinguish a package from its type. */
  readonly packages?: Pick<Packages, "allowEvents" | "accept"> &
    Partial<Pick<Packages, "names" | "find" | "carriedHeaders" | "argumentHeaders">>
  readonly auth?: AuthOptions | null
  readonly registrar?: "accept" | "reject"
  /** Requests above this many bytes leave UDP for TCP (RFC 3261 §18.1.1). */
  readonly udpMtuBytes?: number
  /** False refuses a Contact, or first Record-Route, whose host is not where the SUBSCRIBE came from. */
  readonly allowAnyContact?: boolean
  /** Servers that have asked already who sends a request, and what each may say (RFC 3325): see `readPeers`. */
  readonly trustedPeers?: readonly TrustedPeer[]
  /** Called once for each way in which a request of a trusted peer, or of a stranger where there are peers, is not believed. */
  readonly onPeer?: (line: string) => void
  /** Where NOTIFYs may go that nobody there has answered yet: addresses, networks, names (`hosts.ts`). */
  readonly notifyTargets?: readonly string[]
  /** True believes the Sender header of a PUBLISH. */
  readonly trustSenderHeader?: boolean
  /** What the log keeps of who sent a request; absent: account, asserted identity and From. */
  readonly keptOfRequests?: KeptOfRequests
  /** `handle_subscribe(1)`: subscriptions become active without asking the rules. */
  readonly forceActive?: boolean
  /** What an operator says of single requests; null: nothing. */
  readonly policy?: Policy | null
  /** Called with an exception that was thrown while a message was handled; the default is a process warning. */
  readonly onDefect?: (defect: unknown) => void
  /** Called once for each limit that is reached. */
  readonly onLimit?: (limit: SipLimit) => void
  readonly limits?: Partial<Limits>
  readonly timers?: Partial<Timers>
  /** Milliseconds that only grow; default: those of `attention`. */
  readonly clock?: () => number
  /** What notices that the process was stopped; default: nothing does. */
  readonly attention?: Attention
  readonly random?: (bytes: number) => Uint8Array
  readonly resolver?: Resolver
}

export const limitsDefault: Limits = {
  headBytesMax: 16_384,
  headerLinesMax: 128,
  lineBytesMax: 8_192,
  addressLineBytesMax: 2_048,
  viaMax: 64,
  bodyBytesMax: 65_536,
  uriBytesMax: 512,
  callIdBytesMax: 256,
  tagBytesMax: 128,
  eventIdBytesMax: 128,
  routesMax: 16,
  serverTransactionsMax: 500_000,
  serverTransactionBytesMax: 512 * 1024 * 1024,
  clientTransactionsMax: 200_000,
  unansweredOctetsMax: 64 * 1024 * 1024,
  unprovenTargetsMax: 100_000,
  unprovenWaitingMax: 10_000,
  unprovenWaitingPerTargetMax: 1_000,
  unprovenConnectMs: 2_500,
  connectionsMax: 4_096,
  connectionsPerSourceMax: 128,
  connectionIdleMs: 120_000,
  headCompleteMs: 10_000,
  writeQueueBytesMax: 1_048_576,
  connectMs: 5_000,
  bigRequestConnectMs: 500,
  streamRefusedMs: 600_000,
  bindingsMax: 20_000,
  bindingsPerAddressMax: 10,
}

export const timersDefault: Timers = { t1Ms: 500, t2Ms: 4_000, transactionMs: 32_000 }

export const countersZero = (): SipCounters => ({
  received: 0,
  sent: 0,
  malformed: 0,
  dropped: 0,
  retransmissionsAbsorbed: 0,
  merged: 0,
  refusedOverload: 0,
  challenges: 0,
  peerUnnamed: 0,
  peerRefused: 0,
  peerDoubted: 0,
  strangersRefused: 0,
  responses: {},
  notifySent: 0,
  notifyRetransmitted: 0,
  notifyAccepted: 0,
  notifyRefused: 0,
  notifyTimedOut: 0,
  notifyUnreachable: 0,
  notifyUnproven: 0,
  notifyUnrepeated: 0,
  notifyTooManyOctets: 0,
  notifyShareUsed: 0,
  targetsKept: 0,
  unprovenWaited: 0,
  unprovenDropped: 0,
  unprovenDroppedOfTarget: 0,
  unprovenTargetsFull: 0,
  bigRequestsOverTcp: 0,
  bigRequestsFellBack: 0,
  connectionsRefused: 0,
  sendErrors: 0,
  defects: 0,
  connections: 0,
  serverTransactions: 0,
  clientTransactions: 0,
  clientOctets: 0,
  unprovenWaiting: 0,
})
