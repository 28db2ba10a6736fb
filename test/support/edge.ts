/**
 * A place that NOTIFYs are sent to, over UDP or TCP, which does what the test wants with them.
 */
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { makeSplitter, readMessage } from "../../src/app/client/wire.ts"
import type { Message } from "../../src/app/client/wire.ts"
import { messageText } from "./sip-client.ts"
import type { Headers } from "./sip-client.ts"

/** A status line without the version; `silence`: none; `close`: the connection is closed instead. */
export type Manner = "silence" | "close" | { readonly status: string; readonly headers?: Headers }

export const takes: Manner = { status: "200 OK" }

export interface Edge {
  readonly port: number
  /** The requests that have arrived, copies left out. */
  readonly taken: Message[]
  /** Connections that were accepted. */
  connections: number
  /** What it does from now on. */
  manner: Manner | ((request: Message) => Manner)
  readonly close: () => void
}

const responseTo = ({ raw }: Message, status: string, headers: Headers = {}): string =>
  messageText(`SIP/2.0 ${status}`, {
    Via: raw.vias,
    From: raw.from,
    To: raw.to,
    "Call-ID": raw.callId,
    CSeq: raw.cseqText,
    ...headers,
  })

/** @param port 0: any that is free */
export const openEdge = async (
  transport: "udp" | "tcp",
  manner: Edge["manner"] = takes,
  { host = "127.0.0.1", port = 0 }: { readonly host?: string; readonly port?: number } = {},
): Promise<Edge> => {
  const seen = new Set<string>()
  const took = (edge: Edge, bytes: Buffer): { readonly text: string | null; readonly isOver: boolean } => {
    const message = readMessage(bytes)
    if (message === null || !message.raw.isRequest) return { text: null, isOver: false }
    const transaction = `${message.raw.vias[0]}`
    if (!seen.has(transaction)) edge.taken.push(message)
    seen.add(transaction)
    const now = typeof edge.manner === "function" ? edge.manner(message) : edge.manner
    if (typeof now === "string") return { text: null, isOver: now === "close" }
    return { text: responseTo(message, now.status, now.headers), isOver: false }
  }
  if (transport === "udp") {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4")
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject)
      socket.bind(port, host, resolve)
    })
    const edge: Edge = {
      port: socket.address().port,
      taken: [],
      connections: 0,
      manner,
      close: () => socket.close(),
    }
    socket.on("message", (bytes, source) => {
      const { text } = took(edge, bytes)
      if (text !== null) socket.send(Buffer.from(text, "utf8"), source.port, source.address)
    })
    return edge
  }
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    edge.connections++
    open.add(socket)
    socket.on("error", () => {})
    socket.on("close", () => open.delete(socket))
    const split = makeSplitter()
    socket.on("data", (chunk) => {
      for (const bytes of split(chunk) ?? []) {
        const { text, isOver } = took(edge, bytes)
        if (isOver) socket.destroy()
        else if (text !== null) socket.write(Buffer.from(text, "utf8"))
      }
    })
  })
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, host, resolve))
  const address = server.address()
  const edge: Edge = {
    port: typeof address === "object" && address !== null ? address.port : port,
    taken: [],
    connections: 0,
    manner,
    close: () => {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
  return edge
}
