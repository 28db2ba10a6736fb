/**
 * The SIP stack: sockets, transactions, requests in, NOTIFYs out.
 *
 * A message goes from the socket to the core in one synchronous call. Effect is used for resources: the
 * sockets, the one timer, and the scope that closes them.
 */
import { randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import type { Scope } from "effect"
import { SipTransport } from "../../ports/sip-transport.ts"
import type { BindFailed, SipHandler } from "../../ports/sip-transport.ts"
import { makeAdvertisedFor } from "./advertised.ts"
import { makeAllowances } from "./allowances.ts"
import { makeArrivals } from "./arrivals.ts"
import { carriedNames } from "./carried-names.ts"
import { makeClientTransactions, wheelTickMs } from "./client-transactions.ts"
import type { ClientTransactions } from "./client-transactions.ts"
import { makeDeadTargets } from "./dead-targets.ts"
import { needsBy } from "./device.ts"
import { makeDigest } from "./digest.ts"
import { makeCanonical } from "./domain-aliases.ts"
import { makePrepareDialog } from "./format-notify.ts"
import { parameterizedNames } from "./headers.ts"
import { hostList } from "./hosts.ts"
import { makeInbound } from "./inbound.ts"
import type { Receive } from "./inbound.ts"
import { makeKeepAlive } from "./keep-alive.ts"
import type { Names } from "./message-reader.ts"
import { makeNotifier } from "./notifier.ts"
import type { Notifier } from "./notifier.ts"
import { makeNotifyCredentials } from "./notify-credentials.ts"
import { readNotifyTo } from "./notify-to.ts"
import { countersZero, inattention, limitsDefault, timersDefault } from "./options.ts"
import type { Attention, ListenAddress, SipLimit, SipOptions } from "./options.ts"
import { readOutbound } from "./outbound-proxy.ts"
import { makeOwnAddresses } from "./own-addresses.ts"
import { makePeerLog } from "./peer-log.ts"
import { makePeers } from "./peers.ts"
import { profilesBy } from "./phone-profiles.ts"
import { boundForBy, makeRegistrationTick, registeredBy } from "./registering.ts"
import { makeRegistrar } from "./registrar.ts"
import { makeRegistrations } from "./registrations.ts"
import type { RequestRules } from "./request-rules.ts"
import { makeResolver, systemNames } from "./resolver.ts"
import { makeServerTransactions } from "./server-transactions.ts"
import { makeLocalHosts } from "./transports/local-address.ts"
import { countingProxyFaults } from "./transports/proxies.ts"
import { transportSet } from "./transports/transport.ts"
import type { Listener, Sockets, Transport, Transports } from "./transports/transport.ts"
import { servedTransports } from "./transports/transports.ts"
import { bracketed, canonicalAddress } from "./uri.ts"

export type { DigestAlgorithm, Secret, SipOptions } from "./options.ts"

export type Sip = (typeof SipTransport)["Service"]

/**
 * The SIP stack as a layer. It opens nothing before `listen`, and depends on these options only: everything
 * else comes with the handler.
 */
export const layerSip = (options: SipOptions): Layer.Layer<SipTransport> =>
  Layer.sync(SipTransport, () => SipTransport.of(make(options)))

/** Mints random tags; asks the system for random bytes in large blocks. */
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

/** Reports each limit once. */
const onceEach = (onLimit: SipOptions["onLimit"]): ((limit: SipLimit, address?: string) => void) => {
  const limitsMet = new Set<SipLimit>()
  return (limit, address) => {
    if (limitsMet.has(limit)) return
    limitsMet.add(limit)
    onLimit?.(limit, address)
  }
}

/** Default and maximum Expires of a REGISTER, in seconds. */
const registrarExpires = 3_600

/** What the parts of one stack share. */
const basisOf = (options: SipOptions) => {
  const attention = options.attention ?? inattention
  const clock = options.clock ?? attention.clock
  const random = options.random ?? randomBytes
  const transports =
    options.transports === undefined
      ? servedTransports(options.listen.map(({ transport }) => transport))
      : transportSet(options.transports)
  const limits = { ...limitsDefault, ...options.limits }
  const local = makeLocalHosts(clock)
  const sockets = new Map<Transport, Sockets>()
  /** The open ones, in the order in which they were opened. */
  const listeners: Listener[] = []
  const counters = countersZero()
  const outbound = readOutbound(options.outboundProxy ?? [])
  return {
    limits,
    timers: { ...timersDefault, ...options.timers },
    attention,
    clock,
    random,
    counters,
    onProxyFault: countingProxyFaults(counters, options.onProxyFault),
    mintTag: makeTagMint(random),
    transports,
    prepareDialog: makePrepareDialog(transports, outbound),
    outbound,
    registrar: options.registrar === "reject" ? null : makeRegistrar(limits, registrarExpires, clock),
    registrations: makeRegistrations(options.publishRegistrations ?? [], clock, registrarExpires * 1_000),
    local,
    advertisedFor: makeAdvertisedFor(options.advertise ?? []),
    sockets,
    listeners,
    own: makeOwnAddresses(options, local, listeners),
    isNotifyTarget: hostList(options.notifyTargets ?? []),
    notifyTo: readNotifyTo(options.notifyTo ?? []),
    onLimit: onceEach(options.onLimit),
    tls: options.tls,
    webSocket: options.webSocket,
    proxies: {
      sendsHeader: hostList(options.proxyProtocolFrom ?? []),
      forwards: hostList(options.forwardedForFrom ?? []),
    },
    udpMtuBytes: options.udpMtuBytes ?? 1_300,
    onDefect:
      options.onDefect ??
      ((defect: unknown) => process.emitWarning(defect instanceof Error ? defect : String(defect))),
  }
}

type Basis = ReturnType<typeof basisOf>

const rulesOf = (options: SipOptions, basis: Basis): RequestRules => {
  const { limits, clock, random, own } = basis
  const packages: NonNullable<SipOptions["packages"]> = options.packages ?? { allowEvents: "", accept: [] }
  const origin = Date.now() - clock()
  /** Nonces age by elapsed time: after a jump of the wall clock they would all be stale, or used up. */
  const nonceClock = (): number => Math.floor(origin + clock())
  return {
    limits,
    transports: basis.transports,
    prepareDialog: basis.prepareDialog,
    outbound: basis.outbound,
    serves: own.serves,
    isOwnAddress: own.isOwnAddress,
    isOwnHost: own.isOwnHost,
    authenticate: options.auth
      ? makeDigest(options.auth, nonceClock, random, resourcesOf(own, options.domains ?? []))
      : null,
    mayPublishFor: options.auth?.mayPublishFor ?? (() => false),
    allowEvents: packages.allowEvents,
    accept: packages.accept,
    register: basis.registrar,
    registered: registeredBy(options, basis),
    boundFor: boundForBy(options, basis),
    forceActive: options.forceActive ?? false,
    parameterized: parameterizedNames(packages.names?.() ?? []),
    carriedHeaders: packages.carriedHeaders ?? new Map<string, readonly string[]>(),
    argumentHeaders: packages.argumentHeaders ?? new Map<string, string>(),
    readParameters: (packageName, parameters) => packages.find?.(packageName)?.readParameters?.(parameters),
    requestTypes: (packageName) => packages.find?.(packageName)?.requests,
    deviceRecognition: options.deviceRecognition ?? "none",
    needsOf: needsBy(options.idleDialog ?? []),
    profileOf: profilesBy(options.phoneProfiles ?? ["none"]),
    registeredName: registeredNames(packages.names?.() ?? []),
    presentityOf: (packageName) => {
      const eventPackage = packages.find?.(packageName)
      return eventPackage?.presentityOf === undefined
        ? undefined
        : (request) => eventPackage.presentityOf!(request)
    },
    trustSenderHeader: options.trustSenderHeader ?? false,
    canonical: makeCanonical(options.domainAliases ?? []),
    peers: makePeers(options.trustedPeers ?? []),
    asksCertificates: options.tls !== undefined && options.tls.options().clients !== "off",
    peerEvent: makePeerLog(basis.counters, options.onPeer ?? (() => {})),
    allowAnyContact: options.allowAnyContact ?? true,
    keptOfRequests: options.keptOfRequests ?? "identity",
    isNotifyTarget: basis.isNotifyTarget,
    notifyTo: basis.notifyTo,
    udpMtuBytes: basis.udpMtuBytes,
    mintTag: basis.mintTag,
    policy: options.policy ?? null,
  }
}

/** Finds names of packages whatever the case. */
const registeredNames = (names: readonly string[]): ((name: string) => string) => {
  const byLowerCase = new Map(names.map((name) => [name.toLowerCase(), name]))
  return (name) => byLowerCase.get(name.toLowerCase()) ?? name
}

/** Which digest URIs name the resource of a request: see `makeDigest`. */
const resourcesOf = (
  { isOwnHost, serves }: Pick<Basis["own"], "isOwnHost" | "serves">,
  domains: readonly string[],
): ((host: string) => boolean) =>
  domains.length === 0 ? isOwnHost : (host) => isOwnHost(host) || !serves(host)

/** Builds the stack without opening a socket; `listen` does that, once. */
export const make = (options: SipOptions): Sip => {
  const basis = basisOf(options)
  const { limits, timers, counters, clock, sockets, transports } = basis
  let handler: SipHandler | null = null
  const maySend = (): boolean => handler?.maySend?.() ?? true
  const server = makeServerTransactions(limits, timers, counters, clock)
  const client = makeClientTransactions(timers, counters, clock, limits.unansweredOctetsMax, maySend)
  const allowances = makeAllowances(limits, timers, counters, clock, basis.onLimit)
  const dead = makeDeadTargets(limits.deadTargetMs, clock)
  const keepAlive = makeKeepAlive(limits, counters, clock)
  const notifier = makeNotifier({
    ...basis,
    allowances,
    client,
    socketsOf: (transport) => sockets.get(transport)!,
    resolver: options.resolver ?? resolverOf(basis),
    localHost: basis.local.towards,
    delivered: (presentity, id, cseq, outcome) => handler?.delivered(presentity, id, cseq, outcome),
    isOwnAddress: basis.own.isOwnAddress,
    keepAlive,
    dead,
    credentials:
      options.accountOf === undefined ? null : makeNotifyCredentials(options.accountOf, basis.mintTag),
  })
  const receive = makeInbound({
    ...basis,
    client,
    server,
    rules: rulesOf(options, basis),
    overload: () => handler?.overload?.() ?? null,
    makeArrival: makeArrivals(options, basis, basis.listeners),
    allowances,
    isFullFor: notifier.isFullFor,
    submit: (request) => handler?.submit(request),
    statelessKey: basis.random(16),
  })
  makeSockets(basis, carriedNames(options), client, receive)
  const registrationsDue = makeRegistrationTick(basis, (request) => handler?.submit(request))
  /** Timers fire only after the sockets have been read, however late that is. */
  const tick = (): void => {
    if (basis.attention.late() > 0) return
    client.tick()
    for (const { tick: tickSockets } of sockets.values()) tickSockets()
    server.tick()
    allowances.tick()
    keepAlive.tick()
    registrationsDue()
  }
  return {
    counters,
    addresses: () =>
      basis.listeners.map(({ transport, host, port }) => `${transport.name}:${bracketed(host)}:${port}`),
    notify: sending(notifier),
    listen: Effect.fnUntraced(function* (to: SipHandler): Effect.fn.Return<void, BindFailed, Scope.Scope> {
      handler = to
      yield* ticking(basis.attention, tick)
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const { closeAll } of sockets.values()) closeAll()
          basis.listeners.length = 0
        }),
      )
      for (const address of inOrder(options.listen, transports)) yield* open(basis, address, options.listen)
    }),
  }
}

