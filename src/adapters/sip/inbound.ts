/**
 * The way of one message that came in: a response to its transaction, a request through transaction, limits and
 * decoder to the core, and the core's answer back.
 */
import { createHmac } from "node:crypto"
import type { Answer } from "../../domain/presentity/commands.ts"
import type { SipHandler } from "../../ports/event-store.ts"
import type { DialogStart } from "../../domain/vocabulary.ts"
import type { ClientTransactions } from "./client-transactions.ts"
import { parseAddress } from "./address-headers.ts"
import { allowanceKey } from "./allowances.ts"
import type { Allowances } from "./allowances.ts"
import { copyText } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import { applyPolicy } from "./apply-policy.ts"

import type { Counters } from "./options.ts"
import type { PolicyDecision } from "./policy.ts"
import { decodeRequest } from "./decode-request.ts"
import type { ReceivedOn, DecodeResult, Accepted } from "./decode-result.ts"
import type { RequestRules } from "./decode-request.ts"
import { formatResponse, looksTagged } from "./responses.ts"
import { reply, replyOf } from "../../encoding/sip-replies.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import { mergeKeyOf, transactionKey } from "./server-transactions.ts"
import type { Channel, ServerTransaction, ServerTransactions } from "./server-transactions.ts"
import { bracketed } from "./uri.ts"
import { parseVia, responseTarget, stampVia } from "./via.ts"
import type { Target, Via } from "./via.ts"

export interface InboundParts {
  readonly client: ClientTransactions
  readonly server: ServerTransactions
  readonly counters: Counters
  readonly rules: RequestRules
  readonly clock: () => number
  readonly overload: () => { readonly retryAfter: number } | null
  readonly makeArrival: (
    transport: "udp" | "tcp",
    channel: Channel,
    address: string,
    port: number,
    answeredTo: Target,
  ) => ReceivedOn
  /** Told of requests for dialogs that go where nothing is proven. */
  readonly allowances: Pick<Allowances, "received">
  /** Seconds after which the NOTIFY of a fetch could leave; null: now. */
  readonly isFullFor: (dialog: DialogStart) => number | null
  readonly submit: SipHandler["submit"]
  readonly onDefect: (defect: unknown) => void
  /** Secret from which the tags of stateless responses are made. */
  readonly statelessKey: Uint8Array
}

/** Takes one message from the socket it came in on, with the peer's address and port. */
export type Receive = (
  message: RawMessage,
  transport: "udp" | "tcp",
  channel: Channel,
  address: string,
  port: number,
) => void

/** Seconds after which a client that met our limits may come again. */
const retryAfterFull = 10

/** A request that can be answered, and how. */
interface Inbound {
  readonly message: RawMessage
  readonly via: Via
  readonly transport: "udp" | "tcp"
  readonly channel: Channel
  readonly address: string
  readonly port: number
  /** Where responses go. */
  readonly target: Target
  /** The first Via line as it goes back. */
  readonly topVia: string
  readonly isTagged: boolean
}

/** Methods with counters of their own: whoever sends cannot make more. */
const counted: ReadonlySet<string> = new Set([
  "PUBLISH",
  "SUBSCRIBE",
  "NOTIFY",
  "OPTIONS",
  "REGISTER",
  "CANCEL",
])

