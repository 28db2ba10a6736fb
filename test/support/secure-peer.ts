/**
 * Peers over TLS, and NOTIFYs in the dialogs that they make.
 */
import { connect, createServer } from "node:tls"
import type { ConnectionOptions, TLSSocket, TlsOptions } from "node:tls"
import { makeTlsIdentity, tlsDefault } from "../../src/adapters/sip/transports/tls-identity.ts"
import type { TlsIdentity, TlsOptions as Options } from "../../src/adapters/sip/transports/tls-identity.ts"
import type { Subscribe } from "../../src/domain/presentity/commands.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { notifyOf } from "./notify.ts"
import { watchSocket } from "./sip-peer.ts"
import type { TcpPeer, TestServer } from "./sip-peer.ts"

export interface TlsPeer extends TcpPeer {
  readonly socket: TLSSocket
}

export const identityWith = (options: Partial<Options>): TlsIdentity =>
  makeTlsIdentity({ ...tlsDefault, ...options })

/** Connects; fails when the handshake does. */
export const tlsPeer = async (port: number, options: ConnectionOptions = {}): Promise<TlsPeer> => {
  const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options })
  await new Promise<void>((resolve, reject) => {
    socket.once("secureConnect", () => resolve())
    socket.once("error", reject)
    socket.once("close", () => reject(new Error("closed during the handshake")))
  })
  socket.setNoDelay(true)
  return { ...watchSocket(socket), socket }
}

export interface TlsListening {
  readonly port: number
  readonly peers: TcpPeer[]
  readonly close: () => void
}

/** A watcher that listens on TLS. */
export const tlsListener = async (options: TlsOptions): Promise<TlsListening> => {
  const peers: TcpPeer[] = []
  const server = createServer(options, (socket) => peers.push(watchSocket(socket)))
  server.on("tlsClientError", () => {})
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))
  const address = server.address()
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    peers,
    close: () => {
      for (const peer of peers) peer.close()
      server.close()
    },
  }
}

let cseq = 0

/** A NOTIFY in the dialog of a SUBSCRIBE. */
export const notifyIn = (server: TestServer, command: Subscribe, changes: Partial<Notify> = {}): Notify =>
  notifyOf(command, { presentity: server.requests.at(-1)!.presentity!, cseq: ++cseq, ...changes })
