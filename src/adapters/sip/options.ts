/** Options of the SIP stack with their defaults, and its counters. Every limit has its unit in its name. */
import type { Packages } from "../../domain/packages/event-package.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { Advertised } from "./advertised.ts"
import type { DeviceRecognition } from "./device.ts"
import type { DomainAlias } from "./domain-aliases.ts"
import type { AccountOf } from "./notify-credentials.ts"
import type { TrustedPeer } from "./peers.ts"
import type { Policy } from "./policy.ts"
import type { RegistrationPackage } from "./registrations.ts"
import type { KeptOfRequests } from "./request-facts.ts"
import type { Resolver } from "./resolver.ts"
import type { TransportName } from "./transports/names.ts"
import type { ProxyFault } from "./transports/proxies.ts"
import type { TlsIdentity } from "./transports/tls-identity.ts"
import type { Transport } from "./transports/transport.ts"
import type { WebSocketOptions } from "./transports/web-socket.ts"

export interface ListenAddress {
  readonly transport: TransportName
  /** A numeric address, or `localhost`; `::` is all of IPv4 as well, unless an address of IPv4 is listed with the same port. */
  readonly host: string
  /** 0 lets the system choose. */
  readonly port: number
}

/** A user's secret: the password, or hashes of user, realm and password by algorithm. */
export type Secret =
  | { readonly password: string }
  | { readonly ha1: Partial<Readonly<Record<DigestAlgorithm, string>>> }

export type DigestAlgorithm = "SHA-256" | "SHA-512-256" | "MD5"

export interface AuthOptions {
  readonly realm: string
  /** Null for an unknown user, who gets the same response as for a wrong password. */
  readonly lookup: (user: string, realm: string) => Secret | null
  /** At least 16 bytes; must be the same on all nodes of a cluster. */
  readonly nonceKey: Uint8Array | string
  /** In order of preference (RFC 8760 §2.3). MD5 is offered only if listed. */
  readonly algorithms?: readonly DigestAlgorithm[]
  /** The address of a user's account; null: the user name at the realm. */
  readonly addressOf?: (user: string, realm: string) => string | null
  /**
   * Whether a user may publish for that presentity. Asked only if they differ; for a user asserted by a
   * trusted peer, with that URI. Default: no.
   */
  readonly mayPublishFor?: (user: string, presentity: string) => boolean
}

export interface Limits {
  /** A larger head gets 513. */
  readonly headBytesMax: number
  /** Lines of headers that are read; others do not count. */
  readonly headerLinesMax: number
  readonly lineBytesMax: number
  /** Of From, To, Sender and a line of P-Asserted-Identity. */
  readonly addressLineBytesMax: number
  readonly viaMax: number
  /** A larger body gets 413. */
  readonly bodyBytesMax: number
  /** A longer Request-URI gets 414. */
  readonly uriBytesMax: number
  /** Of the URI of a Contact: push parameters make it long (RFC 8599 §4.1). */
  readonly contactBytesMax: number
  readonly callIdBytesMax: number
  readonly tagBytesMax: number
  readonly eventIdBytesMax: number
  readonly routesMax: number
  readonly serverTransactionsMax: number
  readonly serverTransactionBytesMax: number
  readonly clientTransactionsMax: number
  /**
   * Octets of unanswered NOTIFYs, each with its own copy of the document; beyond that, NOTIFYs end as if
   * refused with 503. One address and port may have as many as are left for all others.
   */
  readonly unansweredOctetsMax: number
  /** Unproven dialogs, and unproven addresses, that are tracked; beyond that, NOTIFYs to others are put off. */
  readonly unprovenTargetsMax: number
  /** NOTIFYs waiting for an unproven target to answer; beyond that, NOTIFYs are put off. */
  readonly unprovenWaitingMax: number
  /** The same for one address and port. */
  readonly unprovenWaitingPerTargetMax: number
  /** How long connecting to an unproven target may take: three SYNs. */
  readonly unprovenConnectMs: number
  /** Connections of each stream transport; further ones are closed at once. */
  readonly connectionsMax: number
  /** Those of them that one address may have opened; 0: any number. */
  readonly connectionsPerSourceMax: number
  /** How long a connection stays open without anything received, unless a subscription depends on it. */
  readonly connectionIdleMs: number
  /** How long a message on a stream may take to arrive. */
  readonly headCompleteMs: number
  /** Accepted connections of one transport whose handshakes (TLS, WebSocket) are under way. */
  readonly handshakesMax: number
  readonly handshakeMs: number
  /** After how much silence a WebSocket is asked whether its peer is there, and for how long; 0: never. */
  readonly pingMs: number
  /** Octets waiting to be sent on one connection; beyond that, it is closed. */
  readonly writeQueueBytesMax: number
  readonly connectMs: number
  /** How often a phone behind a NAT is sent a keep-alive; 0: never. */
  readonly keepAliveMs: number
  /** How long connecting may take if it is tried only because the request is too big for a datagram. */
  readonly bigRequestConnectMs: number
  /** How long a failed attempt of that kind is remembered. */
  readonly streamRefusedMs: number
  /** How long a place may be silent before another one is tried, if there is one; Timer F at most. */
  readonly failoverMs: number
  /** How long a place that failed is tried after all others; 0: it is not remembered. */
  readonly deadTargetMs: number
  readonly bindingsMax: number
  readonly bindingsPerAddressMax: number
}

