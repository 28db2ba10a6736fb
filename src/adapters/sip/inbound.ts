/**
 * The path of a received message: a response to its transaction; a request through transaction, limits and
 * decoder to the core, and the answer back.
 */
import { createHmac } from "node:crypto"
import type { Answer } from "../../domain/presentity/commands.ts"
import type { DialogStart } from "../../domain/vocabulary.ts"
import { reply, replyOf } from "../../encoding/sip-replies.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import type { SipHandler, SipCounters } from "../../ports/sip-transport.ts"
import { parseAddress } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import { allowanceKey } from "./allowances.ts"
import type { Allowances } from "./allowances.ts"
import { applyPolicy } from "./apply-policy.ts"
import type { ClientTransactions } from "./client-transactions.ts"
import { checkRequest, decodeRequest } from "./decode-request.ts"
import { refuse } from "./decode-result.ts"
import type { ReceivedOn, DecodeResult, Accepted } from "./decode-result.ts"
import { copyText, flattened } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import type { PolicyDecision } from "./policy.ts"
import { publishRegistration } from "./registrations.ts"
import type { RequestRules } from "./request-rules.ts"
import { formatResponse, formatUnroutable, looksTagged } from "./responses.ts"
import { contactTowards } from "./secure-dialog.ts"
import { transactionKey } from "./server-transactions.ts"
import type { ServerTransaction, ServerTransactions } from "./server-transactions.ts"
import type { Connection, Flow } from "./transports/transport.ts"
import { bracketed } from "./uri.ts"
import { parseVia, responseTarget, stampVia } from "./via.ts"
import type { Target, Via } from "./via.ts"

export interface InboundParts {
  readonly client: ClientTransactions
  readonly server: ServerTransactions
  readonly counters: SipCounters
  readonly rules: RequestRules
  readonly overload: () => { readonly retryAfter: number } | null
  readonly makeArrival: (flow: Flow, address: string, port: number, answeredTo: Target) => ReceivedOn
  /** Counts requests of dialogs whose NOTIFYs go to an unproven target. */
  readonly allowances: Pick<Allowances, "received">
  /** Seconds until the NOTIFY of a fetch could be sent; null if it can be sent now. */
  readonly isFullFor: (dialog: DialogStart) => number | null
  readonly submit: SipHandler["submit"]
  readonly onDefect: (defect: unknown) => void
  /** Secret from which tags of stateless responses are derived. */
  readonly statelessKey: Uint8Array
}

/** Takes a message, the flow it arrived on, and the peer's address and port. */
export type Receive = (message: RawMessage, flow: Flow, address: string, port: number) => void

/** Retry-After in seconds when the transaction limit is reached. */
const retryAfterFull = 10

/** A request, and what is needed to respond to it. */
interface Inbound {
  readonly message: RawMessage
  readonly via: Via
  readonly flow: Flow
  readonly address: string
  readonly port: number
  /** Where responses go. */
  readonly target: Target
  /** The topmost Via, as it is returned in the response. */
  readonly topVia: string
  /** Null if it is malformed or the message has a fault. */
  readonly to: Address | null
  readonly isTagged: boolean
}

/** An exception while handling a message ends that message, not the process. */
export const makeInbound =
  (parts: InboundParts): Receive =>
  (message, flow, address, port) => {
    try {
      receive(parts, message, flow, address, port)
    } catch (defect) {
      parts.counters.defects++
      parts.onDefect(defect)
    }
  }

