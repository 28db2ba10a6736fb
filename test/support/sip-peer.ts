/**
 * A server on loopback with a scripted core, and peers that talk to it over real sockets.
 */
import { createSocket } from "node:dgram"
import { connect, createServer } from "node:net"
import type { Server, Socket } from "node:net"
import { Effect, Exit, Scope } from "effect"
import { make } from "../../src/adapters/sip/stack.ts"
import type { Sip, SipOptions } from "../../src/adapters/sip/stack.ts"
import type { DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import type { EntityTag } from "../../src/domain/vocabulary.ts"
import type { Request, SipHandler } from "../../src/ports/sip-transport.ts"
import { holds } from "./condition.ts"

export interface TestServer {
  readonly sip: Sip
  readonly port: number
  readonly requests: Request[]
  readonly outcomes: { readonly cseq: number; readonly outcome: DeliveryOutcome }[]
  /** Determines the answer to a request; by default it is accepted. */
  respond: (request: Request) => void
  readonly close: () => Promise<void>
}

export const acceptRequest = (request: Request): void => {
  const { command, answer } = request
  if (command._tag === "Publish")
    answer({
      _tag: "Accepted",
      reply: { _tag: "Published", entityTag: "tag-1" as EntityTag, expires: command.expires ?? 3600 },
    })
  else if (command._tag === "Subscribe" || command._tag === "Resubscribe")
    answer({ _tag: "Accepted", reply: { _tag: "Subscribed", status: 200, expires: command.expires ?? 3600 } })
}

/** On one port for UDP and TCP. */
export const startServer = async (
  options: Partial<SipOptions> = {},
  handler: Pick<SipHandler, "overload" | "maySend"> = {},
): Promise<TestServer> => {
  const sip = make({
    listen: [
      { transport: "udp", host: "127.0.0.1", port: 0 },
      { transport: "tcp", host: "127.0.0.1", port: 0 },
    ],
    domains: ["example.com"],
    packages: { allowEvents: "presence, presence.winfo", accept: ["application/pidf+xml"] },
    ...options,
  })
  const scope = Effect.runSync(Scope.make())
  const server: TestServer = {
    sip,
    port: 0,
    requests: [],
    outcomes: [],
    respond: acceptRequest,
    close: () => Effect.runPromise(Scope.close(scope, Exit.void)),
  }
  await Effect.runPromise(
    sip
      .listen({
        submit: (request) => {
          server.requests.push(request)
          server.respond(request)
        },
        delivered: (_presentity, _no, cseq, outcome) => {
          server.outcomes.push({ cseq, outcome })
        },
        ...handler,
      })
      .pipe(Scope.provide(scope)),
  )
  const ports = sip.addresses().map((address) => address.slice(address.lastIndexOf(":") + 1))
  if (options.listen !== undefined || new Set(ports).size === 1)
    return Object.assign(server, { port: Number(ports[0]) })
  // another process has that port for TCP
  await server.close()
  return startServer(options, handler)
}

/** Waits until the condition holds. */
export const eventually = (condition: () => boolean): Promise<boolean> =>
  holds("what the test waits for", condition)

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export interface UdpPeer {
  readonly port: number
  readonly messages: string[]
  readonly send: (text: string | Buffer) => void
  /** The next message not taken yet. */
  readonly next: () => Promise<string>
  readonly close: () => void
}

export const udpPeer = async (serverPort: number): Promise<UdpPeer> => {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const messages: string[] = []
  let taken = 0
  socket.on("message", (bytes) => messages.push(bytes.toString("latin1")))
  return {
    port: socket.address().port,
    messages,
    send: (text) => socket.send(text, serverPort, "127.0.0.1"),
    next: async () => {
      await eventually(() => messages.length > taken)
      return messages[taken++]!
    },
    close: () => socket.close(),
  }
}

export interface TcpPeer {
  readonly socket: Socket
  readonly localPort: number
  /** Everything received so far. */
  readonly text: () => string
  readonly isClosed: () => boolean
  readonly send: (text: string | Buffer) => void
  readonly close: () => void
}

export const watchSocket = (socket: Socket): TcpPeer => {
  let text = ""
  let isClosed = false
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1")
  })
  socket.on("error", () => {})
  socket.on("close", () => {
    isClosed = true
  })
  return {
    socket,
    localPort: socket.localPort ?? 0,
    text: () => text,
    isClosed: () => isClosed,
    send: (bytes) => socket.write(bytes),
    close: () => socket.destroy(),
  }
}

export const tcpPeer = async (serverPort: number): Promise<TcpPeer> => {
  const socket = connect(serverPort, "127.0.0.1")
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => resolve())
    socket.once("error", reject)
  })
  socket.setNoDelay(true)
  return watchSocket(socket)
}

/** A watcher that listens on TCP. */
export interface TcpListening {
  readonly port: number
  readonly peers: TcpPeer[]
  readonly close: () => void
}

/** @returns null if another process has the port */
export const tcpListener = async (port = 0): Promise<TcpListening | null> => {
  const peers: TcpPeer[] = []
  const server: Server = createServer((socket) => peers.push(watchSocket(socket)))
  const isOurs = await new Promise<boolean>((resolve) => {
    server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true))
  })
  if (!isOurs) return null
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

/** The response of a well-behaved watcher to a NOTIFY. */
export const answerTo = (request: string, status = "200 OK", extra = ""): string => {
  const copied = request
    .split("\r\n\r\n")[0]!
    .split("\r\n")
    .filter((line) =>
      ["via", "from", "to", "call-id", "cseq"].includes(line.slice(0, line.indexOf(":")).toLowerCase()),
    )
  return `SIP/2.0 ${status}\r\n${copied.join("\r\n")}\r\n${extra}Content-Length: 0\r\n\r\n`
}
