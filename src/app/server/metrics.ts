/**
 * What a running server reports to a monitoring system. No label ever contains a URI, or anything else that a sender of requests
 * can choose.
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import type { State } from "../../domain/presentity/state.ts"
import { entries, size, values } from "../../domain/table.ts"
import type { CertificateView } from "../../ports/certificate-view.ts"
import type { Writer, WriterCounters } from "../../ports/claim.ts"
import type { WebhookView } from "../../ports/operations.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { SourceHealth } from "../node/documents/source.ts"
import type { PumpCounters } from "../node/pump.ts"
import type { ReloadCounters } from "../node/reload.ts"
import { sourceFamilies } from "../node/source-health.ts"
import { carryOn, nothingCarried, withCarried } from "../telemetry/carried.ts"
import type { CarriedMetrics } from "../telemetry/carried.ts"
import { openMetricsText } from "../telemetry/open-metrics.ts"
import type { Family, Sample } from "../telemetry/open-metrics.ts"
import { version } from "../version.ts"
import type { RulesQueue } from "./own-rules.ts"

export interface MetricsSource {
  readonly wire: Readonly<SipCounters>
  readonly pump: Readonly<PumpCounters>
  readonly isReady: () => boolean
  readonly counts: () => {
    readonly presentities: number
    readonly dialogs: number
    readonly undecided: number
  }
  readonly states: () => Iterable<State>
  readonly lag: () => { readonly decisions: number }
  readonly position: () => number
  readonly webhooks: () => readonly WebhookView[]
  readonly sources: () => readonly SourceHealth[]
  readonly rulesQueue: () => RulesQueue
  readonly reloads: Readonly<ReloadCounters>
  readonly certificates: () => readonly CertificateView[]
  readonly timekeeping: { readonly families: () => readonly Family[] }
  /** Null: the log is not ours yet, or no other program can have it. */
  readonly writer?: () => Writer | null
  /** Of the process; absent: no other program can have the log. */
  readonly writerCounters?: Readonly<WriterCounters>
}

export interface Metrics {
  readonly text: (source: MetricsSource) => string
  readonly appended: (millis: number) => void
  /** So many NOTIFYs left, and how long after the change that they show. */
  readonly notified: (count: number, millis: number) => void
  /** The next server in this process continues from these counts. */
  readonly carry: (source: MetricsSource) => void
  readonly close: () => void
}

export const makeMetrics = (carried: CarriedMetrics = nothingCarried().metrics): Metrics => {
  const { append, latency } = carried
  const delay = monitorEventLoopDelay({ resolution: 20 })
  delay.enable()
  const startedAt = Math.round(performance.timeOrigin) / 1000
  const familiesOf = (source: MetricsSource): readonly Family[] => [
    { type: "info", name: "presently_build", help: "Version of this server.", labels: { version } },
    gauge("presently_ready", "Whether requests are decided.", source.isReady() ? 1 : 0),
    ...wireFamilies(source.wire),
    {
      type: "histogram",
      name: "presently_notify_latency_seconds",
      unit: "seconds",
      help: "From the arrival of a change, or its deadline, to the NOTIFYs that tell of it; what is held back counts from when it may go.",
      histogram: latency,
    },
    {
      type: "histogram",
      name: "presently_log_append_seconds",
      unit: "seconds",
      help: "Time to commit a batch of decisions.",
      histogram: append,
    },
    ...pumpFamilies(source),
    ...writerFamilies(source.writer?.() ?? null, source.writerCounters ?? { lapses: 0, fenced: 0 }),
    ...stateFamilies(source.states()),
    ...webhookFamilies(source.webhooks()),
    ...sourceFamilies(source.sources()),
    counter("presently_reloads", "Times the files were read again: in order, or refused.", [
      { labels: { outcome: "ok" }, value: source.reloads.ok },
      { labels: { outcome: "failed" }, value: source.reloads.failed },
    ]),
    gauge(
      "presently_reload_last_success_seconds",
      "When the files were last read in order, in seconds since 1970; the start counts.",
      source.reloads.lastOk,
      "seconds",
    ),
    ...certificateFamilies(source.certificates()),
    ...source.timekeeping.families(),
    ...processFamilies(startedAt),
    gauge(
      "presently_event_loop_delay_seconds",
      "How late the event loop was at worst since the last look.",
      worst(delay),
      "seconds",
    ),
  ]
  return {
    appended: (millis) => append.observe(millis / 1000),
    notified: (count, millis) => latency.observe(millis / 1000, count),
    close: () => void delay.disable(),
    text: (source) => openMetricsText(withCarried(familiesOf(source), carried)),
    carry: (source) => carryOn(familiesOf(source), carried),
  }
}

