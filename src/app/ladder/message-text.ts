/**
 * The messages of a ladder as bytes, with the addresses between which they went.
 *
 * Headers that the log does not keep are filled in with those that a request must have (RFC 3261 §8.1.1). A NOTIFY is as it was
 * sent except for Via; a SUBSCRIBE has what the dialog remembers; a PUBLISH has the presentity as its sender.
 */
import { formatNotify, prepareDialog } from "../../adapters/sip/format-notify.ts"
import { formatEvent } from "../../adapters/sip/headers.ts"
import { transports } from "../../adapters/sip/transports/transports.ts"
import { bracketed } from "../../adapters/sip/uri.ts"
import type { Publish } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { DialogStart } from "../../domain/vocabulary.ts"
import { endpointOf } from "../../explain/ladder/messages.ts"
import type {
  Endpoint,
  LadderMessage,
  PublishRequest,
  RequestSource,
  SubscribeRequest,
} from "../../explain/ladder/messages.ts"

interface Addresses {
  readonly server: Endpoint | null
  readonly peer: Endpoint | null
}

/** A message of a ladder with its text. */
export interface SipMessage
  extends Addresses, Pick<LadderMessage, "at" | "position" | "party" | "direction" | "label" | "remark"> {
  /** Null: nothing was sent, because a response did not come. */
  readonly bytes: Buffer | null
}

/** @returns fields in the order in which `presently ladder --json` prints them */
export const sipMessage = (message: LadderMessage): SipMessage => {
  const { at, position, party, direction, label, remark, content } = message
  switch (content._tag) {
    case "Publish":
    case "Subscribe": {
      const bytes = requestText(content, position)
      return { at, position, party, ...requestAddresses(content), direction, label, remark, bytes }
    }
    case "Reply": {
      const { request, reply } = content
      const bytes = replyText(requestText(request, position), label, reply.headers, newTag(request))
      return { at, position, party, ...requestAddresses(request), direction, label, remark, bytes }
    }
    case "Notify":
      return { at, position, party, direction, label, remark, ...notifyText(content.notify, position) }
    case "NotifyAnswer": {
      const { dialog } = content
      const addresses = dialog === null ? { server: null, peer: null } : addressesOf(dialog, null)
      const bytes =
        message.isSent && dialog !== null
          ? notifyAnswerText(dialog, content.cseq, label, via(dialog, addresses.server, position, content.no))
          : null
      return { at, position, party, direction, label, remark, bytes, ...addresses }
    }
  }
}

const requestText = (request: PublishRequest | SubscribeRequest, position: number): Buffer =>
  request._tag === "Publish" ? publishText(request, position) : subscribeText(request, position)

const requestAddresses = (request: PublishRequest | SubscribeRequest): Addresses =>
  request._tag === "Publish"
    ? { server: null, peer: request.source?.peer ?? null }
    : addressesOf(request.dialog, request.source)

const publishText = ({ presentity, command, source }: PublishRequest, position: number): Buffer =>
  message(
    [
      `PUBLISH ${presentity} SIP/2.0`,
      `Via: SIP/2.0/UDP ${sentBy(source?.peer ?? null)};branch=${branch(position, 0)}`,
      "Max-Forwards: 70",
      `From: <${presentity}>;tag=${position}`,
      `To: <${presentity}>`,
      `Call-ID: ${source?.callId ?? `decision-${position}`}`,
      `CSeq: ${source?.cseq ?? 1} PUBLISH`,
      `Event: ${formatEvent(command.packageName ?? "", null)}`,
      ...(command.expires === null ? [] : [`Expires: ${command.expires}`]),
      ...command.ifMatch.map((tag) => `SIP-If-Match: ${tag}`),
      ...(command.headers ?? []).map(([name, value]) => `${name}: ${value}`),
    ],
    command.body,
  )

