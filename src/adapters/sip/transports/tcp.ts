/**
 * TCP.
 *
 * @source RFC 3261 §18
 */
import { connect, createServer } from "node:net"
import { openStreams } from "./streams.ts"
import type { Transport } from "./transport.ts"

export const tcp: Transport<"tcp"> = {
  name: "tcp",
  viaName: "TCP",
  isReliable: true,
  isSecure: false,
  defaultPort: 5_060,
  namedBy: ["sip:tcp"],
  uriParameter: "tcp",
  naptrService: "SIP+D2T",
  srvPrefix: "_sip._tcp.",
  bigRequestsOver: null,
  besidePortOf: "udp",
  connect: (address, port, connected) => connect({ host: address, port, noDelay: true }, connected),
  makeSockets: (parts) =>
    openStreams(
      tcp,
      {
        createServer: (accept) => createServer({ allowHalfOpen: true }, accept),
        connect: (address, port, connected) => connect({ host: address, port }, connected),
      },
      parts,
    ),
}