const worst = (delay: ReturnType<typeof monitorEventLoopDelay>): number => {
  const seconds = Number.isFinite(delay.max) ? delay.max / 1e9 : 0
  delay.reset()
  return seconds
}

const counter = (name: string, help: string, samples: number | readonly Sample[], unit?: string): Family => ({
  type: "counter",
  name,
  help,
  samples: typeof samples === "number" ? [{ value: samples }] : samples,
  ...(unit === undefined ? {} : { unit }),
})

const gauge = (name: string, help: string, samples: number | readonly Sample[], unit?: string): Family => ({
  type: "gauge",
  name,
  help,
  samples: typeof samples === "number" ? [{ value: samples }] : samples,
  ...(unit === undefined ? {} : { unit }),
})

const wireFamilies = (wire: Readonly<SipCounters>): readonly Family[] => [
  counter(
    "presently_sip_requests",
    "SIP requests answered, by method and status.",
    Object.entries(wire.responses).map(([key, value]) => {
      const [method = "", status = ""] = key.split(" ")
      return { labels: { method, status }, value }
    }),
  ),
  counter("presently_sip_messages_received", "SIP messages read.", wire.received),
  counter("presently_sip_messages_sent", "SIP messages sent.", wire.sent),
  counter(
    "presently_sip_retransmissions_absorbed",
    "Requests answered once more.",
    wire.retransmissionsAbsorbed,
  ),
  counter("presently_sip_challenges", "Requests asked to authenticate.", wire.challenges),
  counter(
    "presently_sip_peer_requests",
    "Requests of trusted peers, and beside them, not taken at their word.",
    [
      { labels: { what: "unnamed" }, value: wire.peerUnnamed },
      { labels: { what: "refused" }, value: wire.peerRefused },
      { labels: { what: "doubted" }, value: wire.peerDoubted },
      { labels: { what: "stranger" }, value: wire.strangersRefused },
    ],
  ),
  counter("presently_dropped", "Messages not handled.", [
    { labels: { reason: "unreadable" }, value: wire.dropped },
    { labels: { reason: "malformed" }, value: wire.malformed },
    { labels: { reason: "merged" }, value: wire.merged },
    { labels: { reason: "overload" }, value: wire.refusedOverload },
    { labels: { reason: "connection" }, value: wire.connectionsRefused + wire.connectionsRefusedOfSource },
    { labels: { reason: "send" }, value: wire.sendErrors },
  ]),
  ...secureFamilies(wire),
  ...notifyFamilies(wire),
  counter("presently_defects", "Faults of this software while a message was handled.", wire.defects),
  gauge("presently_sip_connections", "Open connections over TCP, TLS and WebSocket.", wire.connections),
  counter("presently_sip_connections_limited", "Connections refused or closed by a limit.", [
    { labels: { limit: "connections_max" }, value: wire.connectionsRefused },
    { labels: { limit: "connections_per_source_max" }, value: wire.connectionsRefusedOfSource },
    { labels: { limit: "connection_idle" }, value: wire.connectionsIdle },
    { labels: { limit: "connection_octets_max" }, value: wire.connectionsUnread },
    { labels: { limit: "message_timeout" }, value: wire.connectionsSlow },
    { labels: { limit: "silent" }, value: wire.connectionsSilent },
  ]),
  counter(
    "presently_sip_keep_alives",
    "Keep-alives of phones that were answered, and those sent to phones.",
    [
      { labels: { what: "answered" }, value: wire.keepAlivesAnswered },
      { labels: { what: "sent" }, value: wire.keepAlivesSent },
    ],
  ),
  gauge("presently_sip_transactions", "Transactions under way.", [
    { labels: { side: "server" }, value: wire.serverTransactions },
    { labels: { side: "client" }, value: wire.clientTransactions },
  ]),
]

