/** The transport, flow and Contact that a request arrived on, as its dialog will use them. */
import type { ReceivedOn } from "./decode-result.ts"
import type { SipOptions } from "./options.ts"
import { formatUri } from "./sip-package.ts"
import type { LocalHosts } from "./transports/local-address.ts"
import type { Flow, Listener, Transport } from "./transports/transport.ts"
import { bracketed } from "./uri.ts"
import type { Target } from "./via.ts"

/** One of our addresses, with what is derived from it. */
interface Own {
  readonly transport: Transport
  readonly host: string
  readonly port: number
  readonly flow: string
  readonly contact: string
  readonly secureContact: () => string | null
}

const describe = (
  { contactUri, contactUser = "presence" }: Pick<SipOptions, "contactUri" | "contactUser">,
  transport: Transport,
  host: string,
  port: number,
  secure: () => Listener | null,
): Own => {
  const printed = bracketed(host)
  const secureContact = (): string | null => {
    if (contactUri !== null && contactUri !== undefined && /^sips:/i.test(contactUri)) return contactUri
    const listener = transport.isSecure ? { transport, port } : secure()
    if (listener === null) return null
    const { secureUriParameter: uriParameter } = listener.transport
    return formatUri(contactUser, printed, listener.port, { uriParameter }, "sips")
  }
  return {
    transport,
    host,
    port,
    flow: `${transport.name}:${printed}:${port}`,
    contact: contactUri ?? formatUri(contactUser, printed, port, transport),
    secureContact,
  }
}

/** @param listeners those currently open; may change @returns a function of the flow, the source address and port, and where the response goes */
export const makeArrivals = (
  options: Pick<SipOptions, "contactUri" | "contactUser">,
  local: LocalHosts,
  listeners: readonly Listener[] = [],
): ((flow: Flow, address: string, port: number, answeredTo: Target) => ReceivedOn) => {
  /** One that can be connected to: a phone in a browser knows no other than its own connection. */
  let secureListener: Listener | null = null
  let looked = 0
  const secure = (): Listener | null => {
    // they are opened one after the other
    if (looked !== listeners.length)
      secureListener = listeners.find(({ transport: { isSecure, isDialed } }) => isSecure && isDialed) ?? null
    looked = listeners.length
    return secureListener
  }
  /** One entry for each address of our own. */
  const known = new Map<string, Own>()
  let last: Own | null = null
  const ownAt = (transport: Transport, host: string, port: number): Own => {
    if (last !== null && last.port === port && last.host === host && last.transport === transport) return last
    const key = `${transport.name} ${host} ${port}`
    last = known.get(key) ?? describe(options, transport, host, port, secure)
    known.set(key, last)
    return last
  }
  return ({ transport, host, port: ownPort, certificate }, address, port, answeredTo) => {
    const own = ownAt(transport, local.towards(host, address), ownPort)
    return {
      transport,
      flow: own.flow,
      contact: own.contact,
      secureContact: own.secureContact,
      certificate,
      sourceAddress: address,
      sourcePort: port,
      answeredTo,
    }
  }
}
