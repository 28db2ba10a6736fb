/**
 * The SIP messages a log tells of, rebuilt: requests from the commands behind decisions, their answers, NOTIFYs, and how
 * those ended. What is not known is not made up: an answer that is not in the log (yet, or because of a crash) is left out.
 *
 * Headers that the log does not keep are those a request has to have (RFC 3261 §8.1.1). A NOTIFY is what was sent but for
 * Via; a SUBSCRIBE has what the dialog remembers; a PUBLISH has the presentity for its sender.
 */
import { formatEvent } from "../../adapters/sip/headers.ts"
import { formatNotify, prepareDialog } from "../../adapters/sip/format-notify.ts"
import { reply, replyOf } from "../../adapters/sip/responses.ts"
import type { Reply } from "../../adapters/sip/responses.ts"
import { transports } from "../../adapters/sip/transports/transports.ts"
import { bracketed } from "../../adapters/sip/uri.ts"
import { recall } from "../../domain/history/recall.ts"
import { answersIn } from "../../domain/presentity/delivery-acks.ts"
import type { DecisionStep } from "../../domain/history/moments.ts"
import type { Answer, Command, Publish, Resubscribe, Subscribe } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get, values } from "../../domain/table.ts"
import { dialogKey } from "../../domain/vocabulary.ts"
import type { DialogStart, Millis } from "../../domain/vocabulary.ts"
import { contentText, shownText, watcherOf } from "../case/step-text.ts"
import type { DecisionWorld } from "../case/world.ts"

export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface LadderMessage {
  readonly at: Millis
  readonly position: number
  /** Who it goes to or comes from, besides the server: a watcher's URI, or `publisher`. */
  readonly party: string
  readonly direction: "to-server" | "from-server"
  /** `SUBSCRIBE`, `200 OK`, `no answer`. */
  readonly label: string
  /** What it says, in a few words. */
  readonly remark: string
  /** Null: nothing was sent, an answer did not come. */
  readonly bytes: Buffer | null
  readonly server: Endpoint | null
  readonly peer: Endpoint | null
}

/** What the server did without being asked by SIP. */
export interface LadderNote {
  readonly at: Millis
  readonly position: number
  readonly note: string
}

export type LadderStep = LadderMessage | LadderNote

export const isNote = (step: LadderStep): step is LadderNote => "note" in step

/** Walks along with a log, and remembers whom each NOTIFY went to. */
export interface Ladder {
  /** The messages of the next decision, in order; answers to NOTIFYs at the time they came. */
  readonly take: (moment: DecisionStep) => readonly LadderStep[]
}

/** Whom a NOTIFY went to, and where. */
interface Told {
  readonly watcher: string
  readonly dialog: DialogStart
}

export const makeLadder = (world: DecisionWorld): Ladder => {
  const told = new Map<string, Told>()
  return {
    take: (moment) => {
      const { decision, position, before, after, notifications } = moment
      const { at, events, stream } = decision
      const recalled = recall(before, decision, world)
      const steps: LadderStep[] = []
      const source = sourceOf(decision.origin)
      const whom = (no: number): Told | null => {
        const one = get(before.subscriptions, no)
        const dialog = one === undefined ? undefined : get(before.dialogs, one.dialog)
        if (one !== undefined && dialog !== undefined) return { watcher: one.watcher, dialog: dialog.start }
        return told.get(`${stream} ${no}`) ?? null
      }
      // what was known by then came before what was asked
      for (const event of events) {
        if (event._tag !== "NotificationsAccepted") continue
        for (const { no, cseq, at: when } of answersIn(event, at))
          steps.push(ended(position, when, no, cseq, whom(no), { status: 200, how: "" }))
      }
      if (recalled !== null) {
        const { command } = recalled
        const { answer } = recalled.outcome
        if (command._tag === "Publish") steps.push(...published(moment, command, answer, source))
        else if (command._tag === "Subscribe" || command._tag === "Resubscribe")
          steps.push(...subscribed(moment, command, answer, source))
        else if (command._tag === "FallDue") steps.push({ at, position, note: dueNote(moment) })
        else if (command._tag !== "ReportDelivery" && command._tag !== "RecordDeliveries")
          steps.push({ at, position, note: command._tag })
      }
      for (const event of events) {
        if (event._tag !== "NotificationFailed") continue
        const { no, cseq, status = null, outcome } = event
        steps.push(ended(position, at, no, cseq, whom(no), { status, how: outcomes[outcome] }))
      }
      for (const notify of notifications) {
        const watcher = watcherOf(before, after, events, notify.no)
        told.set(`${stream} ${notify.no}`, { watcher, dialog: notify.dialog })
        steps.push(notified(moment, notify, watcher))
      }
      return steps
    },
  }
}