const subscribeText = (request: SubscribeRequest, position: number): Buffer => {
  const { presentity, command, dialog, source } = request
  const isFirst = command._tag === "Subscribe"
  const cseq = isFirst ? command.dialog.remoteCseq : command.cseq
  const target = isFirst ? dialog.remoteTarget : (command.remoteTarget ?? dialog.remoteTarget)
  const { peer } = addressesOf(dialog, source)
  return message(
    [
      `SUBSCRIBE ${isFirst ? presentity : dialog.localContact} SIP/2.0`,
      via(dialog, peer, position, 0),
      "Max-Forwards: 70",
      `From: ${dialog.remoteUri}${dialog.remoteTag === "" ? "" : `;tag=${dialog.remoteTag}`}`,
      `To: ${dialog.localUri}${isFirst ? "" : `;tag=${dialog.localTag}`}`,
      `Call-ID: ${dialog.callId}`,
      `CSeq: ${cseq} SUBSCRIBE`,
      `Contact: <${target}>`,
      ...(isFirst ? dialog.routeSet.map((route) => `Record-Route: ${route}`) : []),
      `Event: ${formatEvent(command.packageName ?? "", command.eventId)}`,
      ...(command.expires === null ? [] : [`Expires: ${command.expires}`]),
      ...(command.suppressIfMatch === undefined ? [] : [`Suppress-If-Match: ${command.suppressIfMatch}`]),
      ...(command.private === undefined ? [] : [`Privacy: ${command.private ? "id" : "none"}`]),
    ],
    null,
  )
}

/** The To tag that a response adds: only where it creates a dialog. */
const newTag = (request: PublishRequest | SubscribeRequest): string | null =>
  request._tag === "Subscribe" && request.command._tag === "Subscribe" ? request.dialog.localTag : null

/** The response to a request, with what it copies from it (RFC 3261 §8.2.6.2). */
const replyText = (request: Buffer, label: string, headers: string, tag: string | null): Buffer => {
  const head = request.toString("utf8").split("\r\n\r\n", 1)[0]!.split("\r\n")
  const copied = head.filter((line) => /^(?:Via|From|Call-ID|CSeq):/.test(line))
  const to = head.find((line) => line.startsWith("To:")) ?? ""
  const added = tag === null || /;tag=/.test(to) ? "" : `;tag=${tag}`
  const lines = [`SIP/2.0 ${label}`, ...copied, to + added].join("\r\n")
  return Buffer.from(`${lines}\r\n${headers}Content-Length: 0\r\n\r\n`)
}

const notifyText = (notify: Notify, position: number): Pick<SipMessage, "bytes" | "server" | "peer"> => {
  const { server, peer } = addressesOf(notify.dialog, null)
  const transport = { viaName: transportOf(notify.dialog) }
  const prepared = prepareDialog(notify.dialog)
  const { hop } = prepared
  return {
    bytes: formatNotify(notify, prepared, transport, sentBy(server), branch(position, notify.no)),
    server,
    // names are resolved when a request is sent, and the result is not in the log
    peer: hop?.isNumeric === true ? { host: hop.host, port: hop.port ?? 5060 } : peer,
  }
}

const notifyAnswerText = (dialog: DialogStart, cseq: number, label: string, viaLine: string): Buffer =>
  Buffer.from(
    `SIP/2.0 ${label}\r\n${viaLine}\r\n` +
      `From: ${dialog.localUri};tag=${dialog.localTag}\r\n` +
      `To: ${dialog.remoteUri}${dialog.remoteTag === "" ? "" : `;tag=${dialog.remoteTag}`}\r\n` +
      `Call-ID: ${dialog.callId}\r\nCSeq: ${cseq} NOTIFY\r\nContent-Length: 0\r\n\r\n`,
  )

const message = (lines: readonly string[], content: Publish["body"]): Buffer => {
  const bytes = content === null ? Buffer.alloc(0) : Buffer.from(content.text)
  const type =
    content === null
      ? []
      : [
          `Content-Type: ${content.contentType}${content.parameters === undefined ? "" : `;${content.parameters}`}`,
        ]
  return Buffer.concat([
    Buffer.from(`${[...lines, ...type, `Content-Length: ${bytes.length}`].join("\r\n")}\r\n\r\n`),
    bytes,
  ])
}

const via = (dialog: DialogStart, sender: Endpoint | null, position: number, id: number): string =>
  `Via: SIP/2.0/${transportOf(dialog)} ${sentBy(sender)};branch=${branch(position, id)}`

const branch = (position: number, id: number): string => `z9hG4bK-${position}-${id}`

const sentBy = (endpoint: Endpoint | null): string =>
  endpoint === null ? "unknown.invalid" : `${bracketed(endpoint.host)}:${endpoint.port}`

const addressesOf = (dialog: DialogStart, source: RequestSource | null): Addresses => ({
  server: endpointOf(dialog.flow.slice(dialog.flow.indexOf(":") + 1)),
  peer: source?.peer ?? endpointOf(dialog.source),
})

const transportOf = (dialog: DialogStart): string =>
  (transports.ofFlow(dialog.flow) ?? transports.presumed).viaName
