/** TLS handshakes, of connections that peers open and of those that we open. */
import { isIP } from "node:net"
import type { Socket } from "node:net"
import { createServer as createTlsServer, connect as connectTls } from "node:tls"
import type { TLSSocket, Server as TlsServer } from "node:tls"
import { covers, namesOf } from "./certificate-names.ts"
import type { PeerCertificate } from "./certificate-names.ts"
import type { StreamOpener } from "./stream-state.ts"
import { tlsDefault, makeTlsIdentity } from "./tls-identity.ts"
import type { TlsIdentity } from "./tls-identity.ts"
import type { SocketParts } from "./transport.ts"
import { socketWire } from "./wire.ts"

let without: TlsIdentity | null = null

/** The identity of the stack, or one without certificates. */
const identityOf = ({ tls }: SocketParts): TlsIdentity => tls ?? (without ??= makeTlsIdentity(tlsDefault))

/** The verified certificate of the peer; null: it showed none, or none to be trusted. */
export const certificateOf = (socket: TLSSocket): PeerCertificate | null => {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  return certificate === undefined ? null : namesOf(certificate)
}

/** Both ends of a connection: no two open ones of this machine have the same. */
const endsOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

/** How a TLS server takes over accepted sockets. */
export interface TlsGreeting {
  /** @param done called once: with the secured socket, or null if the handshake failed */
  readonly greet: (socket: Socket, done: (secured: TLSSocket | null) => void) => void
}

/** Nothing is made before the first connection. */
export const makeTlsGreeting = (parts: SocketParts): TlsGreeting => {
  const underWay = new Map<string, (secured: TLSSocket | null) => void>()
  let server: TlsServer | null = null
  return {
    greet: (socket, done) => {
      server ??= makeServer(identityOf(parts), underWay)
      const ends = endsOf(socket)
      const settle = (secured: TLSSocket | null): void => {
        if (!underWay.delete(ends)) return
        done(secured)
      }
      underWay.set(ends, settle)
      socket.once("close", () => settle(null))
      server.emit("connection", socket)
    },
  }
}

const makeServer = (
  identity: TlsIdentity,
  underWay: ReadonlyMap<string, (secured: TLSSocket | null) => void>,
): TlsServer => {
  const { clients } = identity.options()
  const server = createTlsServer({
    ...identity.serverOptions(),
    // the time of a handshake is limited by `streams.ts`
    handshakeTimeout: 2 ** 31 - 1,
    requestCert: clients !== "off",
    rejectUnauthorized: clients === "required",
    SNICallback: (name, done) => {
      try {
        done(null, identity.contextFor(name))
      } catch (cause) {
        done(cause instanceof Error ? cause : new Error(String(cause)))
      }
    },
  })
  identity.onReplace(() => server.setSecureContext(identity.serverOptions()))
  server.on("secureConnection", (secured: TLSSocket) => underWay.get(endsOf(secured))?.(secured))
  server.on("tlsClientError", (_cause: Error, socket: Socket) => void socket.destroy())
  server.on("error", () => {})
  return server
}

/** Connections that peers open. */
export const greetSecurely = (parts: SocketParts): NonNullable<StreamOpener["greet"]> => {
  const { greet } = makeTlsGreeting(parts)
  return (socket, remote, done) =>
    greet(socket, (secured) =>
      done(secured === null ? null : socketWire(secured, certificateOf(secured), remote)),
    )
}

/**
 * Connections that we open. The peer has to prove the name that the URI gave, not one that DNS led to (RFC 5922 §7.3):
 * otherwise whoever answers DNS would decide who is believed.
 */
export const connectSecurely =
  (parts: SocketParts): StreamOpener["connect"] =>
  (address, port, name, connected) => {
    const identity = identityOf(parts)
    const { verifiesServers } = identity.options()
    const expected = name ?? address
    const socket = connectTls({
      host: address,
      port,
      secureContext: identity.clientContext(),
      // RFC 6066 §3: an address is no server name
      ...(isIP(expected) === 0 ? { servername: expected } : {}),
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    })
    socket.once("secureConnect", () => {
      const certificate = certificateOf(socket)
      if (verifiesServers && (certificate === null || !covers(certificate, expected))) {
        parts.counters.tlsPeersUnverified++
        socket.destroy(new Error(`no certificate of ${expected}`))
        return
      }
      connected(socketWire(socket, certificate))
    })
    return socket
  }
