/** What a server reports of TLS and WebSocket. */
import type { CertificateView } from "../../ports/certificate-view.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import { counter, gauge } from "../telemetry/families.ts"
import type { Family } from "../telemetry/open-metrics.ts"

export const secureFamilies = (wire: Readonly<SipCounters>): readonly Family[] => [
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
    "presently_sip_tls_faults",
    "Connections that ended because what came was no TLS, after the handshake.",
    wire.tlsFaults,
  ),
  counter(
    "presently_sip_tls_peers_unverified",
    "Connections over TLS given up because the certificate of the peer was not that of the host.",
    wire.tlsPeersUnverified,
  ),
]

export const certificateFamilies = (certificates: readonly CertificateView[]): readonly Family[] =>
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
