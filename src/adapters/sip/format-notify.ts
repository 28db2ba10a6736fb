/**
 * NOTIFY requests as bytes, and their next hop.
 *
 * What is constant within a dialog is formatted once per dialog object, and a body is encoded once for all
 * watchers who get it.
 *
 * @source RFC 3265 §3.2, RFC 3261 §12.2.1.1
 */
import type { Notify } from "../../domain/presentity/intents.ts"
import { isSourceReached } from "../../domain/presentity/targets.ts"
import { withPlainEscapes } from "../../domain/uris.ts"
import type { Body, DialogStart, Reach } from "../../domain/vocabulary.ts"
import { parseAddress } from "./address-headers.ts"
import { formatEvent, formatSubscriptionState } from "./headers.ts"
import { flattened } from "./message-reader.ts"
import type { OutboundProxyFor } from "./outbound-proxy.ts"
import { aliasOf, withoutAlias } from "./received-address.ts"
import type { Transport, Transports } from "./transports/transport.ts"
import { transports as knownTransports } from "./transports/transports.ts"
import { isNobody, numericHost, parseUri, plainHost, readHostPort } from "./uri.ts"
import type { SipUri } from "./uri.ts"

/** The next hop as given by the dialog, before any DNS lookup. */
export interface NextHop {
  /** In canonical form (`plainHost`), which is used as a key. */
  readonly host: string
  readonly isNumeric: boolean
  readonly port: number | null
  /** Null if the URI does not determine it. */
  readonly transport: Transport | null
}

export interface PreparedDialog {
  readonly requestUri: string
  /** Route header values in order. */
  readonly routes: readonly string[]
  /** Null if there is nowhere to send to. */
  readonly hop: NextHop | null
  /** The transport of the dialog's SUBSCRIBE; null if the stack does not support it. */
  readonly arrivedOver: Transport | null
  /** The socket the SUBSCRIBE arrived on, from the dialog's flow; the host without brackets. */
  readonly arrivedHost: string
  readonly arrivedPort: number
  /** The remote end of the connection that NOTIFYs take while it is open; null: there is none. */
  readonly connected: { readonly transport: Transport; readonly host: string; readonly port: number } | null
  /** Why NOTIFYs do not go where RFC 3261 §12.2.1.1 sends them; null: they do. */
  readonly reach: Reach | null
  /** The hop is the far end of a connection that only the peer can open. */
  readonly isBound: boolean
  /**
   * The watcher last spoke over a connection: when that is gone it comes back by another one, unless the operator says
   * that it is always at its Contact.
   */
  readonly hasFlow: boolean
  /** Request line up to the Via's transport; the lines from Via to the CSeq number; our Contact line. */
  readonly start: string
  readonly middle: string
  readonly contact: string
  /** The same without the Route of an outbound proxy, for the connection by which the watcher is reached; null: there is none. */
  readonly overFlow: PreparedDialog | null
}

/**
 * Request-URI and Route of a request in this dialog.
 *
 * @source RFC 3261 §12.2.1.1: no route set, a loose first route (`lr`), or a strict one
 */
export const routeOf = (
  remoteTarget: string,
  routeSet: readonly string[],
): { readonly requestUri: string; readonly routes: readonly string[]; readonly hopUri: string } => {
  const first = routeSet[0]
  if (first === undefined) return { requestUri: remoteTarget, routes: [], hopUri: remoteTarget }
  const firstUri = parseAddress(first)?.uri ?? ""
  const parsed = parseUri(firstUri)
  if (parsed !== null && parsed.scheme !== "tel" && parsed.parameters.has("lr"))
    return { requestUri: remoteTarget, routes: routeSet, hopUri: firstUri }
  return {
    requestUri: withoutHeaders(firstUri),
    routes: [...routeSet.slice(1), `<${remoteTarget}>`],
    hopUri: firstUri,
  }
}

const withoutHeaders = (uri: string): string => {
  const question = uri.indexOf("?", uri.indexOf("@") + 1)
  return question < 0 ? uri : uri.slice(0, question)
}

/** Null if nothing can be sent there: the transport is not supported, or the address cannot belong to a host. */
export const nextHopOf = (uri: SipUri, transports: Transports): NextHop | null => {
  if (uri.port === 0) return null
  const transport = transports.ofUri(uri.scheme, uri.parameters.get("transport")?.toLowerCase() ?? null)
  if (transport === null) return null
  const written = hopHostOf(uri)
  if (written === null || isNobody(written)) return null
  const numeric = numericHost(written)
  return {
    host: numeric ?? plainHost(written),
    isNumeric: numeric !== null,
    port: uri.port,
    transport: transport === "open" ? null : transport,
  }
}

