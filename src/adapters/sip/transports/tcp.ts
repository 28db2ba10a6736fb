/**
 * TCP.
 *
 * @source RFC 3261 §18
 */
import { connect } from "node:net"
import { openStreams } from "./streams.ts"
import type { Transport } from "./transport.ts"
import { socketWire } from "./wire.ts"

export const tcp: Transport<"tcp"> = {
  name: "tcp",
  viaName: "TCP",
  isReliable: true,
  isSecure: false,
  isDialed: true,
  defaultPort: 5_060,
  namedBy: ["sip:tcp"],
  uriParameter: "tcp",
  secureUriParameter: null,
  naptrService: "SIP+D2T",
  srvPrefix: "_sip._tcp.",
  bigRequestsOver: null,
  besidePortOf: "udp",
  connect: (address, port, connected) => connect({ host: address, port, noDelay: true }, connected),
  makeSockets: (parts) =>
    openStreams(
      tcp,
      {
        connect: (address, port, _name, connected) => {
          const socket = connect({ host: address, port }, () => connected(socketWire(socket)))
          return socket
        },
      },
      parts,
    ),
}
