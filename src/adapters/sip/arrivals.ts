/** The transport, flow and Contact that a request arrived on, as its dialog will use them. */
import type { AdvertisedFor, Shown } from "./advertised.ts"
import type { ReceivedOn } from "./decode-result.ts"
import type { SipOptions } from "./options.ts"
import { formatUri } from "./sip-package.ts"
import { isWildcard } from "./transports/local-address.ts"
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

type ArrivalOptions = Pick<SipOptions, "contactUri" | "contactUser">

/** What our addresses are made from. */
export interface OwnParts {
  readonly local: LocalHosts
  /** Null: nothing is advertised. */
  readonly advertisedFor: AdvertisedFor | null
}

/** A local address, and what others are told instead. */
interface Place {
  readonly transport: Transport
  readonly host: string
  readonly port: number
  readonly shown: Shown
}

const describe = (
  { contactUri, contactUser = "presence" }: ArrivalOptions,
  { transport, host, port, shown }: Place,
  secured: () => string | null,
): Own => {
  const isSips = contactUri !== null && contactUri !== undefined && /^sips:/i.test(contactUri)
  return {
    transport,
    host,
    port,
    flow: `${transport.name}:${bracketed(host)}:${port}`,
    contact: contactUri ?? formatUri(contactUser, bracketed(shown.host), shown.port, transport),
    secureContact: isSips ? () => contactUri : secured,
  }
}

/** Of the listeners that can be connected to over TLS, the one at that address: a phone in a browser knows no other than its own connection. */
const secureListenerAt = (listeners: readonly Listener[], host: string): Listener | null => {
  const all = listeners.filter(({ transport: { isSecure, isDialed } }) => isSecure && isDialed)
  const here =
    all.find((listener) => listener.host === host) ??
    all.find(
      (listener) =>
        isWildcard(listener.host) &&
        (listener.isDual === true || listener.host.includes(":") === host.includes(":")),
    )
  return here === undefined ? (all[0] ?? null) : { ...here, host }
}

/** @param listeners those currently open; may change @returns a function of the flow, the source address and port, and where the response goes */
export const makeArrivals = (
  options: ArrivalOptions,
  { local, advertisedFor }: OwnParts,
  listeners: readonly Listener[] = [],
): ((flow: Flow, address: string, port: number, answeredTo: Target) => ReceivedOn) => {
  const shownFor = ({ name }: Transport, host: string, port: number): Shown =>
    advertisedFor?.(name, host, port, host) ?? { host, port }

  const secureContactOf = (transport: Transport, host: string, port: number): (() => string | null) => {
    let contact: string | null = null
    let looked = -1
    return () => {
      // they are opened one after the other
      if (looked === listeners.length) return contact
      looked = listeners.length
      const listener = transport.isSecure ? { transport, host, port } : secureListenerAt(listeners, host)
      contact = null
      if (listener !== null) {
        const { secureUriParameter: uriParameter } = listener.transport
        const shown = shownFor(
          listener.transport,
          isWildcard(listener.host) ? host : listener.host,
          listener.port,
        )
        const user = options.contactUser ?? "presence"
        contact = formatUri(user, bracketed(shown.host), shown.port, { uriParameter }, "sips")
      }
      return contact
    }
  }
  /** One entry for each address of our own. */
  const known = new Map<string, Own>()
  let last: Own | null = null
  const ownAt = (transport: Transport, host: string, port: number): Own => {
    if (last !== null && last.port === port && last.host === host && last.transport === transport) return last
    const key = `${transport.name} ${host} ${port}`
    last =
      known.get(key) ??
      describe(
        options,
        { transport, host, port, shown: shownFor(transport, host, port) },
        secureContactOf(transport, host, port),
      )
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