export const makeInbound = (parts: InboundParts): Receive => {
  const { client, server, counters, rules, clock } = parts

  const count = (method: string, status: number): void => {
    const key = `${counted.has(method) ? method : "other"} ${status}`
    counters.responses[key] = (counters.responses[key] ?? 0) + 1
  }

  /** RFC 3261 §8.2.7: the same request gets the same tag, and nothing is remembered. */
  const statelessTag = (message: RawMessage): string =>
    createHmac("sha256", parts.statelessKey)
      .update(`${message.callId}\n${message.cseqText}\n${message.from}\n${message.vias[0]!}`, "latin1")
      .digest("hex")
      .slice(0, 32)

  const respondStateless = ({ message, topVia, isTagged, channel, target }: Inbound, answer: Reply): void => {
    count(message.method, answer.status)
    const bytes = formatResponse(message, topVia, isTagged ? null : statelessTag(message), answer)
    channel.send(bytes, target.address, target.port)
  }

  const receive: Receive = (message, transport, channel, address, port) => {
    counters.received++
    if (!message.isRequest) {
      if (message.fault !== null || !client.answer(message)) counters.dropped++
      return
    }
    const via = message.vias.length === 0 ? null : parseVia(message.vias[0]!)
    if (via === null) {
      counters.malformed++
      return
    }
    // RFC 3261 §17.1.1.3: nothing answers an ACK.
    if (message.method === "ACK") return
    const to = message.fault === null ? parseAddress(message.to) : null
    const inbound: Inbound = {
      message,
      via,
      transport,
      channel,
      address,
      port,
      target: transport === "udp" ? responseTarget(via, address, port) : { address, port },
      topVia: stampVia(message.vias[0]!, via, address, port),
      isTagged: to === null ? looksTagged(message.to) : to.tag !== null,
    }
    if (message.fault !== null) {
      counters.malformed++
      return respondStateless(inbound, reply(message.fault.status, "", message.fault.reason))
    }
    const key = transactionKey(message, via)
    if (server.absorb(key, channel, inbound.target.address, inbound.target.port, message.octets)) return
    if (message.method === "CANCEL") return respondStateless(inbound, reply(cancelStatus(message, via)))
    const retryAfter = refusedFor(message, inbound.isTagged)
    if (retryAfter !== null) {
      counters.refusedOverload++
      return respondStateless(inbound, reply(503, `Retry-After: ${retryAfter}\r\n`))
    }
    handle(inbound, key)
  }

  /** Seconds to stay away when there is no room for a new request; null when there is. */
  const refusedFor = (message: RawMessage, isTagged: boolean): number | null => {
    if (server.isFull()) return retryAfterFull
    const overloaded = isRefresh(message, isTagged) ? null : parts.overload()
    return overloaded === null ? null : Math.max(1, Math.ceil(overloaded.retryAfter))
  }

  const handle = (inbound: Inbound, key: string): void => {
    const { message, transport, channel, address, port, target, topVia, isTagged } = inbound
    let mergeKey: string | null = null
    const arrival = parts.makeArrival(transport, channel, address, port, target)
    const decoded = decodeRequest(message, arrival, rules, () => {
      mergeKey = mergeKeyOf(message)
      const isMerged = server.isMerged(mergeKey)
      if (isMerged) counters.merged++
      return isMerged
    })
    if (decoded._tag === "Reply" && decoded.isStateless) {
      counters.challenges++
      return respondStateless(inbound, decoded.reply)
    }
    const tag = isTagged ? null : tagFor(decoded, rules)
    const counted = allowed(decoded, message)
    const transaction: ServerTransaction = {
      ...(counted === null ? {} : { repeated: counted }),
      key,
      startedAt: clock(),
      channel,
      address: target.address,
      port: target.port,
      state: "trying",
      response: null,
      unanswered: { message, topVia, tag },
    }
    server.open(transaction, mergeKey, transport === "udp")
    const complete = (answer: Reply): void => {
      const { unanswered } = transaction
      if (unanswered === null) return
      count(unanswered.message.method, answer.status)
      server.complete(transaction, formatResponse(unanswered.message, topVia, tag, answer))
    }
    if (decoded._tag === "Reply") return complete(decoded.reply)
    if (decoded._tag === "Ask") return ask(decoded, inbound, arrival, complete)
    submit(decoded, inbound, arrival, complete)
  }

  /** Counts the request for a dialog that goes where nothing is proven; null: it does not. */
  const allowed = (
    decoded: DecodeResult,
    { callId, octets = 0 }: RawMessage,
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
    parts.allowances.received(dialog, octets, false)
    return (more) => parts.allowances.received(dialog, more, true)
  }

  const submit = (
    { command, presentity }: Accepted,
    { message, transport, address, port }: Inbound,
    arrival: ReceivedOn,
    complete: (answer: Reply) => void,
  ): void => {
    const recordRoutes = command._tag === "Publish" ? [] : (message.headers.get("record-route") ?? [])
    const context = { command, contact: arrival.contact, allowEvents: rules.allowEvents, recordRoutes }
    const origin = `${transport}:${bracketed(address)}:${port} ${message.callId} ${message.cseq}`
    // the one NOTIFY of a fetch is not told later: when it cannot leave, whoever asks has to ask again
    const isFull = (): boolean => {
      const seconds = command._tag === "Subscribe" ? parts.isFullFor(command.dialog) : null
      if (seconds === null) return false
      complete(reply(503, `Retry-After: ${seconds}\r\n`))
      return true
    }
    if (command._tag === "Subscribe" && command.expires === 0 && isFull()) return
    const answered = (answer: Answer): void => {
      // its NOTIFY comes right after it, and meets the same
      if (isFetched(answer) && isFull()) return
      complete(replyOf(answer, context))
    }
    try {
      parts.submit({ presentity, command, origin, answer: answered })
    } catch (defect) {
      complete(reply(500))
      throw defect
    }
  }

  /** The policy may take its time; meanwhile the transaction absorbs what comes again. */
  const ask = (
    { question, otherwise }: Extract<DecodeResult, { readonly _tag: "Ask" }>,
    inbound: Inbound,
    arrival: ReceivedOn,
    complete: (answer: Reply) => void,
  ): void => {
    const settle = (grant: PolicyDecision | null): void => {
      const decided = applyPolicy(otherwise, grant, inbound.message)
      if (decided._tag === "Submit") submit(decided, inbound, arrival, complete)
      else complete(decided._tag === "Reply" ? decided.reply : reply(500))
    }
    const grant = rules.policy?.ask(question) ?? null
    if (!(grant instanceof Promise)) return settle(grant)
    void grant.then(settle).catch((defect: unknown) => {
      counters.defects++
      complete(reply(500))
      parts.onDefect(defect)
    })
  }

  /** RFC 3261 §9.2: a CANCEL is answered, and has no effect on what is not an INVITE. */
  const cancelStatus = (message: RawMessage, via: Via): number =>
    ["PUBLISH", "SUBSCRIBE", "REGISTER", "OPTIONS"].some((method) =>
      server.has(transactionKey(message, via, method)),
    )
      ? 200
      : 481

  // A defect met while one message is handled ends that message, not the process.
  return (...arrived) => {
    try {
      receive(...arrived)
    } catch (defect) {
      counters.defects++
      parts.onDefect(defect)
    }
  }
}

const isFetched = (answer: Answer): boolean =>
  answer._tag === "Accepted" && answer.reply._tag === "Subscribed" && answer.reply.expires === 0

/** The tag of a dialog that may come to be is chosen by the decoder, because the command carries it. */
const tagFor = (decoded: DecodeResult, rules: RequestRules): string =>
  decoded._tag === "Ask"
    ? tagFor(decoded.otherwise, rules)
    : decoded._tag === "Submit" && decoded.command._tag === "Subscribe"
      ? decoded.command.dialog.localTag
      : rules.mintTag()

/** What keeps existing state alive, or ends it, passes even when new work is turned away. */
const isRefresh = (message: RawMessage, isTagged: boolean): boolean =>
  isTagged ||
  (message.method !== "SUBSCRIBE" && message.method !== "PUBLISH") ||
  (message.method === "PUBLISH" && message.headers.has("sip-if-match") && message.body.length === 0)
