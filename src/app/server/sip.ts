/**
 * The SIP side of a server: turns its settings into options of the stack.
 */
import { randomBytes } from "node:crypto"
import { Effect, Layer } from "effect"
import type { DeviceRecognition } from "../../adapters/sip/device.ts"
import type { SipLimit, SipOptions } from "../../adapters/sip/options.ts"
import { readPeers } from "../../adapters/sip/peers.ts"
import type { KeptOfRequests } from "../../adapters/sip/request-facts.ts"
import { layerSip } from "../../adapters/sip/stack.ts"
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
    const { config, packages, policy, say } = yield* ServerSettings
    const { users, certificates } = yield* Reload
    return layerSip({
      ...addressingOf(config),
      packages,
      auth: authOf(config, users),
      tls: certificates.identity,
      webSocket: { isOriginAllowed: originAllowed(config, !isAuthenticated(config)) },
      policy,
      attention,
      onDefect: (defect) => say(defectLine("SIP", "a message", defect)),
      onPeer: (line) => say(Effect.logWarning(line)),
      onLimit: (limit, address) => {
        const value = config[limit === "unanswered_octets_share" ? "unanswered_octets_max" : limit]
        say(Effect.logWarning(limitInWords(limit, value, address)))
      },
    })
  }),
)

const addressingOf = (config: Config) => ({
  listen: config.listen,
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
    case "message_timeout":
      return `message_timeout = ${value}: a connection of ${address} was closed, on which a message began and was not completed in so many seconds`
  }
}
