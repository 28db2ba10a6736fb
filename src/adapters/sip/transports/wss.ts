/**
 * WebSocket over TLS.
 *
 * @source RFC 7118
 */
import { openStreams } from "./streams.ts"
import { certificateOf, makeTlsGreeting } from "./tls-sockets.ts"
import type { Transport } from "./transport.ts"
import { makeMessageFramer, makeUpgradeGreeting } from "./web-socket.ts"

export const wss: Transport<"wss"> = {
  name: "wss",
  viaName: "WSS",
  isReliable: true,
  isSecure: true,
  isDialed: false,
  defaultPort: 443,
  // RFC 7118 §5.2.4 registers `ws` alone, which a sips URI makes secure; `wss` is what some proxies write
  namedBy: ["sips:ws", "sip:wss", "sips:wss"],
  uriParameter: "ws",
  secureUriParameter: "ws",
  naptrService: "SIPS+D2W",
  srvPrefix: "_sips._ws.",
  bigRequestsOver: null,
  besidePortOf: null,
  connect: null,
  makeSockets: (parts) => {
    const secured = makeTlsGreeting(parts)
    const upgrade = makeUpgradeGreeting(parts)
    return openStreams(
      wss,
      {
        greet: (socket, remote, done) =>
          secured.greet(socket, (secure) => {
            if (secure === null) done(null)
            else upgrade.greet(secure, { remote, certificate: certificateOf(secure) }, done)
          }),
        isForwarded: true,
        connect: null,
        makeFramer: makeMessageFramer,
      },
      parts,
    )
  },
}