const sending =
  (notifier: Notifier): Sip["notify"] =>
  (notifications) => {
    for (const notification of notifications) notifier.send(notification)
  }

const resolverOf = ({ transports, clock, attention }: Basis) =>
  makeResolver({ names: systemNames, transports, clock, after: attention.after })

/** The sockets of each transport; nothing is opened yet. */
const makeSockets = (basis: Basis, carried: Names, client: ClientTransactions, receive: Receive): void => {
  const { limits, counters, clock, attention, onLimit, tls, webSocket, proxies, onProxyFault } = basis
  const events = {
    heard: attention.heard,
    message: receive,
    closed: ({ branches }: { readonly branches: ReadonlySet<string> }) => {
      for (const branch of branches) client.fail(branch)
    },
  }
  for (const transport of basis.transports.all)
    basis.sockets.set(
      transport,
      transport.makeSockets({
        limits,
        counters,
        clock,
        carried,
        events,
        onLimit,
        proxies,
        onProxyFault,
        ...(tls === undefined ? {} : { tls }),
        ...(webSocket === undefined ? {} : { webSocket }),
      }),
    )
}

/** Runs `tick` until the scope closes. */
const ticking = (attention: Attention, tick: () => void): Effect.Effect<unknown, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const end = attention.begin()
      const timer = setInterval(() => setImmediate(tick), wheelTickMs)
      return { timer, end }
    }),
    ({ timer, end }) =>
      Effect.sync(() => {
        clearInterval(timer)
        end()
      }),
  )

