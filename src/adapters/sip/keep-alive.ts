/**
 * Keep-alives to phones behind a NAT: two or four octets, often enough that the NAT does not forget the way to the phone
 * while it has a subscription.
 *
 * Only a phone that is reached where it was heard from, and has answered a NOTIFY there, is sent any.
 *
 * @source RFC 5626 §3.5, §4.4
 */
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { Limits } from "./options.ts"
import type { Connection, Flow } from "./transports/transport.ts"

export interface KeepAlive {
  /** The phone at this address, reached through `flow`, is to be kept reachable for so many milliseconds. */
  readonly begin: (flow: Flow, address: string, port: number, millis: number) => void
  /** It is not there any more. */
  readonly end: (flow: Flow, address: string, port: number) => void
  readonly tick: () => void
}

interface Kept {
  readonly flow: Flow
  readonly address: string
  readonly port: number
  until: number
  dueAt: number
}

/** As a datagram, and on a connection, where a single CRLF asks for no answer. */
const datagram = Buffer.from("\r\n\r\n", "latin1")
const onStream = Buffer.from("\r\n", "latin1")

const none: KeepAlive = { begin: () => {}, end: () => {}, tick: () => {} }

/** How often due ones are looked for, in milliseconds. */
const lookEvery = 1_000

export const makeKeepAlive = (
  { keepAliveMs, unprovenTargetsMax: keptMax }: Limits,
  counters: SipCounters,
  clock: () => number,
): KeepAlive => {
  if (keepAliveMs <= 0) return none
  const kept = new Map<string, Kept>()
  let lookAt = 0
  const keyOf = ({ transport, port: own }: Flow, address: string, port: number): string =>
    `${transport.name} ${own} ${address} ${port}`
  return {
    begin: (flow, address, port, millis) => {
      const now = clock()
      const key = keyOf(flow, address, port)
      const known = kept.get(key)
      if (known !== undefined && known.flow === flow) {
        known.until = Math.max(known.until, now + millis)
        // the NOTIFY and its answer have just gone through
        known.dueAt = now + keepAliveMs
        return
      }
      if (known === undefined && kept.size >= keptMax) return
      kept.set(key, { flow, address, port, until: now + millis, dueAt: now + keepAliveMs })
    },
    end: (flow, address, port) => kept.delete(keyOf(flow, address, port)),
    tick: () => {
      const now = clock()
      if (now < lookAt) return
      lookAt = now + lookEvery
      for (const [key, phone] of kept) {
        const { flow, address, port } = phone
        if (phone.until <= now || !isOpen(flow)) kept.delete(key)
        else if (phone.dueAt <= now) {
          phone.dueAt = now + keepAliveMs
          counters.keepAlivesSent++
          flow.send(flow.transport.isReliable ? onStream : datagram, address, port)
        }
      }
    },
  }
}

const isOpen = (flow: Flow): boolean => !("branches" in flow) || (flow as Connection).isOpen()