const receive = (
  parts: InboundParts,
  message: RawMessage,
  flow: Flow,
  address: string,
  port: number,
): void => {
  const { client, server, counters } = parts
  counters.received++
  if (!message.isRequest) {
    if (!client.answer(message)) counters.dropped++
    return
  }
  const via = message.vias.length === 0 ? null : parseVia(message.vias[0]!)
  if (via === null) {
    counters.malformed++
    return refuseUnroutable(parts, message, flow, address, port)
  }
  // RFC 3261 §17.1.1.3: an ACK gets no response
  if (message.method === "ACK") return
  const to = message.fault === null ? parseAddress(message.to) : null
  const inbound: Inbound = {
    message,
    via,
    flow,
    address,
    port,
    target: responseTarget(via, address, port, flow.transport),
    topVia: stampVia(message.vias[0]!, via, address, port),
    to,
    isTagged: to === null ? looksTagged(message.to) : to.tag !== null,
  }
  if (message.fault !== null) {
    counters.malformed++
    return respondStateless(parts, inbound, reply(message.fault.status, "", message.fault.reason))
  }
  const key = transactionKey(message, via)
  if (server.absorb(key, flow, inbound.target.address, inbound.target.port, message.octets)) return
  if (message.method === "CANCEL")
    return respondStateless(parts, inbound, reply(cancelStatus(server, message, via)))
  const retryAfter = refusedFor(parts, inbound)
  if (retryAfter !== null) {
    counters.refusedOverload++
    return respondStateless(parts, inbound, reply(503, `Retry-After: ${retryAfter}\r\n`))
  }
  handle(parts, inbound, key)
}

/**
 * Refuses a request whose topmost Via is missing or malformed, at the address it came from (RFC 3261 §18.2.2).
 *
 * Only a request that is complete otherwise is answered: the response then is no larger than the request, so
 * that nothing is gained by forging its source.
 */
const refuseUnroutable = (
  parts: InboundParts,
  message: RawMessage,
  flow: Flow,
  address: string,
  port: number,
): void => {
  const { method, from, to, callId, cseqText, vias, fault } = message
  if (method === "ACK" || from === "" || to === "" || callId === "" || cseqText === "") return
  const isViaMissing = vias.length === 0
  const answer =
    fault === null || isViaMissing
      ? reply(400, "", isViaMissing ? "Missing Via" : "Malformed Via")
      : reply(fault.status, "", fault.reason)
  count(parts.counters, method, answer.status)
  const tag = looksTagged(to) ? null : statelessTag(parts, message)
  flow.send(formatUnroutable(message, tag, answer), address, port)
}

/** Counter names by method and status. Other methods share `other`, so that a sender cannot create counters. */
const counterNames: ReadonlyMap<string, string[]> = new Map(
  ["PUBLISH", "SUBSCRIBE", "NOTIFY", "OPTIONS", "REGISTER", "CANCEL"].map((method) => [method, []]),
)
const otherCounterNames: string[] = []

const count = ({ responses }: SipCounters, method: string, status: number): void => {
  const names = counterNames.get(method)
  const name = ((names ?? otherCounterNames)[status] ??=
    `${names === undefined ? "other" : method} ${status}`)
  responses[name] = (responses[name] ?? 0) + 1
}

/** RFC 3261 §8.2.7: the same request gets the same tag without keeping state. */
const statelessTag = ({ statelessKey }: InboundParts, message: RawMessage): string =>
  createHmac("sha256", statelessKey)
    .update(`${message.callId}\n${message.cseqText}\n${message.from}\n${message.vias[0] ?? ""}`, "latin1")
    .digest("hex")
    .slice(0, 32)

const respondStateless = (
  parts: InboundParts,
  { message, topVia, isTagged, flow, target }: Inbound,
  answer: Reply,
): void => {
  count(parts.counters, message.method, answer.status)
  const tag = isTagged ? null : statelessTag(parts, message)
  flow.send(formatResponse(message, topVia, tag, answer), target.address, target.port)
}

/** Retry-After in seconds if there is no room for a new request; null if there is. */
const refusedFor = ({ server, overload }: InboundParts, { message, isTagged }: Inbound): number | null => {
  if (server.isFull()) return retryAfterFull
  const overloaded = isRefresh(message, isTagged) ? null : overload()
  return overloaded === null ? null : Math.max(1, Math.ceil(overloaded.retryAfter))
}

/** RFC 3261 §9.2: CANCEL is answered, but has no effect on a request other than INVITE. */
const cancelStatus = (server: ServerTransactions, message: RawMessage, via: Via): number =>
  ["PUBLISH", "SUBSCRIBE", "REGISTER", "OPTIONS"].some((method) =>
    server.has(transactionKey(message, via, method)),
  )
    ? 200
    : 481

