/**
 * WebSocket: one SIP message in each WebSocket message, over TCP or TLS.
 *
 * HTTP is Node's, framing is the package `ws`. Both are loaded with the first connection, so that servers without
 * WebSockets do not pay for them.
 *
 * @source RFC 7118, RFC 6455
 */
import { isUtf8 } from "node:buffer"
import { createServer } from "node:http"
import type { IncomingMessage, Server as HttpServer } from "node:http"
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { WebSocket, WebSocketServer } from "ws"
import type { SipCounters } from "../../../ports/sip-transport.ts"
import { readDatagram } from "../message-reader.ts"
import type { Names } from "../message-reader.ts"
import type { Limits } from "../options.ts"
import type { PeerCertificate } from "./certificate-names.ts"
import type { Framer } from "./framer.ts"
import { plainAddress } from "./local-address.ts"
import { countingProxyFaults, forwardedFor, noProxies } from "./proxies.ts"
import type { Remote } from "./proxy-header.ts"
import type { SocketParts } from "./transport.ts"
import { socketWire } from "./wire.ts"
import type { Wire } from "./wire.ts"

export interface WebSocketOptions {
  /** Whether a page of that origin may connect (RFC 6455 §10.2). Programs that are no browsers send none, and may. */
  readonly isOriginAllowed: (origin: string) => boolean
}

const allowAll: WebSocketOptions = { isOriginAllowed: () => true }

/** RFC 7118 §4. */
const subprotocol = "sip"

/** Why a request for a WebSocket is refused, and with which status. */
type Refusal = readonly [
  reason: "request" | "protocol" | "origin" | "forwarded",
  status: number,
  text: string,
]

const notAWebSocket: Refusal = [
  "request",
  426,
  "This is the WebSocket of a SIP server (RFC 7118): it is for SIP phones in browsers, and there is no page here.\n" +
    "If this page has asked you to accept a certificate, phones can use it now.\n",
]
const malformed: Refusal = ["request", 400, "Not a WebSocket handshake (RFC 6455 section 4.2.1)\n"]
const noProtocol: Refusal = [
  "protocol",
  400,
  "Sec-WebSocket-Protocol has to offer sip (RFC 7118 section 4)\n",
]
const otherOrigin: Refusal = ["origin", 403, "Pages of this origin may not connect (websocket_origins)\n"]

const notForwarded: Refusal = [
  "forwarded",
  400,
  "A proxy has to name the client in X-Forwarded-For (forwarded_for_from)\n",
]

const reasons: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  426: "Upgrade Required",
}

const responseText = (status: number, text: string): string =>
  `HTTP/1.1 ${status} ${reasons[status]}\r\nConnection: close\r\n` +
  (status === 426 ? "Upgrade: websocket\r\n" : "") +
  `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ${subprotocol}\r\n` +
  `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`

/** What is wrong with a request for a WebSocket; null: nothing. */
const refusalOf = ({ method, headers }: IncomingMessage, options: WebSocketOptions): Refusal | null => {
  const key = headers["sec-websocket-key"]
  const isHandshake =
    method === "GET" &&
    headers.upgrade?.toLowerCase() === "websocket" &&
    key !== undefined &&
    /^[+/0-9A-Za-z]{22}==$/.test(key) &&
    headers["sec-websocket-version"] === "13"
  if (!isHandshake) return malformed
  const offered = (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase())
  if (!offered.includes(subprotocol)) return noProtocol
  const { origin } = headers
  return origin === undefined || options.isOriginAllowed(origin) ? null : otherOrigin
}

/** Whose connection it is. */
interface Known {
  /** Null: that of the socket's peer. */
  readonly remote: Remote | null
  readonly certificate: PeerCertificate | null
}

interface Greeting extends Known {
  readonly done: (wire: Wire | null) => void
}

export interface UpgradeGreeting {
  /** Takes over a connection on which HTTP begins. @param done called once; null if it became no WebSocket */
  readonly greet: (socket: Socket, known: Known, done: Greeting["done"]) => void
}

interface Upgrader {
  readonly http: HttpServer
  readonly webSockets: WebSocketServer
}

export const makeUpgradeGreeting = (parts: SocketParts): UpgradeGreeting => {
  const underWay = new WeakMap<Duplex, Greeting>()
  let upgrader: Promise<Upgrader> | null = null
  return {
    greet: (socket, known, done) => {
      let isDone = false
      const settle = (wire: Wire | null): void => {
        if (isDone) return wire?.destroy()
        isDone = true
        done(wire)
      }
      underWay.set(socket, { ...known, done: settle })
      socket.on("error", () => socket.destroy())
      socket.once("close", () => settle(null))
      upgrader ??= load(parts, underWay)
      upgrader.then(
        ({ http }) => void http.emit("connection", socket),
        () => void socket.destroy(),
      )
    },
  }
}