/** Settings whose limit was reached. */
export type SipLimit =
  | "unanswered_octets_max"
  /** The share of one address and port in those octets. */
  | "unanswered_octets_share"
  | "unproven_targets_max"
  | "unproven_waiting_max"
  | "unproven_waiting_per_target_max"
  | "handshakes_max"
  | "connections_max"
  | "connections_per_source_max"
  | "connection_idle"
  | "message_timeout"
  | "connection_octets_max"
  /** What a datagram can hold, which is no setting. */
  | "datagram_octets"

/** RFC 3261 §17.1.1.1 and table 4; tests use shorter ones. */
export interface Timers {
  readonly t1Ms: number
  readonly t2Ms: number
  /** 64·T1: Timers F and J. */
  readonly transactionMs: number
}

/** Deals with stops of the process: what has queued up in the sockets is read before timers fire. */
export interface Attention {
  /** Monotonic milliseconds, not counting stops. */
  readonly clock: () => number
  /** Greater than 0 while sockets are being read after a stop. */
  readonly late: () => number
  /** Called when something has been received. */
  readonly heard: () => void
  /** Starts a timer on that clock, which waits until the sockets have been read. @returns a function that cancels it */
  readonly after: (millis: number, done: () => void) => () => void
  /** Starts watching for stops. @returns a function that ends it */
  readonly begin: () => () => void
}

const timeout = (millis: number, done: () => void): (() => void) => {
  const timer = setTimeout(done, millis)
  return () => clearTimeout(timer)
}

/** Does not watch for stops. */
export const inattention: Attention = {
  clock: () => performance.now(),
  late: () => 0,
  heard: () => {},
  after: timeout,
  begin: () => () => {},
}

