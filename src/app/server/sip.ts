/**
 * The SIP side of a server: turns its settings into options of the stack.
 */
import { randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import { readAdvertise } from "../../adapters/sip/advertised.ts"
import type { DeviceRecognition } from "../../adapters/sip/device.ts"
import { readAliases } from "../../adapters/sip/domain-aliases.ts"
import type { SipLimit, SipOptions } from "../../adapters/sip/options.ts"
import { readPeers } from "../../adapters/sip/peers.ts"
import type { KeptOfRequests } from "../../adapters/sip/request-facts.ts"
import { layerSip } from "../../adapters/sip/stack.ts"
import type { ProxyFault } from "../../adapters/sip/transports/proxies.ts"
import type { SipTransport } from "../../ports/sip-transport.ts"
import { attention } from "../clock/attention.ts"
import type { Config } from "../config/config.ts"
import { digestAlgorithms, isAuthenticated, realmOf } from "../config/limits.ts"
import { originAllowed } from "../config/tls-settings.ts"
import type { Users } from "../config/users.ts"
import { Reload } from "./reload.ts"
import { ServerSettings, defectLine } from "./settings.ts"

/** The stack with the options of a server. */
export const layerServerSip: Layer.Layer<SipTransport, never, ServerSettings | Reload> = Layer.unwrap(
  Effect.gen(function* () {
    const { config, packages, policy, accountOf, say } = yield* ServerSettings
    const { users, certificates } = yield* Reload
    return layerSip({
      ...addressingOf(config),
      packages,
      auth: authOf(config, users),
      ...(accountOf === null ? {} : { accountOf }),
      tls: certificates.identity,
      webSocket: { isOriginAllowed: originAllowed(config, !isAuthenticated(config)) },
      policy,
      attention,
      onDefect: (defect) => say(defectLine("SIP", "a message", defect)),
      onPeer: (line) => say(Effect.logWarning(line)),
      onProxyFault: (fault, address, why) => say(Effect.logWarning(proxyFaultInWords(fault, address, why))),
      onLimit: (limit, address) => {
        const value =
          limit === "datagram_octets"
            ? 0
            : config[limit === "unanswered_octets_share" ? "unanswered_octets_max" : limit]
        say(Effect.logWarning(limitInWords(limit, value, address)))
      },
    })
  }),
)

const addressingOf = (config: Config) => ({
  listen: config.listen,
  domainAliases: readAliases(config.domain_aliases, config.domain),
  advertise: readAdvertise(config.advertise),
  domains: config.domain,
  contactUri: config.server_address,
  contactUser: config.contact_user ?? "",
  registrar: config.registrar === "reject" ? ("reject" as const) : ("accept" as const),
  publishRegistrations: [
    ...(config.presence_from_register ? (["presence"] as const) : []),
    ...(config.reg_from_register ? (["reg"] as const) : []),
  ],
  unsolicitedMwi: config.unsolicited_mwi,
  udpMtuBytes: config.udp_mtu,
  forceActive: config.force_active,
  keptOfRequests: config.keep_requester as KeptOfRequests,
  deviceRecognition: config.device_recognition as DeviceRecognition,
  idleDialog: config.idle_dialog,
  phoneProfiles: config.phone_profiles,
  trustedPeers: readPeers(config.trusted_peers).peers,
  allowAnyContact: !config.contact_must_be_source,
  notifyTargets: config.notify_targets,
  notifyTo: config.notify_to,
  outboundProxy: config.outbound_proxy,
  proxyProtocolFrom: config.proxy_protocol_from,
  forwardedForFrom: config.forwarded_for_from,
  limits: {
    contactBytesMax: config.contact_max,
    unansweredOctetsMax: config.unanswered_octets_max,
    unprovenTargetsMax: config.unproven_targets_max,
    unprovenWaitingMax: config.unproven_waiting_max,
    unprovenWaitingPerTargetMax: config.unproven_waiting_per_target_max,
    handshakesMax: config.handshakes_max,
    handshakeMs: config.handshake_timeout * 1_000,
    pingMs: config.websocket_ping * 1_000,
    connectionsMax: config.connections_max,
    connectionsPerSourceMax: config.connections_per_source_max,
    connectionIdleMs: config.connection_idle * 1_000,
    writeQueueBytesMax: config.connection_octets_max,
    headCompleteMs: config.message_timeout * 1_000,
    connectMs: config.connect_timeout * 1_000,
    keepAliveMs: config.keep_alive * 1_000,
    failoverMs: config.failover_timeout * 1_000,
    deadTargetMs: config.failed_target_timeout * 1_000,
  },
})

const authOf = (config: Config, users: Users | null): NonNullable<SipOptions["auth"]> | null =>
  users === null
    ? null
    : {
        realm: realmOf(config),
        lookup: users.lookup,
        addressOf: users.addressOf,
        nonceKey: randomBytes(32),
        algorithms: digestAlgorithms(config),
      }

/** Logged once for each kind; from then on the counters tell. */
const proxyFaultInWords = (fault: ProxyFault, address: string, why: string): string => {
  const because = why === "" ? "" : ` (${why})`
  switch (fault) {
    case "bad":
      return `proxy_protocol_from: a connection of ${address} was closed, whose PROXY header cannot be used${because}; others are closed without being named`
    case "missing":
      return `proxy_protocol_from: a connection of ${address} was closed, which does not begin with a PROXY header: have the load balancer send it, or leave it out; others are closed without being named`
    case "unlisted":
      return `a connection of ${address} was closed, which begins with a PROXY header: if that is your load balancer, list it in proxy_protocol_from; others are closed without being named`
    case "forwarded":
      return `forwarded_for_from: a WebSocket of ${address} was refused (400), whose X-Forwarded-For does not name a client${because}: have the HTTP proxy write it; others are refused without being named`
    case "ignored":
      return `X-Forwarded-For in a request of ${address} is ignored: if that is your HTTP proxy, list it in forwarded_for_from; until then its phones seem to be at its address`
  }
}

/** Logged once; from then on the counters tell. */
const limitInWords = (limit: SipLimit, value: number, address = ""): string => {
  switch (limit) {
    case "unanswered_octets_max":
      return `unanswered_octets_max = ${value} is reached: NOTIFYs are put off until earlier ones are answered`
    case "unanswered_octets_share":
      return `unanswered_octets_max = ${value}: one address and port has as many of these as are left for all others: NOTIFYs there are put off until earlier ones are answered`
    case "unproven_targets_max":
      return `unproven_targets_max = ${value} is reached: NOTIFYs to further addresses that never answered are put off`
    case "unproven_waiting_max":
      return `unproven_waiting_max = ${value} is reached: further NOTIFYs to addresses that never answered are put off`
    case "unproven_waiting_per_target_max":
      return `unproven_waiting_per_target_max = ${value} is reached: further NOTIFYs to the same address that never answered are put off`
    case "handshakes_max":
      return `handshakes_max = ${value} is reached: the oldest handshake over TLS or WebSocket is given up for each new one, first for one from ${address}`
    case "connections_max":
      return `connections_max = ${value} is reached: further connections are closed at once, first one from ${address}`
    case "connections_per_source_max":
      return `connections_per_source_max = ${value} is reached by ${address}: further connections from there are closed at once`
    case "connection_idle":
      return `connection_idle = ${value}: a connection of ${address} was closed, on which nothing was received for so many seconds and no subscription depends; others are closed without being named`
    case "connection_octets_max":
      return `connection_octets_max = ${value}: a connection of ${address} was closed, which does not read what is sent to it`
    case "datagram_octets":
      return `a NOTIFY to ${address} is larger than a datagram can be, and no connection to there could be opened: it was not sent, and its subscription goes on; others are not named (presently_notify_outcomes_total{outcome="too_large"})`
    case "message_timeout":
      return `message_timeout = ${value}: a connection of ${address} was closed, on which a message began and was not completed in so many seconds`
  }
}