/**
 * The host that a request to this URI is sent to, as written: its `maddr`, or else its host.
 *
 * @returns null if the `maddr` is not a host @source RFC 3263 §4
 */
export const hopHostOf = ({ host, parameters }: SipUri): string | null => {
  const maddr = parameters.get("maddr")
  if (typeof maddr !== "string") return host
  const plain = withPlainEscapes(maddr)
  // accept an IPv6 address without brackets, as resolvers do
  const written = plain.includes(":") && !plain.startsWith("[") ? `[${plain}]` : plain
  const read = readHostPort(written, 0)
  return read === null || read.port !== null || read.end !== written.length ? null : read.host
}

/** The constant parts of a dialog's NOTIFYs, built once for each dialog object. */
export type PrepareDialog = (dialog: DialogStart) => PreparedDialog

/** @param outbound through which proxy NOTIFYs go; null: through none */
export const makePrepareDialog = (
  transports: Transports,
  outbound: OutboundProxyFor | null = null,
): PrepareDialog => {
  const dialogs = new WeakMap<DialogStart, PreparedDialog>()
  return (dialog) => {
    const known = dialogs.get(dialog)
    if (known !== undefined) return known
    const prepared = prepare(dialog, transports, outbound)
    dialogs.set(dialog, prepared)
    return prepared
  }
}

/** For callers without a stack that need to know what the NOTIFYs of a dialog would look like. */
export const prepareDialog: PrepareDialog = makePrepareDialog(knownTransports)

const prepare = (
  dialog: DialogStart,
  transports: Transports,
  outbound: OutboundProxyFor | null,
): PreparedDialog => {
  const { requestUri, routes: ownRoutes, hopUri } = routeOf(targetOf(dialog), dialog.routeSet)
  const arrivedOver = transports.ofFlow(dialog.flow)
  const { hop, reach, route } = hopOfDialog(dialog, hopUri, arrivedOver, { transports, outbound })
  const routes = route === null ? ownRoutes : [route, ...ownRoutes]
  const isReliable = (reach === null ? null : (hop?.transport ?? arrivedOver))?.isReliable === true
  const colon = dialog.flow.lastIndexOf(":")
  const prepared: PreparedDialog = {
    requestUri,
    routes,
    hop,
    arrivedOver,
    arrivedHost: withoutBrackets(dialog.flow.slice(dialog.flow.indexOf(":") + 1, colon)),
    arrivedPort: Number(dialog.flow.slice(colon + 1)),
    connected: connectedTo(dialog, hop, reach, arrivedOver),
    reach,
    isBound: isReliable || hop?.transport?.isDialed === false,
    hasFlow: arrivedOver?.isReliable === true && dialog.reach !== "contact",
    start: flattened(`NOTIFY ${requestUri} SIP/2.0\r\nVia: SIP/2.0/`),
    middle: middleOf(dialog, routes),
    contact: flattened(`Contact: <${dialog.localContact}>\r\n`),
    overFlow: null,
  }
  return route === null
    ? prepared
    : {
        ...prepared,
        overFlow: { ...prepared, routes: ownRoutes, middle: middleOf(dialog, ownRoutes) },
      }
}

const middleOf = (dialog: DialogStart, routes: readonly string[]): string => {
  let middle = "Max-Forwards: 70\r\n"
  for (const route of routes) middle += `Route: ${route}\r\n`
  middle += `From: ${dialog.localUri};tag=${dialog.localTag}\r\n`
  // RFC 3261 §12.1.1: a peer that sent no tag gets none back
  middle +=
    dialog.remoteTag === ""
      ? `To: ${dialog.remoteUri}\r\n`
      : `To: ${dialog.remoteUri};tag=${dialog.remoteTag}\r\n`
  return flattened(`${middle}Call-ID: ${dialog.callId}\r\nCSeq: `)
}

/** The remote target as its phone wrote it. */
const targetOf = ({ remoteTarget, reach }: DialogStart): string =>
  reach === "alias" ? withoutAlias(remoteTarget) : remoteTarget