const secureFamilies = (wire: Readonly<SipCounters>): readonly Family[] => [
  gauge("presently_sip_handshakes", "Handshakes (TLS, WebSocket) under way.", wire.handshakes),
  counter("presently_sip_handshakes_failed", "Handshakes (TLS, WebSocket) that came to nothing.", [
    { labels: { reason: "failed" }, value: wire.handshakesFailed },
    { labels: { reason: "time" }, value: wire.handshakesTimedOut },
    { labels: { reason: "limit" }, value: wire.handshakesRefused },
  ]),
  counter(
    "presently_sip_proxy_faults",
    "Connections refused for their PROXY header or X-Forwarded-For, and requests whose X-Forwarded-For was ignored.",
    Object.entries(wire.proxyFaults).map(([reason, value]) => ({ labels: { reason }, value })),
  ),
  counter(
    "presently_sip_websockets_refused",
    "Requests for a WebSocket that were refused.",
    Object.entries(wire.upgradesRefused).map(([reason, value]) => ({ labels: { reason }, value })),
  ),
  counter("presently_sip_websockets_closed", "WebSockets closed by this side.", [
    { labels: { reason: "fault" }, value: wire.webSocketFaults },
    { labels: { reason: "silent" }, value: wire.pingsUnanswered },
  ]),
  counter(
    "presently_sip_tls_peers_unverified",
    "Connections over TLS given up because the certificate of the peer was not that of the host.",
    wire.tlsPeersUnverified,
  ),
]

const certificateFamilies = (certificates: readonly CertificateView[]): readonly Family[] =>
  certificates.length === 0
    ? []
    : [
        gauge(
          "presently_certificate_expiry_seconds",
          "When a certificate of this server expires, in seconds since 1970.",
          certificates.map(({ file, until }) => ({ labels: { file }, value: until / 1_000 })),
          "seconds",
        ),
      ]

const notifyFamilies = (wire: Readonly<SipCounters>): readonly Family[] => [
  counter("presently_notify_sent", "NOTIFY requests begun.", wire.notifySent),
  counter("presently_notify_retransmitted", "NOTIFY requests sent once more.", wire.notifyRetransmitted),
  counter("presently_notify_outcomes", "How NOTIFYs ended.", [
    { labels: { outcome: "accepted" }, value: wire.notifyAccepted },
    { labels: { outcome: "refused" }, value: wire.notifyRefused },
    { labels: { outcome: "timed_out" }, value: wire.notifyTimedOut },
    { labels: { outcome: "unreachable" }, value: wire.notifyUnreachable },
    { labels: { outcome: "unproven" }, value: wire.notifyUnproven },
    { labels: { outcome: "unrepeated" }, value: wire.notifyUnrepeated },
    { labels: { outcome: "flow_lost" }, value: wire.notifyFlowLost },
    { labels: { outcome: "too_large" }, value: wire.notifyTooLarge },
  ]),
  counter("presently_notify_large", "NOTIFYs too large for a datagram by udp_mtu, by how they were sent.", [
    { labels: { over: "stream" }, value: wire.bigRequestsOverTcp },
    { labels: { over: "datagram" }, value: wire.bigRequestsFellBack },
  ]),
  counter(
    "presently_notify_failed_over",
    "Places that did not take a NOTIFY, after which another one of the same name was tried.",
    wire.notifyFailedOver,
  ),
  counter(
    "presently_notify_targets_kept",
    "Contacts in answers to NOTIFYs that would have moved the target to where nobody had answered.",
    wire.targetsKept,
  ),
  counter("presently_notify_limited", "NOTIFYs that met a limit.", [
    { labels: { limit: "unanswered_octets_max" }, value: wire.notifyTooManyOctets },
    { labels: { limit: "unanswered_octets_share" }, value: wire.notifyShareUsed },
    { labels: { limit: "unproven_targets_max" }, value: wire.unprovenTargetsFull },
    { labels: { limit: "unproven_waiting_max" }, value: wire.unprovenDropped },
    { labels: { limit: "unproven_waiting_per_target_max" }, value: wire.unprovenDroppedOfTarget },
    { labels: { limit: "address" }, value: wire.unprovenWaited },
  ]),
  gauge(
    "presently_notify_waiting",
    "NOTIFYs that wait until their address has answered.",
    wire.unprovenWaiting,
  ),
  gauge(
    "presently_notify_unanswered_bytes",
    "Octets of NOTIFYs that wait for an answer.",
    wire.clientOctets,
    "bytes",
  ),
]