export interface SipOptions {
  /** The transports the stack may use, first the one for a plain `sip` URI. Default: UDP, TCP, and those listened on. */
  readonly transports?: readonly Transport[]
  readonly listen: readonly ListenAddress[]
  /** Hosts served; empty: every host. Own addresses, `localhost` and `127.0.0.1` are always served. */
  readonly domains?: readonly string[]
  /** Other names of domains; they are served too. */
  readonly domainAliases?: readonly DomainAlias[]
  /** Our Contact URI (`server_address`); null: derived from the receiving socket. */
  readonly contactUri?: string | null
  /** User part of a derived Contact; empty: none. */
  readonly contactUser?: string
  /** Hosts and ports in Via and Contact instead of our own. */
  readonly advertise?: readonly Advertised[]
  /** The registry of event packages. Without it, parameters never distinguish a package from its type. */
  readonly packages?: Pick<Packages, "allowEvents" | "accept"> &
    Partial<Pick<Packages, "names" | "find" | "carriedHeaders" | "argumentHeaders">>
  readonly auth?: AuthOptions | null
  readonly registrar?: "accept" | "reject"
  /** The packages in which it is published who is registered. Absent: none. */
  readonly publishRegistrations?: readonly RegistrationPackage[]
  /** Phones that are registered, and have not subscribed, are notified of waiting messages. Absent: they are not. */
  readonly unsolicitedMwi?: boolean
  /** Larger requests use TCP instead of UDP (RFC 3261 §18.1.1). */
  readonly udpMtuBytes?: number
  /** False: refuse a SUBSCRIBE whose Contact, or first Record-Route, is not the host that it came from. */
  readonly allowAnyContact?: boolean
  /** Servers that have authenticated senders, and what each may assert (RFC 3325): see `readPeers`. */
  readonly trustedPeers?: readonly TrustedPeer[]
  /** Called once for each way in which a trusted peer, or a stranger where there are peers, is not believed. */
  readonly onPeer?: (line: string) => void
  /** Where NOTIFYs may be sent without proof: addresses, networks, names (`hosts.ts`). */
  readonly notifyTargets?: readonly string[]
  /** Where NOTIFYs go, entries `auto`, `contact`, `source`, or `NETWORK=` one of them (`reach.ts`). Default: auto. */
  readonly notifyTo?: readonly string[]
  /** Through which proxy NOTIFYs go (`outbound-proxy.ts`). */
  readonly outboundProxy?: readonly string[]
  /** Accounts with which NOTIFYs answer challenges, by realm; absent: they do not. */
  readonly accountOf?: AccountOf
  /** Whether the Sender header of a PUBLISH is believed. */
  readonly trustSenderHeader?: boolean
  /** What the log keeps of who sent a request; absent: account, asserted identity and From. */
  readonly keptOfRequests?: KeptOfRequests
  /** By what a device is recognized that publishes again without its entity-tag; absent: by nothing. */
  readonly deviceRecognition?: DeviceRecognition
  /** Which phones need a dialog in every document, each `PACKAGE=USER-AGENT` with wildcards; absent: none. */
  readonly idleDialog?: readonly string[]
  /** Phone profiles of the operator's own (`phone-profiles.ts`), before the built-in ones. Absent: no profile at all. */
  readonly phoneProfiles?: readonly string[]
  /** `handle_subscribe(1)`: subscriptions become active without consulting the rules. */
  readonly forceActive?: boolean
  /** The operator's policy for single requests; null: none. */
  readonly policy?: Policy | null
  /** Called with an exception thrown while handling a message. Default: a process warning. */
  readonly onDefect?: (defect: unknown) => void
  /** Called once for each limit that is reached. @param address of the peer that reached it, if it is one */
  readonly onLimit?: (limit: SipLimit, address?: string) => void
  /** Load balancers whose connections begin with a header of the PROXY protocol: addresses and networks. */
  readonly proxyProtocolFrom?: readonly string[]
  /** HTTP proxies whose `X-Forwarded-For` names the client of a WebSocket: addresses and networks. */
  readonly forwardedForFrom?: readonly string[]
  /** Called for the first fault of each kind in what a load balancer or HTTP proxy says. */
  readonly onProxyFault?: (fault: ProxyFault, address: string, why: string) => void
  /** Certificates, for listeners over TLS and for connections that we open; absent: none. */
  readonly tls?: TlsIdentity
  readonly webSocket?: WebSocketOptions
  readonly limits?: Partial<Limits>
  readonly timers?: Partial<Timers>
  /** Monotonic milliseconds. Default: the clock of `attention`. */
  readonly clock?: () => number
  /** Detects stops of the process. Default: nothing does. */
  readonly attention?: Attention
  readonly random?: (bytes: number) => Uint8Array
  readonly resolver?: Resolver
}

export const limitsDefault: Limits = {
  headBytesMax: 16_384,
  headerLinesMax: 128,
  lineBytesMax: 16_384,
  addressLineBytesMax: 2_048,
  viaMax: 64,
  bodyBytesMax: 65_536,
  uriBytesMax: 512,
  contactBytesMax: 4_096,
  callIdBytesMax: 1_024,
  tagBytesMax: 512,
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
  connectionsPerSourceMax: 1_000,
  connectionIdleMs: 120_000,
  headCompleteMs: 10_000,
  handshakesMax: 1_000,
  handshakeMs: 10_000,
  pingMs: 30_000,
  writeQueueBytesMax: 1_048_576,
  connectMs: 5_000,
  keepAliveMs: 25_000,
  bigRequestConnectMs: 500,
  streamRefusedMs: 600_000,
  failoverMs: 8_000,
  deadTargetMs: 60_000,
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
  notifyFlowLost: 0,
  notifyTooLarge: 0,
  notifyFailedOver: 0,
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
  handshakesFailed: 0,
  handshakesTimedOut: 0,
  handshakesRefused: 0,
  proxyFaults: {},
  upgradesRefused: {},
  webSocketFaults: 0,
  pingsUnanswered: 0,
  tlsPeersUnverified: 0,
  connectionsRefusedOfSource: 0,
  connectionsIdle: 0,
  connectionsSlow: 0,
  connectionsUnread: 0,
  connectionsSilent: 0,
  keepAlivesAnswered: 0,
  keepAlivesSent: 0,
  sendErrors: 0,
  defects: 0,
  connections: 0,
  handshakes: 0,
  serverTransactions: 0,
  clientTransactions: 0,
  clientOctets: 0,
  unprovenWaiting: 0,
})
