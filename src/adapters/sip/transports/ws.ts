/**
 * WebSocket without TLS.
 *
 * @source RFC 7118
 */
import { openStreams } from "./streams.ts"
import type { Transport } from "./transport.ts"
import { makeMessageFramer, makeUpgradeGreeting } from "./web-socket.ts"

export const ws: Transport<"ws"> = {
  name: "ws",
  viaName: "WS",
  isReliable: true,
  isSecure: false,
  isDialed: false,
  defaultPort: 80,
  namedBy: ["sip:ws"],
  uriParameter: "ws",
  secureUriParameter: null,
  naptrService: "SIP+D2W",
  srvPrefix: "_sip._ws.",
  bigRequestsOver: null,
  besidePortOf: null,
  connect: null,
  makeSockets: (parts) => {
    const { greet } = makeUpgradeGreeting(parts)
    return openStreams(
      ws,
      {
        greet: (socket, remote, done) => greet(socket, { remote, certificate: null }, done),
        isForwarded: true,
        connect: null,
        makeFramer: makeMessageFramer,
      },
      parts,
    )
  },
}