const pumpFamilies = ({ pump, counts, lag, position, rulesQueue }: MetricsSource): readonly Family[] => {
  const rules = rulesQueue()
  const { presentities, dialogs, undecided } = counts()
  return [
    counter("presently_log_decisions", "Decisions stored.", pump.decisions),
    counter("presently_log_batches", "Appends to the log.", pump.batches),
    counter(
      "presently_log_conflicts",
      "Decisions made again because another writer came first.",
      pump.conflicts,
    ),
    counter("presently_refused", "Requests answered 503.", [
      { labels: { reason: "busy" }, value: pump.refusedBusy },
      { labels: { reason: "unavailable" }, value: pump.refusedUnavailable },
      { labels: { reason: "rules" }, value: rules.refused },
    ]),
    gauge(
      "presently_rules_waiting",
      "SUBSCRIBEs that wait for the function that gives rules.",
      rules.waiting,
    ),
    counter("presently_store_outages", "Times the store went away.", pump.outages),
    gauge("presently_log_position", "Position up to which the log is committed.", position()),
    gauge("presently_projection_lag_events", "Decisions that the tables do not show yet.", lag().decisions),
    gauge("presently_presentities", "Presentities with something alive.", presentities),
    gauge("presently_dialogs", "Subscription dialogs.", dialogs),
    gauge("presently_undecided", "Requests decided and not yet committed.", undecided),
  ]
}

const writerFamilies = (
  writer: Writer | null,
  { lapses, fenced }: Readonly<WriterCounters>,
): readonly Family[] => [
  gauge(
    "presently_writer_epoch",
    "How often the log was taken when this server took it; 0: it has not.",
    writer?.holder.epoch ?? 0,
  ),
  counter(
    "presently_writer_lapses",
    "Times when it was not sure any more that nobody else writes to the log.",
    lapses,
  ),
  counter(
    "presently_writer_fenced",
    "Writes that were kept out because the log was somebody else's.",
    fenced,
  ),
]

/** Computed on request: one pass over everything alive. */
const stateFamilies = (states: Iterable<State>): readonly Family[] => {
  const publications = new Map<string, number>()
  const subscriptions = new Map<string, { active: number; pending: number; waiting: number }>()
  const countsOf = (event: string) => {
    const found = subscriptions.get(event) ?? { active: 0, pending: 0, waiting: 0 }
    subscriptions.set(event, found)
    return found
  }
  for (const state of states) {
    for (const [event, live] of entries(state.publications)) {
      publications.set(event, (publications.get(event) ?? 0) + size(live))
    }
    for (const { packageName, status } of values(state.subscriptions)) countsOf(packageName)[status] += 1
    for (const { packageName } of values(state.waiting)) countsOf(packageName).waiting += 1
  }
  return [
    gauge(
      "presently_publications",
      "Live publications by event package.",
      [...publications].map(([event, value]) => ({ labels: { event }, value })),
    ),
    gauge(
      "presently_subscriptions",
      "Subscriptions by event package and state; waiting: their watchers still wait to be decided on.",
      [...subscriptions].flatMap(([event, byState]) =>
        Object.entries(byState).map(([state, value]) => ({ labels: { event, state }, value })),
      ),
    ),
  ]
}

const webhookFamilies = (webhooks: readonly WebhookView[]): readonly Family[] => {
  const sum = (valueOf: (webhook: WebhookView) => number): number =>
    webhooks.reduce((all, webhook) => all + valueOf(webhook), 0)
  return [
    gauge(
      "presently_webhooks",
      "Webhooks by state.",
      (["sending", "retrying", "stopped"] as const).map((state) => ({
        labels: { state },
        value: sum((webhook) => (webhook.state === state ? 1 : 0)),
      })),
    ),
    gauge(
      "presently_webhook_dead_letters",
      "Messages that webhooks never took.",
      sum((webhook) => webhook.dead_letters),
    ),
  ]
}

const processFamilies = (startedAt: number): readonly Family[] => {
  const { user, system } = process.cpuUsage()
  return [
    counter("process_cpu_seconds", "CPU time used.", (user + system) / 1e6, "seconds"),
    gauge("process_resident_memory_bytes", "Resident memory.", process.memoryUsage.rss(), "bytes"),
    gauge(
      "process_start_time_seconds",
      "When the process began, in seconds since 1970.",
      startedAt,
      "seconds",
    ),
  ]
}
