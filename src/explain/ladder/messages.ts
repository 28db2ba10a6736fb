/**
 * The SIP messages recorded in a log: requests from the commands behind decisions, their responses, NOTIFYs and their
 * outcomes. Nothing is invented: a response that is not in the log (yet, or because of a crash) is omitted.
 *
 * The result suffices for drawing; the server's command line writes the text of each message from its `content`.
 */
import type { DecisionStep } from "../../domain/history/moments.ts"
import { reconstructCommand } from "../../domain/history/reconstruct-command.ts"
import type { Answer, Publish, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import { answersIn } from "../../domain/presentity/delivery-acks.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { State } from "../../domain/presentity/state.ts"
import { startNow } from "../../domain/presentity/targets.ts"
import { get, values } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogStart, Millis, SubscriptionNo, Uri } from "../../domain/vocabulary.ts"
import { replyOf } from "../../encoding/sip-replies.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import { contentText, watcherOf } from "../case/step-text.ts"
import type { DecisionWorld } from "../case/world.ts"
import { shownText } from "../document-summary.ts"

export interface Endpoint {
  readonly host: string
  readonly port: number
}

/** Where a request came from, and what identifies its transaction. */
export interface RequestSource {
  readonly peer: Endpoint
  readonly callId: string
  readonly cseq: number
}

export interface PublishRequest {
  readonly _tag: "Publish"
  readonly presentity: Uri
  readonly command: Publish
  /** Null: it did not arrive by SIP. */
  readonly source: RequestSource | null
}

export interface SubscribeRequest {
  readonly _tag: "Subscribe"
  readonly presentity: Uri
  readonly command: Subscribe | Resubscribe
  readonly dialog: DialogStart
  readonly source: RequestSource | null
}

/** What a message consists of. */
export type MessageContent =
  | PublishRequest
  | SubscribeRequest
  | { readonly _tag: "Reply"; readonly request: PublishRequest | SubscribeRequest; readonly reply: Reply }
  | { readonly _tag: "Notify"; readonly notify: Notify }
  | {
      readonly _tag: "NotifyAnswer"
      readonly no: SubscriptionNo
      readonly cseq: number
      /** Null: the log does not record the dialog of the NOTIFY. */
      readonly dialog: DialogStart | null
    }

export interface LadderMessage {
  readonly at: Millis
  readonly position: number
  /** The other party besides the server, recipient or sender: a watcher's URI, or `publisher`. */
  readonly party: string
  readonly direction: "to-server" | "from-server"
  /** `SUBSCRIBE`, `200 OK`, `no answer`. */
  readonly label: string
  /** The content in a few words. */
  readonly remark: string
  /** Whether the message exists: false for a response that did not arrive, and if its dialog is unknown. */
  readonly isSent: boolean
  readonly content: MessageContent
}

/** Something that the server did without a SIP request. */
export interface LadderNote {
  readonly at: Millis
  readonly position: number
  readonly note: string
}

export type LadderStep = LadderMessage | LadderNote

export const isNote = (step: LadderStep): step is LadderNote => "note" in step

/** Follows a log, and remembers the recipient of each NOTIFY. */
export interface Ladder {
  /** The messages of the next decision, in order; responses to NOTIFYs at the time they arrived. */
  readonly take: (moment: DecisionStep) => readonly LadderStep[]
}

/** The recipient of a NOTIFY, and its dialog. */
interface Recipient {
  readonly watcher: string
  readonly dialog: DialogStart
}