/** Addresses of the first transport first, so that others can take the port next to it. */
const inOrder = (listen: readonly ListenAddress[], { all }: Transports): readonly ListenAddress[] =>
  all.flatMap(({ name }) => listen.filter(({ transport }) => transport === name))

/** Whether an address of IPv4 has the port of `::` to itself. */
const isBesides = (other: ListenAddress, { transport, port }: ListenAddress): boolean =>
  other.transport === transport && other.port === port && !other.host.includes(":")

const open = Effect.fnUntraced(function* (
  { transports, sockets, own, listeners }: Basis,
  address: ListenAddress,
  all: readonly ListenAddress[],
): Effect.fn.Return<void, BindFailed, Scope.Scope> {
  const written = address.host.replaceAll("[", "").replaceAll("]", "")
  const host = written === "localhost" ? "127.0.0.1" : canonicalAddress(written)
  const transport = transports.named(address.transport)!
  const isDual = host === "::" && !all.some((other) => isBesides(other, address))
  const { listen } = sockets.get(transport)!
  const beside =
    address.port === 0 && transport.besidePortOf !== null
      ? listeners.find(
          (listener) => listener.transport.name === transport.besidePortOf && listener.host === host,
        )
      : undefined
  const listener = yield* beside === undefined
    ? listen({ host, isDual, port: address.port })
    : listen({ host, isDual, port: beside.port }).pipe(Effect.catch(() => listen({ host, isDual, port: 0 })))
  listeners.push(listener)
  own.add(host)
})
