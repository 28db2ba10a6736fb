/**
 * TLS.
 *
 * @source RFC 3261 §26.2.1, RFC 5922, RFC 5923
 */
import type { Socket } from "node:net"
import { connect } from "node:tls"
import { openStreams } from "./streams.ts"
import { connectSecurely, greetSecurely } from "./tls-sockets.ts"
import type { Transport } from "./transport.ts"

export const tls: Transport<"tls"> = {
  name: "tls",
  viaName: "TLS",
  isReliable: true,
  isSecure: true,
  isDialed: true,
  defaultPort: 5_061,
  // RFC 3261 §26.2.2 deprecates `transport=tls`, which phones write all the same
  namedBy: ["sip:tls", "sips:tls", "sips:tcp"],
  uriParameter: "tls",
  secureUriParameter: null,
  naptrService: "SIPS+D2T",
  srvPrefix: "_sips._tcp.",
  bigRequestsOver: null,
  besidePortOf: null,
  connect: (address, port, connected, options = {}): Socket =>
    connect(
      {
        host: address,
        port,
        ...(options.servername === undefined ? {} : { servername: options.servername }),
        ...(options.authorities === undefined ? {} : { ca: options.authorities }),
        rejectUnauthorized: options.isVerified ?? true,
      },
      connected,
    ).setNoDelay(true),
  makeSockets: (parts) =>
    openStreams(tls, { greet: greetSecurely(parts), connect: connectSecurely(parts) }, parts),
}