export const makeLadder = (world: DecisionWorld): Ladder => {
  const recipients = new Map<string, Recipient>()
  return {
    take: (moment) => {
      const { decision, position, before, after, notifications } = moment
      const { at, events, stream } = decision
      const recipientOf = (id: SubscriptionNo): Recipient | null =>
        recipientIn(before, id) ?? recipients.get(`${stream} ${id}`) ?? null
      const steps: LadderStep[] = []
      // responses known by then arrived before the request
      for (const event of events) {
        if (event._tag !== "NotificationsAccepted") continue
        for (const { no: id, cseq, at: answeredAt } of answersIn(event, at))
          steps.push(
            answeredNotify({
              position,
              at: answeredAt,
              no: id,
              cseq,
              recipient: recipientOf(id),
              status: 200,
            }),
          )
      }
      steps.push(...askedFor(moment, world))
      for (const event of events) {
        if (event._tag !== "NotificationFailed") continue
        const { no: id, cseq, status = null, outcome } = event
        const remark = `NOTIFY ${cseq} ${outcomes[outcome]}`
        steps.push(answeredNotify({ position, at, no: id, cseq, recipient: recipientOf(id), status, remark }))
      }
      for (const notify of notifications) {
        const watcher = watcherOf(before, after, events, notify.no)
        recipients.set(`${stream} ${notify.no}`, { watcher, dialog: notify.dialog })
        steps.push(notified(moment, notify, watcher))
      }
      return steps
    },
  }
}

const recipientIn = (state: State, id: SubscriptionNo): Recipient | null => {
  const subscription = get(state.subscriptions, id)
  const dialog = subscription === undefined ? undefined : get(state.dialogs, subscription.dialog)
  return subscription === undefined || dialog === undefined
    ? null
    : { watcher: subscription.watcher, dialog: dialog.start }
}

const outcomes = {
  refused: "was refused",
  "timed-out": "had no answer",
  unreachable: "could not be sent",
  unproven: "was not sent, its address being unproven",
  unrepeated: "had no answer, and could not be repeated",
  "flow-lost": "was not delivered, its connection being closed",
  "too-large": "was too large for a datagram",
} as const

/** The request behind a decision with its response, or a note about what the server did by itself. */
const askedFor = (moment: DecisionStep, world: DecisionWorld): readonly LadderStep[] => {
  const { decision, position, before } = moment
  const { at } = decision
  const reconstructed = reconstructCommand(before, decision, world)
  if (reconstructed === null) return []
  const { command, outcome } = reconstructed
  const source = sourceOf(decision.origin)
  switch (command._tag) {
    case "Publish":
      return published(moment, command, outcome.answer, source)
    case "Subscribe":
    case "Resubscribe":
      return subscribed(moment, command, outcome.answer, source)
    case "FallDue":
      return [{ at, position, note: dueNote(moment) }]
    case "ReportDelivery":
    case "RecordDeliveries":
      return []
    default:
      return [{ at, position, note: command._tag }]
  }
}

const published = (
  { decision, position, before }: DecisionStep,
  command: Publish,
  answer: Answer,
  source: RequestSource | null,
): readonly LadderStep[] => {
  const request: PublishRequest = { _tag: "Publish", presentity: before.presentity, command, source }
  const remark =
    command.expires === 0 ? "the end" : command.body === null ? "refresh" : shownText(command.body)
  const context = { command, contact: "", allowEvents: "", recordRoutes: [] }
  return exchange(request, replyOf(answer, context), {
    at: decision.at,
    position,
    party: "publisher",
    remark,
  })
}

const subscribed = (
  { decision, position, before }: DecisionStep,
  command: Subscribe | Resubscribe,
  answer: Answer,
  source: RequestSource | null,
): readonly LadderStep[] => {
  const isFirst = command._tag === "Subscribe"
  const dialog = isFirst ? command.dialog : dialogOf(before, command)
  if (dialog === null) return []
  const request: SubscribeRequest = {
    _tag: "Subscribe",
    presentity: before.presentity,
    command,
    dialog,
    source,
  }
  const end = command.expires !== 0 ? "" : isFirst ? ", only asks" : ", the end"
  const context = {
    command,
    contact: dialog.localContact,
    allowEvents: "",
    recordRoutes: isFirst ? dialog.routeSet : [],
  }
  return exchange(request, replyOf(answer, context), {
    at: decision.at,
    position,
    party: command.watcher,
    remark: `${command.packageName}${end}`,
  })
}

