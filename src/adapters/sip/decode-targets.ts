/** Contact and Record-Route of a SUBSCRIBE: where requests within its dialog will be sent. */
import type { Reach } from "../../domain/vocabulary.ts"
import { parseAddress, parseAddresses } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import { refuse } from "./decode-result.ts"
import type { ReceivedOn, Refused } from "./decode-result.ts"
import { hopHostOf, nextHopOf } from "./format-notify.ts"
import { copyText } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import { reachOf } from "./reach.ts"
import type { RequestRules } from "./request-rules.ts"
import { looksTagged } from "./responses.ts"
import { isAt } from "./room.ts"
import type { Transports } from "./transports/transport.ts"
import { isNobody, parseUri, writableUri } from "./uri.ts"
import type { SipUri } from "./uri.ts"

/** The URI of a Contact. */
export interface Contact {
  readonly _tag: "Contact"
  /** As written, without its headers. */
  readonly text: string
  readonly uri: SipUri
  /** Why NOTIFYs do not go to it, or do in any case; undefined: RFC 3261 §12.2.1.1 applies. */
  readonly reach: Reach | undefined
}

/**
 * The one Contact of a request.
 *
 * @source RFC 3261 §8.1.1.8; null when there is none
 */
export const readContact = (
  message: RawMessage,
  arrival: ReceivedOn,
  rules: RequestRules,
): Contact | null | Refused => {
  const lines = message.headers.get("contact")
  if (lines === undefined) return null
  if (lines.length > 1) return refuse(400, "More Than One Contact")
  if (lines[0] === "*") return refuse(400, "Contact Is Not A URI")
  const address = parseAddress(lines[0]!)
  if (address === null) return refuse(400, "Malformed Contact")
  const written = writableUri(address.uri)
  if (written.length > rules.limits.contactBytesMax) return refuse(400, "Contact Too Long")
  const uri = parseUri(written)
  if (uri === null || uri.scheme === "tel" || uri.scheme === "pres") return refuse(400, "Malformed Contact")
  const hasRoute = message.headers.has("record-route")
  const reach = reachOf(uri, hasRegId(address), message, arrival, rules)
  const isElsewhere = reach !== undefined && reach !== "contact"
  // a Contact that none of our transports reaches may still be reachable through a proxy
  if (!rules.transports.reaches(uri.scheme) && !hasRoute && !isElsewhere)
    return refuse(400, "Contact Scheme Not Reachable")
  if (uri.port === 0 || (!isElsewhere && !isPossibleTarget(uri, rules)))
    return refuse(400, "Contact Is Not An Address To Send To")
  // outside a dialog this is checked on the next hop, once the route set is known
  if (!rules.allowAnyContact && !hasRoute && !isElsewhere && looksTagged(message.to)) {
    const isFromPeer =
      rules.peers.find(arrival.sourceAddress, arrival.transport.name, arrival.certificate) !== null
    const hop = nextHopOf(uri, rules.transports)
    if (!isFromPeer && (hop === null || !isAt(hop, arrival.sourceAddress)))
      return refuse(403, "Contact Is Not The Source")
  }
  // RFC 3261 §19.1.5: the headers component of a URI is not part of a Request-URI
  const text =
    uri.headers === null ? written : written.slice(0, written.indexOf("?", written.indexOf("@") + 1))
  return { _tag: "Contact", text: copyText(text), uri, reach }
}

/** @source RFC 5626 §4.3 */
const hasRegId = ({ parameterText, parameters }: Address): boolean =>
  parameterText !== "" && parameters.has("reg-id")

const isPossibleTarget = (uri: SipUri, rules: RequestRules): boolean => {
  const host = hopHostOf(uri)
  if (uri.port === 0 || host === null) return false
  const port = uri.port ?? portWithout(uri, rules.transports)
  const isPossible = (name: string): boolean => !isNobody(name) && !rules.isOwnAddress(name, port)
  return isPossible(uri.host) && (host === uri.host || isPossible(host))
}

/** The port for a URI without one. */
const portWithout = ({ scheme, parameters }: SipUri, transports: Transports): number => {
  const transport = transports.ofUri(scheme, parameters.get("transport")?.toLowerCase() ?? null)
  return (transport === null || transport === "open" ? transports.presumed : transport).defaultPort
}

/** Record-Route values in order; null if one of them cannot be used as a route. */
export const readRouteSet = (message: RawMessage, rules: RequestRules): readonly string[] | null => {
  const lines = message.headers.get("record-route")
  if (lines === undefined) return noRoutes
  const routes: string[] = []
  for (const line of lines) {
    const addresses = parseAddresses(line)
    if (addresses === null) return null
    for (const address of addresses) {
      const uri = parseUri(address.uri)
      if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || !isPossibleTarget(uri, rules))
        return null
      const { untagged } = address
      routes.push(
        copyText(untagged.includes("<") ? untagged : `<${writableUri(address.uri)}>${address.parameterText}`),
      )
    }
  }
  return routes.length > rules.limits.routesMax ? null : routes
}

const noRoutes: readonly string[] = []
