/**
 * Answers about history as text, the same on the command line and over the management port.
 */
import type { PresentityAt } from "../../domain/history/at.ts"
import type { Difference } from "../../domain/history/compare.ts"
import type { Entry } from "../../domain/history/entries.ts"
import type { Knowledge, Sent } from "../../domain/history/ledger.ts"
import { linesOf } from "../../domain/history/lines.ts"
import type { Event } from "../../domain/presentity/events.ts"
import { bodyInWords } from "../document-summary.ts"
import { formatEvent, words } from "../event-text.ts"
import type { Clock } from "../event-text.ts"
import { deliveryInWords, findingInWords } from "./format-finding.ts"
import { requesterInWords } from "./requester.ts"

/** Events whose watchers are named at the end of the line. */
const notices: ReadonlySet<Event["_tag"]> = new Set([
  "NotificationsIssued",
  "NotificationsDeferred",
  "NotificationsAccepted",
])

/** One decision: a line for each event, and who was notified. */
export const entryText = (entry: Entry, clock: Clock, withCauses: boolean): string => {
  const shown = entry.events.filter(({ _tag }) => !notices.has(_tag))
  const [first, ...rest] = shown.length === 0 ? entry.events.slice(0, 1) : shown
  const head = `${String(entry.position).padStart(7)}  ${clock(entry.at)}  `
  const margin = " ".repeat(head.length)
  const line = (event: Event): string => words(event._tag.padEnd(21), formatEvent(event, clock))
  const lines = [
    `${head}${words(first === undefined ? entry.cause : line(first), toldText(entry, clock))}`,
    ...rest.map((event) => `${margin}${line(event)}`),
  ]
  if (withCauses) {
    const source = entry.origin === "" ? "the server itself" : entry.origin
    const asked = typeof entry.requester === "number" ? "" : requesterInWords(entry.requester)
    lines.push(
      `${margin}  decided ${entry.cause}, asked by ${words(source, asked === "" ? "" : `(${asked})`)}`,
    )
    if (entry.causedBy.length > 0)
      lines.push(`${margin}  follows from version ${entry.causedBy.join(", ")}, is version ${entry.version}`)
    for (const [event, version] of Object.entries(entry.rules))
      lines.push(`${margin}  rules of ${event}: those of version ${version}`)
    for (const { watcher, event, cseq, state, matched, no: id } of entry.told) {
      const matchedRules = matched === null ? "" : `rules ${matched === "" ? "none" : matched}`
      lines.push(`${margin}  told ${words(watcher, event, `#${id}`, `CSeq ${cseq}`, state, matchedRules)}`)
    }
  }
  return lines.join("\n")
}

const toldText = ({ told, untold }: Entry, clock: Clock): string => {
  const reasons = new Map<string, number>()
  for (const { finding } of untold) {
    const reason = findingInWords(finding, clock)
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const not = [...reasons].map(([reason, count]) => (count === 1 ? reason : `${count} ${reason}`)).join(", ")
  if (told.length === 0 && untold.length === 0) return ""
  return `-> ${told.length} told${untold.length === 0 ? "" : `, ${untold.length} not (${not})`}`
}

/** Publications, documents, rules and watchers as of an instant. */
export const atText = (presentity: PresentityAt, clock: Clock): string => {
  const lines = [`${presentity.presentity} at ${clock(presentity.at)}, after ${presentity.version} decisions`]
  const documents = (title: string, texts: Readonly<Record<string, string>>): void => {
    for (const [event, text] of Object.entries(texts)) {
      lines.push(`${title} of ${event}`, ...linesOf(text).map((line) => `  ${line}`))
    }
  }
  for (const { event, entityTag, body, publishedAt, expiresAt } of presentity.publications) {
    lines.push(
      `publication  ${words(event, `etag ${entityTag}`, bodyInWords(body), `since ${clock(publishedAt)}`, `until ${clock(expiresAt)}`)}`,
    )
  }
  if (presentity.publications.length === 0) lines.push("nothing is published")
  documents(
    "document",
    Object.fromEntries(Object.entries(presentity.documents).map(([event, { text }]) => [event, text])),
  )
  documents(
    "hard state",
    Object.fromEntries(Object.entries(presentity.hardState).map(([event, { text }]) => [event, text])),
  )
  documents("rules", presentity.rules)
  for (const {
    watcher,
    event,
    status,
    private: isPrivate,
    since,
    expiresAt,
    document,
  } of presentity.watchers) {
    const until = expiresAt === null ? "" : `until ${clock(expiresAt)}`
    const sees = status === "active" && document !== null ? `sees ${bodyInWords(document)}` : ""
    const named = isPrivate === true ? "not named to others" : ""
    lines.push(`watcher  ${words(watcher, event, status, named, `since ${clock(since)}`, until, sees)}`)
  }
  if (presentity.watchers.length === 0) lines.push("nobody watches")
  return lines.join("\n")
}

/** One NOTIFY, with its document on request. */
export const sentText = (sent: Sent, known: Knowledge, clock: Clock, withBody: boolean): string => {
  const { place, notify, cause } = sent
  const state = notify.reason === null ? notify.state : `${notify.state} (${notify.reason})`
  const line = words(
    String(place.position).padStart(7),
    clock(place.at),
    `${notify.packageName} #${notify.no} CSeq ${notify.cseq}`,
    state,
    bodyInWords(notify.body),
    `because of ${cause}`,
    deliveryInWords(sent, known),
  )
  return withBody && notify.body !== null
    ? [line, ...linesOf(notify.body.text).map((textLine) => `           ${textLine}`)].join("\n")
    : line
}

export const differenceText = (difference: Difference): string => {
  switch (difference._tag) {
    case "Publication":
      return `${difference.mark} publication  ${difference.event}  etag ${difference.entityTag}`
    case "Watcher": {
      const { event, watcher, before, after } = difference
      if (before === null) return `+ watcher  ${words(watcher, event, after ?? "")}`
      if (after === null) return `- watcher  ${words(watcher, event, before)}`
      return `~ watcher  ${words(watcher, event)}  ${before} -> ${after}`
    }
    case "Document": {
      const { what, event, lines } = difference
      return [`~ ${what} of ${event}`, ...lines.map(({ mark, text }) => `  ${mark} ${text}`)].join("\n")
    }
  }
}