/** A request and its response. */
const exchange = (
  request: PublishRequest | SubscribeRequest,
  reply: Reply,
  { remark, ...common }: Pick<LadderMessage, "at" | "position" | "party" | "remark">,
): readonly LadderMessage[] => [
  {
    ...common,
    direction: "to-server",
    label: request._tag === "Publish" ? "PUBLISH" : "SUBSCRIBE",
    remark,
    isSent: true,
    content: request,
  },
  {
    ...common,
    direction: "from-server",
    label: labelOf(reply.status, reply.reason),
    remark: "",
    isSent: true,
    content: { _tag: "Reply", request, reply },
  },
]

/** The dialog of a later SUBSCRIBE, with its target at that time. */
const dialogOf = (state: State, command: Resubscribe): DialogStart | null => {
  for (const dialog of values(state.dialogs)) {
    const { callId, localTag, remoteTag } = dialog.start
    if (dialogKey(callId, localTag, remoteTag) === command.dialog) return startNow(dialog)
  }
  return null
}

const notified = ({ decision, position }: DecisionStep, notify: Notify, watcher: string): LadderMessage => ({
  at: decision.at,
  position,
  party: watcher,
  direction: "from-server",
  label: "NOTIFY",
  remark: `${notify.packageName} ${contentText(notify)}`,
  isSent: true,
  content: { _tag: "Notify", notify },
})

/** The outcome of a NOTIFY. */
const answeredNotify = ({
  position,
  at,
  no: id,
  cseq,
  recipient,
  status,
  remark = "",
}: {
  readonly position: number
  readonly at: Millis
  readonly no: SubscriptionNo
  readonly cseq: number
  readonly recipient: Recipient | null
  /** Null: no response arrived. */
  readonly status: number | null
  readonly remark?: string
}): LadderMessage => ({
  at,
  position,
  party: recipient?.watcher ?? `subscription ${id}`,
  direction: "to-server",
  label: status === null ? "no answer" : labelOf(status, null),
  remark,
  isSent: status !== null && recipient !== null,
  content: { _tag: "NotifyAnswer", no: id, cseq, dialog: recipient?.dialog ?? null },
})

const dueNote = ({ decision }: DecisionStep): string => {
  const happened = decision.events.flatMap((event) =>
    event._tag === "PublicationRemoved"
      ? [`publication of ${event.packageName} expired`]
      : event._tag === "SubscriptionTerminated"
        ? [`subscription ${event.no} ended: ${event.reason}`]
        : event._tag === "RulesReviewed"
          ? ["time changed what the rules say"]
          : [],
  )
  return happened.length === 0 ? "what was held back is sent" : happened.join(", ")
}

const labelOf = (status: number, reason: string | null): string =>
  `${status} ${reason ?? phrases[status] ?? "Response"}`

const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  202: "Accepted",
  204: "No Notification",
  403: "Forbidden",
  481: "Call/Transaction Does Not Exist",
}

/** `udp:192.0.2.20:5060 <Call-ID> <CSeq>`; null: it did not arrive by SIP. */
const sourceOf = (origin: string): RequestSource | null => {
  const [, address = "", callId = "", cseq = ""] = /^[a-z]+:(\S+) (\S+) (\d+)$/.exec(origin) ?? []
  const peer = endpointOf(address)
  return peer === null ? null : { peer, callId, cseq: Number(cseq) }
}

/** `192.0.2.20:5060`, `[2001:db8::1]:5060`; null for anything else. */
export const endpointOf = (text: string): Endpoint | null => {
  const colon = text.lastIndexOf(":")
  const port = Number(text.slice(colon + 1))
  return colon <= 0 || !Number.isInteger(port)
    ? null
    : { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port }
}