const load = async (parts: SocketParts, underWay: WeakMap<Duplex, Greeting>): Promise<Upgrader> => {
  const { WebSocketServer } = await import("ws")
  const { limits, counters, webSocket: options = allowAll } = parts
  const http = createServer({
    maxHeaderSize: limits.headBytesMax,
    // the time of a handshake is limited by `streams.ts`
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 1,
    connectionsCheckingInterval: 2 ** 31 - 1,
  })
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.headBytesMax + limits.bodyBytesMax,
    handleProtocols: () => subprotocol,
  })
  const refuse = (socket: Duplex, [reason, status, text]: Refusal): void => {
    counters.upgradesRefused[reason] = (counters.upgradesRefused[reason] ?? 0) + 1
    socket.end(responseText(status, text), () => socket.destroy())
  }
  http.on("upgrade", (request, socket, head) => {
    const greeting = underWay.get(socket)
    if (greeting === undefined) return refuse(socket, malformed)
    const known = knownOf(parts, request, socket as Socket, greeting)
    const refusal = known === null ? notForwarded : refusalOf(request, options)
    if (refusal !== null || known === null) return refuse(socket, refusal ?? malformed)
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      greeting.done(webSocketWire(webSocket, socket as Socket, known, counters))
    })
  })
  http.on("request", ({ socket }) => refuse(socket, notAWebSocket))
  http.on("clientError", (_cause: Error, socket) => {
    if (socket.writable) refuse(socket, malformed)
    else socket.destroy()
  })
  // closed by `refuse`: HTTP must not answer `Expect` or a CONNECT by itself
  http.on("checkContinue", ({ socket }) => refuse(socket, notAWebSocket))
  http.on("checkExpectation", ({ socket }) => refuse(socket, notAWebSocket))
  http.on("connect", (_request, socket) => refuse(socket, malformed))
  return { http, webSockets }
}

/**
 * Whose connection it is, when a proxy may have passed the request on. The certificate is then that of the proxy, and no
 * identity of the client.
 *
 * @returns null if a listed proxy does not say so
 */
const knownOf = (
  { proxies = noProxies, onProxyFault, counters }: SocketParts,
  { headers }: IncomingMessage,
  socket: Socket,
  greeting: Known,
): Known | null => {
  const header = headers["x-forwarded-for"]
  const text = Array.isArray(header) ? header.join(",") : header
  const address = greeting.remote?.address ?? plainAddress(socket.remoteAddress ?? "")
  const onFault = onProxyFault ?? countingProxyFaults(counters)
  if (!proxies.forwards(address)) {
    if (text !== undefined) onFault("ignored", address)
    return greeting
  }
  const remote = forwardedFor(text, proxies.forwards)
  if (remote === null) onFault("forwarded", address, text === undefined ? "" : "no address in it")
  return remote === null ? null : { remote, certificate: null }
}

/** The wire of a WebSocket: what it delivers are whole messages. */
const webSocketWire = (
  webSocket: WebSocket,
  socket: Socket,
  { certificate, remote }: Known,
  counters: SipCounters,
): Wire => {
  // nothing may be lost between the handshake and `begin`
  webSocket.pause()
  webSocket.on("error", () => {
    counters.webSocketFaults++
  })
  return {
    ...socketWire(socket, certificate, remote),
    begin: ({ received, alive, closed }) => {
      socket.setNoDelay(true)
      webSocket.on("message", (data) => received(wholeOf(data)))
      webSocket.on("ping", alive)
      webSocket.on("pong", alive)
      webSocket.on("close", closed)
      webSocket.resume()
    },
    // RFC 7118 §5.2: either kind of frame; text where it can be text, which browsers get as a string
    write: (bytes) => webSocket.send(bytes, { binary: !isUtf8(bytes) }, () => {}),
    queued: () => webSocket.bufferedAmount,
    ping: () => webSocket.ping(),
    finish: (withinMs) => {
      webSocket.removeAllListeners("message")
      webSocket.close()
      setTimeout(() => webSocket.terminate(), withinMs).unref()
    },
    destroy: () => webSocket.terminate(),
  }
}

const wholeOf = (data: Buffer | ArrayBuffer | readonly Buffer[]): Buffer =>
  Buffer.isBuffer(data) ? data : data instanceof ArrayBuffer ? Buffer.from(data) : Buffer.concat(data)

const CR = 13
const LF = 10

/**
 * Each push is one whole message, so that framing is never lost.
 *
 * Content-Length may be missing (RFC 7118 §5.3); line ends alone are a keep-alive (RFC 5626 §3.5.1).
 */
export const makeMessageFramer = (limits: Limits, carried?: Names): Framer => ({
  isInside: () => false,
  push: (bytes, sink) => {
    if (bytes.every((byte) => byte === CR || byte === LF)) {
      if (bytes.length >= 4) sink.ping()
      return true
    }
    const message = readDatagram(bytes, limits, carried)
    if (message === null) sink.unreadable()
    else sink.message(message)
    return true
  },
})
