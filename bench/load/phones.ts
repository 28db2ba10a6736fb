/**
 * Publishers and watchers of a presence server behind one UDP socket: requests with their responses, and every NOTIFY
 * answered with 200 as soon as it comes.
 *
 * The least that a correct phone does: no retransmission (a lost response fails the run), no authentication, no routes.
 */
import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"

/** An answer or a NOTIFY that has not come after this long fails the run. */
const patienceMillis = 10_000

export interface Response {
  readonly status: number
  readonly text: string
}

export interface Phones {
  /** `127.0.0.1:40123`: what Contact and Via say. */
  readonly address: string
  readonly ask: (request: string, callId: string) => Promise<Response>
  /** Calls back with the text of each NOTIFY of this dialog's Call-ID, after it was answered. */
  readonly onNotify: (callId: string, take: (text: string) => void) => void
  readonly close: () => void
}

export const openPhones = async (port: number): Promise<Phones> => {
  const socket: Socket = createSocket({ type: "udp4", recvBufferSize: 8 << 20, sendBufferSize: 8 << 20 })
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound))
  await new Promise<void>((connected) => socket.connect(port, "127.0.0.1", connected))
  const waiting = new Map<string, (response: Response) => void>()
  const watching = new Map<string, (text: string) => void>()
  socket.on("message", (octets) => {
    const text = octets.toString("latin1")
    const callId = headerOf(text, "Call-ID")
    if (text.startsWith("SIP/2.0 ")) {
      const settle = waiting.get(callId)
      waiting.delete(callId)
      settle?.({ status: Number(text.slice(8, 11)), text })
    } else if (text.startsWith("NOTIFY ")) {
      socket.send(acceptanceOf(text))
      watching.get(callId)?.(text)
    }
  })
  return {
    address: `127.0.0.1:${socket.address().port}`,
    ask: (request, callId) =>
      new Promise((resolve, reject) => {
        const late = setTimeout(() => {
          reject(new Error(`no response within ${patienceMillis} ms to: ${request.slice(0, 200)}`))
        }, patienceMillis)
        waiting.set(callId, (response) => {
          clearTimeout(late)
          resolve(response)
        })
        socket.send(request)
      }),
    onNotify: (callId, take) => {
      watching.set(callId, take)
    },
    close: () => {
      socket.close()
    },
  }
}

/** The value of a header by its long name, as presently writes it; empty when there is none. */
export const headerOf = (text: string, name: string): string => {
  const mark = `\r\n${name}: `
  const at = text.indexOf(mark)
  return at < 0 ? "" : text.slice(at + mark.length, text.indexOf("\r\n", at + mark.length))
}

/** @source RFC 3261 §8.2.6.2: Via, From, To, Call-ID and CSeq are those of the request. */
const acceptanceOf = (notify: string): string => {
  const copied = ["Via", "From", "To", "Call-ID", "CSeq"].map(
    (name) => `${name}: ${headerOf(notify, name)}\r\n`,
  )
  return `SIP/2.0 200 OK\r\n${copied.join("")}Content-Length: 0\r\n\r\n`
}