const outcomes = {
  refused: "was refused",
  "timed-out": "had no answer",
  unreachable: "could not be sent",
  unproven: "was not sent, its address being unproven",
  unrepeated: "had no answer, and could not be repeated",
} as const

const published = (
  { decision, position, before }: DecisionStep,
  command: Publish,
  answer: Answer,
  source: Source | null,
): readonly LadderStep[] => {
  const { at } = decision
  const { presentity } = before
  const text = body(
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
  const common = { at, position, party: "publisher", server: null, peer: source?.peer ?? null }
  const remark =
    command.expires === 0 ? "the end" : command.body === null ? "refresh" : shownText(command.body)
  return [
    { ...common, direction: "to-server", label: "PUBLISH", remark, bytes: text },
    { ...common, direction: "from-server", ...answered(text, answer, command, "", null) },
  ]
}

const subscribed = (
  moment: DecisionStep,
  command: Subscribe | Resubscribe,
  answer: Answer,
  source: Source | null,
): readonly LadderStep[] => {
  const { decision, position, before } = moment
  const start = command._tag === "Subscribe" ? command.dialog : dialogOf(before, command)
  if (start === null) return []
  const cseq = command._tag === "Subscribe" ? command.dialog.remoteCseq : command.cseq
  const target =
    command._tag === "Subscribe" ? start.remoteTarget : (command.remoteTarget ?? start.remoteTarget)
  const ends = endpointsOf(start, source)
  const text = body(
    [
      `SUBSCRIBE ${command._tag === "Subscribe" ? before.presentity : start.localContact} SIP/2.0`,
      `Via: SIP/2.0/${transportOf(start)} ${sentBy(ends.peer)};branch=${branch(position, 0)}`,
      "Max-Forwards: 70",
      `From: ${start.remoteUri}${start.remoteTag === "" ? "" : `;tag=${start.remoteTag}`}`,
      `To: ${start.localUri}${command._tag === "Subscribe" ? "" : `;tag=${start.localTag}`}`,
      `Call-ID: ${start.callId}`,
      `CSeq: ${cseq} SUBSCRIBE`,
      `Contact: <${target}>`,
      ...(command._tag === "Subscribe" ? start.routeSet.map((route) => `Record-Route: ${route}`) : []),
      `Event: ${formatEvent(command.packageName ?? "", command.eventId)}`,
      ...(command.expires === null ? [] : [`Expires: ${command.expires}`]),
      ...(command.suppressIfMatch === undefined ? [] : [`Suppress-If-Match: ${command.suppressIfMatch}`]),
      ...(command.private === undefined ? [] : [`Privacy: ${command.private ? "id" : "none"}`]),
    ],
    null,
  )
  const common = { at: decision.at, position, party: command.watcher, ...ends }
  const remark = `${command.packageName}${command.expires === 0 ? (command._tag === "Subscribe" ? ", only asks" : ", the end") : ""}`
  return [
    { ...common, direction: "to-server", label: "SUBSCRIBE", remark, bytes: text },
    {
      ...common,
      direction: "from-server",
      ...answered(text, answer, command, start.localContact, command._tag === "Subscribe" ? start : null),
    },
  ]
}

/** Each with its dialog's first target; later ones stand in the dialog. */
const dialogOf = (state: State, command: Resubscribe): DialogStart | null => {
  for (const { start, remoteTarget } of values(state.dialogs)) {
    if (dialogKey(start.callId, start.localTag, start.remoteTag) === command.dialog)
      return { ...start, remoteTarget }
  }
  return null
}

const notified = ({ decision, position }: DecisionStep, notify: Notify, watcher: string): LadderMessage => {
  const ends = endpointsOf(notify.dialog, null)
  const transport = { viaName: transportOf(notify.dialog) }
  const prepared = prepareDialog(notify.dialog)
  const hop = prepared.hop
  // a name is looked up when it is sent, and what came of it is not in the log
  const peer = hop?.isNumeric === true ? { host: hop.host, port: hop.port ?? 5060 } : ends.peer
  return {
    at: decision.at,
    position,
    party: watcher,
    direction: "from-server",
    label: "NOTIFY",
    remark: `${notify.packageName} ${contentText(notify)}`,
    bytes: formatNotify(notify, prepared, transport, sentBy(ends.server), branch(position, notify.no)),
    server: ends.server,
    peer,
  }
}

/** How a NOTIFY ended. */
const ended = (
  position: number,
  at: Millis,
  no: number,
  cseq: number,
  whom: Told | null,
  { status, how }: { readonly status: number | null; readonly how: string },
): LadderMessage => {
  const ends = whom === null ? { server: null, peer: null } : endpointsOf(whom.dialog, null)
  const answer = status === null ? null : reply(status)
  const bytes =
    answer === null || whom === null
      ? null
      : Buffer.from(
          `${statusLine(answer)}\r\nVia: SIP/2.0/${transportOf(whom.dialog)} ${sentBy(ends.server)};branch=${branch(position, no)}\r\n` +
            `From: ${whom.dialog.localUri};tag=${whom.dialog.localTag}\r\n` +
            `To: ${whom.dialog.remoteUri}${whom.dialog.remoteTag === "" ? "" : `;tag=${whom.dialog.remoteTag}`}\r\n` +
            `Call-ID: ${whom.dialog.callId}\r\nCSeq: ${cseq} NOTIFY\r\nContent-Length: 0\r\n\r\n`,
        )
  const label = answer === null ? "no answer" : `${answer.status} ${phraseOf(answer)}`
  const party = whom?.watcher ?? `subscription ${no}`
  const remark = how === "" ? "" : `NOTIFY ${cseq} ${how}`
  return { at, position, party, direction: "to-server", label, remark, bytes, ...ends }
}

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

// ── texts ──

const body = (lines: readonly string[], content: Publish["body"]): Buffer => {
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

const phraseOf = ({ status, reason }: Reply): string => reason ?? phrases[status] ?? "Response"
const phrases: Readonly<Record<number, string>> = {
  200: "OK",
  202: "Accepted",
  204: "No Notification",
  403: "Forbidden",
  481: "Call/Transaction Does Not Exist",
}
const statusLine = (one: Reply): string => `SIP/2.0 ${one.status} ${phraseOf(one)}`

/** The answer to a request, with what it copies from it. */
const answered = (
  request: Buffer,
  answer: Answer,
  command: Command,
  contact: string,
  start: DialogStart | null,
): Pick<LadderMessage, "label" | "remark" | "bytes"> => {
  const one = replyOf(answer, { command, contact, allowEvents: "", recordRoutes: start?.routeSet ?? [] })
  const head = request.toString("utf8").split("\r\n\r\n", 1)[0]!.split("\r\n")
  const copied = head.filter((line) => /^(?:Via|From|Call-ID|CSeq):/.test(line))
  const to = head.find((line) => line.startsWith("To:")) ?? ""
  const tag = start === null || /;tag=/.test(to) ? "" : `;tag=${start.localTag}`
  const text = `${[statusLine(one), ...copied, to + tag].join("\r\n")}\r\n${one.headers}Content-Length: 0\r\n\r\n`
  return { label: `${one.status} ${phraseOf(one)}`, remark: "", bytes: Buffer.from(text) }
}

const branch = (position: number, no: number): string => `z9hG4bK-${position}-${no}`

const sentBy = (endpoint: Endpoint | null): string =>
  endpoint === null ? "unknown.invalid" : `${bracketed(endpoint.host)}:${endpoint.port}`

// ── places ──

interface Source {
  readonly peer: Endpoint
  readonly callId: string
  readonly cseq: number
}

/** `udp:192.0.2.20:5060 <Call-ID> <CSeq>`; null for what did not come by SIP. */
const sourceOf = (origin: string): Source | null => {
  const [, address = "", callId = "", cseq = ""] = /^[a-z]+:(\S+) (\S+) (\d+)$/.exec(origin) ?? []
  const peer = endpointOf(address)
  return peer === null ? null : { peer, callId, cseq: Number(cseq) }
}

const endpointOf = (text: string): Endpoint | null => {
  const colon = text.lastIndexOf(":")
  const port = Number(text.slice(colon + 1))
  return colon <= 0 || !Number.isInteger(port)
    ? null
    : { host: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port }
}

const endpointsOf = (
  start: DialogStart,
  source: Source | null,
): { readonly server: Endpoint | null; readonly peer: Endpoint | null } => ({
  server: endpointOf(start.flow.slice(start.flow.indexOf(":") + 1)),
  peer: source?.peer ?? endpointOf(start.source),
})

const transportOf = (start: DialogStart): string =>
  (transports.ofFlow(start.flow) ?? transports.presumed).viaName