/** The next hop, and why it is another than that of RFC 3261 §12.2.1.1; null: it is that. */
const hopOfDialog = (
  dialog: DialogStart,
  hopUri: string,
  arrivedOver: Transport | null,
  { transports, outbound }: { readonly transports: Transports; readonly outbound: OutboundProxyFor | null },
): {
  readonly hop: NextHop | null
  readonly reach: Exclude<Reach, "contact"> | null
  /** Of the outbound proxy, the first of all; null: none. */
  readonly route: string | null
} => {
  const { reach, routeSet, remoteTarget } = dialog
  if (isSourceReached(reach, routeSet)) {
    const target = reach === "alias" ? parseUri(remoteTarget) : null
    const alias = target === null || target.scheme === "tel" ? null : aliasOf(target, transports)
    const source = reach === "alias" ? null : sourceOf(dialog)
    if (alias !== null) return { hop: alias, reach, route: null }
    if (source !== null && arrivedOver !== null)
      return { hop: { ...source, isNumeric: true, transport: arrivedOver }, reach, route: null }
  }
  const parsed = parseUri(hopUri)
  const hop = parsed === null || parsed.scheme === "tel" ? null : nextHopOf(parsed, transports)
  const proxy = outbound === null || hop === null ? null : outbound(hop.host, sourceOf(dialog)?.host ?? "")
  if (proxy === null) return { hop, reach: null, route: null }
  const isRoute = proxy.uri.parameters.has("lr")
  return { hop: nextHopOf(proxy.uri, transports), reach: null, route: isRoute ? `<${proxy.text}>` : null }
}

const connectedTo = (
  dialog: DialogStart,
  hop: NextHop | null,
  reach: Reach | null,
  arrivedOver: Transport | null,
): PreparedDialog["connected"] => {
  if (reach === "alias" && hop !== null && hop.port !== null) {
    const transport = hop.transport ?? arrivedOver
    return transport?.isReliable === true ? { transport, host: hop.host, port: hop.port } : null
  }
  const source = arrivedOver?.isReliable === true ? sourceOf(dialog) : null
  return source === null || arrivedOver === null ? null : { transport: arrivedOver, ...source }
}

const withoutBrackets = (host: string): string => (host.startsWith("[") ? host.slice(1, -1) : host)

const sourceOf = ({ source }: DialogStart): { readonly host: string; readonly port: number } | null => {
  const read = readHostPort(source, 0)
  return read === null || read.port === null ? null : { host: withoutBrackets(read.host), port: read.port }
}

interface EncodedBody {
  readonly headers: string
  readonly bytes: Buffer
}

/** Shared by all stacks: the encoding depends only on the body, and is garbage-collected with it. */
const bodies = new WeakMap<Body, EncodedBody>()
const empty: EncodedBody = { headers: "Content-Length: 0\r\n\r\n", bytes: Buffer.alloc(0) }

const encodeBody = (body: Body | null): EncodedBody => {
  if (body === null) return empty
  const known = bodies.get(body)
  if (known !== undefined) return known
  const bytes = Buffer.from(body.text, "utf8")
  const encoded = {
    headers: `Content-Type: ${body.contentType}${body.parameters === undefined ? "" : `;${body.parameters}`}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    bytes,
  }
  bodies.set(body, encoded)
  return encoded
}

/** Each value is known to be a single line: the decision that stored it checked (`isHeaderValue`). */
const formatCarried = (headers: Notify["headers"]): string => {
  if (headers === undefined) return ""
  let text = ""
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`
  return text
}

/**
 * Formats one NOTIFY.
 *
 * @param sentBy host and port of the sending socket, as printed in Via; @param branch with what follows it there
 * @param credentials header lines, each ending in CRLF; empty: none
 */
export const formatNotify = (
  notify: Notify,
  prepared: PreparedDialog,
  { viaName, credentials = "" }: Pick<Transport, "viaName"> & { readonly credentials?: string },
  sentBy: string,
  branch: string,
): Buffer => {
  const body = encodeBody(notify.body)
  const head =
    `${prepared.start}${viaName} ${sentBy};branch=${branch};rport\r\n` +
    `${prepared.middle}${notify.cseq} NOTIFY\r\n${prepared.contact}${credentials}` +
    `Event: ${formatEvent(notify.packageName, notify.eventId)}\r\n` +
    `Subscription-State: ${formatSubscriptionState(notify)}\r\n` +
    `${notify.entityTag === null ? "" : `SIP-ETag: ${notify.entityTag}\r\n`}` +
    `${formatCarried(notify.headers)}${body.headers}`
  const bytes = Buffer.allocUnsafe(head.length + body.bytes.length)
  bytes.write(head, 0, "latin1")
  body.bytes.copy(bytes, head.length)
  return bytes
}

/** Octets that a NOTIFY spends on its document: body, its headers and SIP-ETag. */
export const shownOctets = (notify: Notify): number => {
  const body = encodeBody(notify.body)
  return (
    body.headers.length -
    empty.headers.length +
    body.bytes.length +
    formatCarried(notify.headers).length +
    (notify.entityTag === null ? 0 : `SIP-ETag: ${notify.entityTag}\r\n`.length)
  )
}