/** A request with its server transaction. */
interface Opened {
  readonly inbound: Inbound
  readonly arrival: ReceivedOn
  readonly transaction: ServerTransaction
}

const handle = (parts: InboundParts, inbound: Inbound, key: string): void => {
  const { message, topVia, flow, address, port, target, isTagged } = inbound
  const arrival = parts.makeArrival(flow, address, port, target)
  const checked = checkRequest(message, inbound.to, parts.rules)
  const decoded = decode(parts, checked, arrival)
  if (decoded._tag === "Reply" && decoded.isStateless) {
    parts.counters.challenges++
    return respondStateless(parts, inbound, decoded.reply)
  }
  const transaction = parts.server.open({
    key,
    mergeKey: checked._tag === "Checked" ? checked.mergeKey : null,
    channel: flow,
    address: target.address,
    port: target.port,
    isRemembered: !flow.transport.isReliable,
    repeated: allowed(parts, decoded, message),
    unanswered: { message, topVia, tag: isTagged ? null : tagFor(decoded, parts.rules) },
  })
  if (decoded._tag === "Reply") return complete(parts, transaction, decoded.reply)
  const opened: Opened = { inbound, arrival, transaction }
  if (decoded._tag === "Registered") {
    const from = { presentity: decoded.presentity, origin: originOf(opened) }
    return publishRegistration(parts.submit, decoded.steps, from, (isStored) =>
      complete(parts, transaction, isStored ? decoded.reply : reply(503, "Retry-After: 10\r\n")),
    )
  }
  if (decoded._tag === "Ask") ask(parts, decoded, opened)
  else submit(parts, decoded, opened)
}

/** Sends the final response; later calls do nothing. */
const complete = (parts: InboundParts, transaction: ServerTransaction, answer: Reply): void => {
  const { unanswered } = transaction
  if (unanswered === null) return
  const { message, topVia, tag } = unanswered
  count(parts.counters, message.method, answer.status)
  parts.server.complete(transaction, formatResponse(message, topVia, tag, answer))
}

/** An exception from an event package of the program counts as a defect, and the request gets 500. */
const decode = (
  parts: InboundParts,
  checked: ReturnType<typeof checkRequest>,
  arrival: ReceivedOn,
): DecodeResult => {
  if (checked._tag === "Reply") return checked
  const isMerged = checked.mergeKey !== null && parts.server.isMerged(checked.mergeKey)
  if (isMerged) parts.counters.merged++
  try {
    return decodeRequest(checked, arrival, parts.rules, isMerged)
  } catch (defect) {
    parts.counters.defects++
    parts.onDefect(defect)
    return refuse(500)
  }
}

/** Counts the octets of a request whose NOTIFYs go to an unproven target; null if the target is proven. */
const allowed = (
  { allowances }: InboundParts,
  decoded: DecodeResult,
  { callId, octets }: RawMessage,
): ((octets: number) => void) | null => {
  const request = decoded._tag === "Ask" ? decoded.otherwise : decoded
  if (request._tag !== "Submit") return null
  const { command } = request
  const tag =
    command._tag === "Subscribe" && command.dialog.room !== undefined
      ? command.dialog.localTag
      : command._tag === "Resubscribe" && command.room !== undefined
        ? command.dialog.split("\n")[1]
        : undefined
  if (tag === undefined) return null
  const dialog = allowanceKey(copyText(callId), tag)
  allowances.received(dialog, octets, false)
  return (more) => allowances.received(dialog, more, true)
}

/** The sender, for the log. */
const originOf = ({ arrival, inbound: { message, address, port } }: Opened): string =>
  flattened(`${arrival.transport.name}:${bracketed(address)}:${port} ${message.callId} ${message.cseq}`)

const submit = (parts: InboundParts, accepted: Accepted, opened: Opened): void => {
  const { command, presentity, about } = accepted
  const { transaction } = opened
  if (command._tag === "Subscribe" && command.expires === 0 && isFull(parts, accepted, transaction)) return
  try {
    parts.submit({
      presentity,
      command,
      origin: originOf(opened),
      ...(about === undefined ? undefined : { about }),
      answer: (answer) => answered(parts, accepted, opened, answer),
    })
  } catch (defect) {
    complete(parts, transaction, reply(500))
    throw defect
  }
}

