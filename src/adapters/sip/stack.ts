/**
 * The SIP side put together: sockets, transactions, requests in, NOTIFYs out.
 *
 * A message goes from the socket to the core in one synchronous call. Effect is used for what has a lifetime: the
 * sockets, the one timer, the scope that closes them.
 */
import { randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import type { Scope } from "effect"
import { SipTransport } from "../../ports/event-store.ts"
import type { BindFailed, SipHandler } from "../../ports/event-store.ts"
import { hostList } from "./hosts.ts"
import { makeAllowances } from "./allowances.ts"
import { makeClientTransactions, wheelTickMs } from "./client-transactions.ts"
import { formatUri } from "./address-headers.ts"
import { makeDigest } from "./digest.ts"
import { readDatagram } from "./message-reader.ts"
import type { Names } from "./message-reader.ts"
import { parameterizedNames } from "./headers.ts"
import { makeInbound } from "./inbound.ts"
import { isWildcard, makeLocalHosts } from "./transports/local-address.ts"
import { makeNotifier } from "./notifier.ts"
import { countersZero, inattention, limitsDefault, timersDefault } from "./options.ts"
import type { Counters, ListenAddress, SipLimit, SipOptions } from "./options.ts"
import { makePeers } from "./peers.ts"
import { makePeerLog } from "./peer-log.ts"
import { makeRegistrar } from "./registrar.ts"
import type { ReceivedOn } from "./decode-result.ts"
import type { RequestRules } from "./decode-request.ts"
import { makeResolver, systemNames } from "./resolver.ts"
import { makeServerTransactions } from "./server-transactions.ts"
import type { Channel } from "./server-transactions.ts"
import { makeTcp } from "./transports/tcp.ts"
import type { Connection, TcpListener } from "./transports/tcp.ts"
import { listenUdp } from "./transports/udp.ts"
import type { UdpListener } from "./transports/udp.ts"
import { bracketed, canonicalAddress, parseUri, plainHost } from "./uri.ts"
import type { Target } from "./via.ts"

export type { AuthOptions, Counters, DigestAlgorithm, ListenAddress, Secret, SipOptions } from "./options.ts"

/** The port's service, and its counters for metrics. */
export type Sip = (typeof SipTransport)["Service"] & { readonly counters: Counters }

export const layer = (options: SipOptions): Layer.Layer<SipTransport> =>
  Layer.sync(SipTransport, () => SipTransport.of(make(options)))

const everyName: Names = { has: () => true }

/** A source of random text that asks the system for much at a time. */
const makeTagMint = (random: (bytes: number) => Uint8Array): (() => string) => {
  const tagBytes = 16
  let pool = Buffer.alloc(0)
  let at = 0
  return () => {
    if (at + tagBytes > pool.length) {
      pool = Buffer.from(random(tagBytes * 256))
      at = 0
    }
    at += tagBytes
    return pool.toString("hex", at - tagBytes, at)
  }
}

/** Builds the stack without opening a socket; `listen` does that, once. */
export const make = (options: SipOptions): Sip => {
  const limits = { ...limitsDefault, ...options.limits }
  const timers = { ...timersDefault, ...options.timers }
  const attention = options.attention ?? inattention
  const clock = options.clock ?? attention.clock
  const random = options.random ?? randomBytes
  const counters = countersZero()
  const mintTag = makeTagMint(random)
  const local = makeLocalHosts(options.advertisedHost ?? null, clock)
  const localHost = local.towards
  const server = makeServerTransactions(limits, timers, counters, clock)
  const client = makeClientTransactions(timers, counters, clock, limits.unansweredOctetsMax, options.maySend)
  const packages: NonNullable<SipOptions["packages"]> = options.packages ?? { allowEvents: "", accept: [] }
  const carriedBy = packages.carriedHeaders ?? new Map<string, readonly string[]>()
  const argumentOf = packages.argumentHeaders ?? new Map<string, string>()
  const policy = options.policy ?? null
  const carried: Names =
    policy?.headers === null
      ? everyName
      : new Set([
          ...[...carriedBy.values(), ...argumentOf.values()].flat().map((name) => name.toLowerCase()),
          ...(policy?.headers ?? []),
        ])
  const domains = new Set((options.domains ?? []).map((domain) => bracketed(plainHost(domain))))
  const peers = makePeers(options.trustedPeers ?? [])
  const peerEvent = makePeerLog(counters, options.onPeer ?? (() => {}))
  const udpListeners: UdpListener[] = []
  const tcpListeners: TcpListener[] = []
  const ownHosts = new Set<string>(["localhost", "127.0.0.1", "[::1]"])
  let handler: SipHandler | null = null

  const tcp = makeTcp(
    limits,
    counters,
    clock,
    {
      heard: attention.heard,
      message: (message, connection) =>
        received(message, "tcp", connection, connection.remoteAddress, connection.remotePort),
      closed: (connection) => {
        for (const branch of connection.branches) client.fail(branch)
      },
    },
    carried,
  )

  const isNotifyTarget = hostList(options.notifyTargets ?? [])
  const limitsMet = new Set<SipLimit>()
  const onLimit = (limit: SipLimit): void => {
    if (limitsMet.has(limit)) return
    limitsMet.add(limit)
    options.onLimit?.(limit)
  }
  const allowances = makeAllowances(limits, timers, counters, clock, onLimit)
  const udpMtuBytes = options.udpMtuBytes ?? 1_300

  const notifier = makeNotifier({
    allowances,
    isNotifyTarget,
    onLimit,
    client,
    tcp,
    counters,
    limits,
    udpMtuBytes,
    resolver: options.resolver ?? makeResolver(systemNames, clock, Math.random, attention.after),
    clock,
    mintTag,
    localHost,
    udpListeners,
    delivered: (presentity, no, cseq, outcome) => handler?.delivered(presentity, no, cseq, outcome),
    isOwnAddress: (host, port) => isOwnAddress(host, port),
  })

  const addContactHost = (): void => {
    const uri = options.contactUri ? parseUri(options.contactUri) : null
    if (uri !== null && uri.scheme !== "tel") ownHosts.add(bracketed(plainHost(uri.host)))
    if (options.advertisedHost) ownHosts.add(bracketed(plainHost(options.advertisedHost)))
  }
  addContactHost()

  /** Whether a request to that host and port comes to us; names are not looked up. */
  const isOwnAddress = (host: string, port: number): boolean => {
    const plain = plainHost(host)
    const isOurs = (one: { readonly host: string; readonly port: number }): boolean =>
      one.port === port && local.isAt(one.host, plain)
    return udpListeners.some(isOurs) || tcpListeners.some(isOurs)
  }

  const serves = (host: string): boolean => {
    if (domains.size === 0 || domains.has(host) || ownHosts.has(host)) return true
    const plain = plainHost(host)
    return (
      domains.has(plain) ||
      ownHosts.has(bracketed(plain)) ||
      [...udpListeners, ...tcpListeners].some((one) => isWildcard(one.host) && local.isAt(one.host, plain))
    )
  }

  const origin = Date.now() - clock()
  /** Nonces go by time that passes, and not by a clock that jumps: what is too old, or used up, would be so for good. */
  const nonceClock = (): number => Math.floor(origin + clock())

  const rules: RequestRules = {
    limits,
    serves,
    isOwnAddress,
    authenticate: options.auth ? makeDigest(options.auth, nonceClock, random) : null,
    mayPublishFor: options.auth?.mayPublishFor ?? (() => false),
    allowEvents: packages.allowEvents,
    accept: packages.accept,
    register:
      options.registrar === "reject" ? null : makeRegistrar(limits, options.registrarExpires ?? 3_600, clock),
    forceActive: options.forceActive ?? false,
    sharedLine: options.sharedLine ?? "contact",
    parameterized: parameterizedNames(options.packages?.names ?? ["dialog;sla"]),
    carriedBy,
    argumentOf,
    trustSenderHeader: options.trustSenderHeader ?? false,
    peers,
    peerEvent,
    allowAnyContact: options.allowAnyContact ?? true,
    isNotifyTarget,
    udpMtuBytes,
    mintTag,
    policy,
  }

  const arrivalHosts = new Map<string, { readonly flow: string; readonly contact: string }>()

  const makeArrival = (
    transport: "udp" | "tcp",
    channel: Channel,
    address: string,
    port: number,
    answeredTo: Target,
  ): ReceivedOn => {
    const socket =
      transport === "udp"
        ? { host: (channel as UdpListener).host, port: (channel as UdpListener).port }
        : { host: (channel as Connection).localAddress, port: (channel as Connection).localPort }
    const host = localHost(socket.host, address)
    const key = `${transport} ${host} ${socket.port}`
    let known = arrivalHosts.get(key)
    if (known === undefined) {
      const printed = bracketed(host)
      known = {
        flow: `${transport}:${printed}:${socket.port}`,
        contact:
          options.contactUri ?? formatUri(options.contactUser ?? "presence", printed, socket.port, transport),
      }
      // As many as there are own addresses.
      arrivalHosts.set(key, known)
    }
    return {
      transport,
      flow: known.flow,
      contact: known.contact,
      sourceAddress: address,
      sourcePort: port,
      answeredTo,
    }
  }

  const received = makeInbound({
    client,
    server,
    counters,
    rules,
    clock,
    overload: options.overload ?? (() => null),
    makeArrival,
    allowances,
    isFullFor: notifier.isFullFor,
    submit: (request) => handler?.submit(request),
    onDefect:
      options.onDefect ??
      ((defect) => process.emitWarning(defect instanceof Error ? defect : String(defect))),
    statelessKey: random(16),
  })

  const datagram = (bytes: Buffer, address: string, port: number, listener: UdpListener): void => {
    attention.heard()
    const message = readDatagram(bytes, limits, carried)
    if (message === null) counters.dropped++
    else received(message, "udp", listener, address, port)
  }

  const open = Effect.fnUntraced(function* (
    address: ListenAddress,
  ): Effect.fn.Return<void, BindFailed, Scope.Scope> {
    const written = address.host.replaceAll("[", "").replaceAll("]", "")
    const bound = written === "localhost" ? "127.0.0.1" : canonicalAddress(written)
    if (address.transport === "udp") {
      udpListeners.push(yield* listenUdp({ ...address, host: bound }, counters, datagram))
    } else {
      // RFC 3261 §18.2.1: TCP is served on the port that serves UDP.
      const beside = address.port === 0 ? udpListeners.find(({ host }) => host === bound)?.port : undefined
      const first = tcp.listen({ ...address, host: bound, port: beside ?? address.port })
      tcpListeners.push(
        yield* beside === undefined
          ? first
          : first.pipe(Effect.catch(() => tcp.listen({ ...address, host: bound }))),
      )
    }
    if (!isWildcard(bound)) ownHosts.add(bracketed(bound))
  })

  /** After sockets have been read, however late it is. */
  const tick = (): void => {
    if (attention.late() > 0) return
    client.tick()
    tcp.tick()
    server.tick()
    allowances.tick()
  }

  return {
    counters,
    addresses: () =>
      [...udpListeners, ...tcpListeners].map(
        ({ transport, host, port }) => `${transport}:${bracketed(host)}:${port}`,
      ),
    notify: (notifications) => {
      for (const notification of notifications) notifier.send(notification)
    },
    listen: Effect.fnUntraced(function* (to: SipHandler): Effect.fn.Return<void, BindFailed, Scope.Scope> {
      handler = to
      yield* Effect.acquireRelease(
        Effect.sync(() => {
          const end = attention.begin()
          const timer = setInterval(() => setImmediate(tick), wheelTickMs)
          return { timer, end }
        }),
        ({ timer, end }) =>
          Effect.sync(() => {
            clearInterval(timer)
            end()
            tcp.closeAll()
            udpListeners.length = 0
            tcpListeners.length = 0
          }),
      )
      for (const address of options.listen.toSorted((a, b) =>
        a.transport < b.transport ? 1 : a.transport > b.transport ? -1 : 0,
      ))
        yield* open(address)
    }),
  }
}