const answered = (parts: InboundParts, accepted: Accepted, opened: Opened, answer: Answer): void => {
  const { transaction } = opened
  // its NOTIFY follows the response at once, and the same limits apply
  if (isFetched(answer) && isFull(parts, accepted, transaction)) return
  const { command } = accepted
  if (opened.arrival.transport.isReliable) keepConnection(opened, command, answer)
  const recordRoutes =
    command._tag === "Publish" ? noRoutes : (opened.inbound.message.headers.get("record-route") ?? noRoutes)
  const contact = contactTowards(opened.inbound.message, opened.arrival)
  complete(
    parts,
    transaction,
    replyOf(answer, { command, contact, allowEvents: parts.rules.allowEvents, recordRoutes }),
  )
}

const noRoutes: readonly string[] = []

/** How much longer than its subscription a connection is kept, in milliseconds: a refresh may be late. */
const keptLonger = 60_000

/** A connection by which a subscription was made or renewed is not closed for being idle while it lives. */
const keepConnection = (
  { inbound: { flow } }: Opened,
  command: Accepted["command"],
  answer: Answer,
): void => {
  if (!("keepFor" in flow) || command._tag === "Publish") return
  if (answer._tag !== "Accepted" || answer.reply._tag !== "Subscribed") return
  const { expires } = answer.reply
  const dialog = command._tag === "Subscribe" ? command.dialog.localTag : command.dialog.split("\n")[1]!
  ;(flow as Connection).keepFor(dialog, expires === 0 ? 0 : expires * 1_000 + keptLonger)
}

/**
 * Answers 503 if the NOTIFY of a fetch could not be sent: there is only one, which is not sent later, so the
 * watcher has to ask again.
 */
const isFull = (parts: InboundParts, { command }: Accepted, transaction: ServerTransaction): boolean => {
  const seconds = command._tag === "Subscribe" ? parts.isFullFor(command.dialog) : null
  if (seconds === null) return false
  complete(parts, transaction, reply(503, `Retry-After: ${seconds}\r\n`))
  return true
}

/** The policy may answer asynchronously; meanwhile the transaction absorbs retransmissions. */
const ask = (
  parts: InboundParts,
  { question, otherwise }: Extract<DecodeResult, { readonly _tag: "Ask" }>,
  opened: Opened,
): void => {
  const settle = (grant: PolicyDecision | null): void => {
    const decided = applyPolicy(otherwise, grant, opened.inbound.message)
    if (decided._tag === "Submit") submit(parts, decided, opened)
    else complete(parts, opened.transaction, decided._tag === "Reply" ? decided.reply : reply(500))
  }
  const grant = parts.rules.policy?.ask(question) ?? null
  if (!(grant instanceof Promise)) return settle(grant)
  void grant.then(settle).catch((defect: unknown) => {
    parts.counters.defects++
    complete(parts, opened.transaction, reply(500))
    parts.onDefect(defect)
  })
}

const isFetched = (answer: Answer): boolean =>
  answer._tag === "Accepted" && answer.reply._tag === "Subscribed" && answer.reply.expires === 0

/** The decoder has chosen the tag of a new dialog, because the command carries it. */
const tagFor = (decoded: DecodeResult, rules: RequestRules): string =>
  decoded._tag === "Ask"
    ? tagFor(decoded.otherwise, rules)
    : decoded._tag === "Submit" && decoded.command._tag === "Subscribe"
      ? decoded.command.dialog.localTag
      : rules.mintTag()

/** Requests that refresh or end existing state are served even when new ones are refused. */
const isRefresh = (message: RawMessage, isTagged: boolean): boolean =>
  isTagged ||
  (message.method !== "SUBSCRIBE" && message.method !== "PUBLISH") ||
  (message.method === "PUBLISH" && message.headers.has("sip-if-match") && message.body.length === 0)
