/**
 * The `message-summary` package: how many messages wait in a mailbox, shown by the lamp of its phones (RFC 3842).
 *
 * A body consists of lines, not XML: first whether any message is waiting, then counts by message class, then, after
 * empty lines, headers of single messages. Everything that this file does not interpret is kept.
 */
import type { Body } from "../vocabulary.ts"
import type { Composition, EventPackage, Parsed } from "./event-package.ts"

export interface MessageSummaryOptions {
  /**
   * Shows `Messages-Waiting: no` for an account that has published nothing; false: no body. COMPAT(several phones):
   * they take a first NOTIFY without a body for a fault.
   */
  readonly emptySummary?: boolean
  /**
   * Shows the published headers of single messages; false: they are never shown.
   *
   * RFC 3842 §3.5 wants none in response to a SUBSCRIBE, and later only those of messages that are new since the last
   * NOTIFY, because their number would otherwise be unbounded. Here the publication is all there is, and its size is
   * bounded; only the publisher knows which messages are new; and a fetch has no earlier NOTIFY from which to learn
   * them. Therefore they are sent with the summary by default, and can be omitted to follow the RFC literally.
   */
  readonly messageHeaders?: boolean
  /** In milliseconds; default 1000 (RFC 3842 §3.11). */
  readonly notifyIntervalMillis?: number
}

export interface MessageSummary {
  readonly isWaiting: boolean
  /** The URI without angle brackets. */
  readonly account: string | null
  /** In published order. */
  readonly lines: readonly (MessageCounts | MessageHeader)[]
  /** The headers of each message; no list is empty. */
  readonly messages: readonly (readonly MessageHeader[])[]
}

/** One summary line. Counts are at most 2^32 - 1. */
export interface MessageCounts {
  readonly _tag: "Counts"
  /** As written; names are compared without case. */
  readonly messageClass: string
  readonly all: NewAndOld
  /** How many of these are urgent; null: not stated. */
  readonly urgent: NewAndOld | null
}

export interface NewAndOld {
  readonly new: number
  readonly old: number
}

export interface MessageHeader {
  readonly _tag: "Header"
  readonly name: string
  /** On one line, without surrounding white space. */
  readonly value: string
}

const contentType = "application/simple-message-summary"

/** @source RFC 3842 §3 */
export const messageSummary = (
  options: MessageSummaryOptions = {},
): EventPackage<MessageSummary, "message-summary"> => {
  const { emptySummary = true, messageHeaders = true, notifyIntervalMillis = 1_000 } = options
  return {
    name: "message-summary",
    watchers: "owner",
    accepts: [contentType],
    produces: [contentType],
    defaultExpires: 3_600,
    entityTags: "new-each-time",
    notifyIntervalMillis,
    parse: ({ text }) => parse(text),
    compose: (input) => {
      const document = compose(input, emptySummary)
      return document === null || messageHeaders ? document : { ...document, messages: [] }
    },
    render,
    // shown only to watchers that had a summary before, where otherwise nothing is shown, so that the lamp goes out
    offline: () => nothingWaits,
  }
}

const nothingWaits: MessageSummary = { isWaiting: false, account: null, lines: [], messages: [] }

/** @source RFC 3842 §3.10: summaries of several servers are not added up; the newest counts */
const compose = (
  { documents, ended }: Composition<MessageSummary>,
  emptySummary: boolean,
): MessageSummary | null =>
  documents.at(-1)?.document ?? (emptySummary || ended.length > 0 ? nothingWaits : null)

/**
 * Parses a published summary; total.
 *
 * @source RFC 3842 §5.2. Lines may end without CR, and `Message-Account` may stand among the counts.
 * @returns the number of the first faulty line, from 1, and its fault
 */
const parse = (text: string): Parsed<MessageSummary> => {
  const [first, ...rest] = linesOf(text)
  const status = first === undefined ? null : headerOf(first.text)
  if (first === undefined || status === null || !isCalled(status, statusName)) {
    return unreadable(1, `${statusName} must come first`)
  }
  const waiting = status.value.toLowerCase()
  if (waiting !== "yes" && waiting !== "no") return unreadable(1, `${statusName} is neither yes nor no`)

  const gap = rest.findIndex(({ text: line }) => line === "")
  const summary = summaryIn(gap === -1 ? rest : rest.slice(0, gap))
  if ("why" in summary) return summary
  const messages = messagesIn(gap === -1 ? [] : rest.slice(gap))
  if ("why" in messages) return messages
  return { _tag: "Parsed", document: { isWaiting: waiting === "yes", ...summary, messages } }
}

type Summary = Pick<MessageSummary, "account" | "lines">

/** The lines between the status and the first empty line. */
const summaryIn = (all: readonly Line[]): Summary | Unreadable => {
  let account: string | null = null
  const lines: (MessageCounts | MessageHeader)[] = []
  for (const { number, text } of all) {
    const header = headerOf(text)
    if (header === null) return unreadable(number, noHeader)
    if (isCalled(header, statusName)) return unreadable(number, `a second ${statusName}`)
    if (isCalled(header, accountName)) {
      if (account !== null) return unreadable(number, `a second ${accountName}`)
      account = accountOf(header.value)
      if (account === null) return unreadable(number, `${accountName} is not a URI`)
      continue
    }
    const counts = countsOf(header)
    const known = messageClasses.find((name) => isCalled(header, name))
    if (counts === null && known !== undefined)
      return unreadable(number, `${known} is not new/old or new/old (new/old)`)
    lines.push(counts ?? header)
  }
  return { account, lines }
}

/** The headers of each message; one or more empty lines separate messages. */
const messagesIn = (all: readonly Line[]): readonly (readonly MessageHeader[])[] | Unreadable => {
  const messages: MessageHeader[][] = [[]]
  for (const { number, text } of all) {
    const header = text === "" ? null : headerOf(text)
    if (header !== null) messages.at(-1)?.push(header)
    else if (text === "") messages.push([])
    else return unreadable(number, noHeader)
  }
  return messages.filter((headers) => headers.length > 0)
}

const noHeader = "not a name, a colon and a value"
const statusName = "Messages-Waiting"
const accountName = "Message-Account"

/** @source RFC 3458 §5, as used by RFC 3842 §5.2; other classes are allowed and kept without interpretation */
const messageClasses = [
  "voice-message",
  "video-message",
  "fax-message",
  "pager-message",
  "multimedia-message",
  "text-message",
  "none",
]

const isCalled = (header: MessageHeader, name: string): boolean =>
  header.name.toLowerCase() === name.toLowerCase()

type Unreadable = Extract<Parsed<MessageSummary>, { _tag: "Unreadable" }>

const unreadable = (line: number, what: string): Unreadable => ({
  _tag: "Unreadable",
  why: `line ${line}: ${what}`,
})

interface Line {
  /** The number of its first line, from 1. */
  readonly number: number
  /** Empty: a separator. */
  readonly text: string
}

/** The lines of a body, each with its continuation lines (RFC 3261 §7.3.1: they begin with white space). O(length). */
const linesOf = (text: string): readonly Line[] => {
  const lines: { readonly number: number; readonly parts: string[] }[] = []
  for (const [index, raw] of text.split("\n").entries()) {
    const whole = raw.endsWith("\r") ? raw.slice(0, -1) : raw
    const part = trimmed(whole)
    const last = lines.at(-1)
    if (/^[ \t]/.test(whole) && last !== undefined && last.parts.length > 0) {
      if (part !== "") last.parts.push(part)
    } else {
      lines.push({ number: index + 1, parts: part === "" ? [] : [part] })
    }
  }
  return lines.map(({ number, parts }) => ({ number, text: parts.join(" ") }))
}

/** Without surrounding blanks and tabs, the only characters allowed around a value. */
const trimmed = (text: string): string => {
  let [from, to] = [0, text.length]
  while (from < to && isBlank(text[from])) from += 1
  while (to > from && isBlank(text[to - 1])) to -= 1
  return text.slice(from, to)
}

const isBlank = (character: string | undefined): boolean => character === " " || character === "\t"

/** @source RFC 3261 §25.1 (extension-header); null: no header, or it contains a control character */
const headerOf = (line: string): MessageHeader | null => {
  const match = /^([A-Za-z0-9!%*_+`'~.-]+)[ \t]*:/.exec(line)
  if (match === null || /[^\P{Cc}\t]/u.test(line)) return null
  const [whole, name = ""] = match
  return { _tag: "Header", name, value: trimmed(line.slice(whole.length)) }
}

/**
 * COMPAT(voicemail servers): the account is in angle brackets, or without its scheme, which RFC 3842 §3.5 does not
 * allow. It is shown as it should be.
 */
const accountOf = (value: string): string | null => {
  const uri = value.startsWith("<") && value.endsWith(">") ? trimmed(value.slice(1, -1)) : value
  if (/^[^\s<>":@]+@[^\s<>"@]+$/.test(uri)) return `sip:${uri}`
  return /^[A-Za-z][A-Za-z0-9+.-]*:[^\s<>"]+$/.test(uri) ? uri : null
}

const pair = String.raw`([0-9]+)[ \t]*/[ \t]*([0-9]+)`
const countsPattern = new RegExp(String.raw`^${pair}(?:[ \t]*\([ \t]*${pair}[ \t]*\))?$`)

const countsOf = ({ name, value }: MessageHeader): MessageCounts | null => {
  const match = countsPattern.exec(value)
  if (match === null) return null
  const [, allNew = "", allOld = "", urgentNew, urgentOld] = match
  const urgent =
    urgentNew === undefined || urgentOld === undefined
      ? null
      : { new: countOf(urgentNew), old: countOf(urgentOld) }
  return {
    _tag: "Counts",
    messageClass: name,
    all: { new: countOf(allNew), old: countOf(allOld) },
    urgent,
  }
}

/** @source RFC 3842 §5.2: at most 32 bits; larger numbers are reduced to that maximum */
const countOf = (digits: string): number => Math.min(Number(digits), 0xffff_ffff)

/** @source RFC 3842 §5.2 */
const render = ({ isWaiting, account, lines, messages }: MessageSummary): Body => {
  const summary = [
    `${statusName}: ${isWaiting ? "yes" : "no"}`,
    ...(account === null ? [] : [`${accountName}: ${account}`]),
    ...lines.map((line) => (line._tag === "Counts" ? countsLine(line) : headerLine(line))),
  ]
  const blocks = [summary, ...messages.map((headers) => headers.map(headerLine))]
  return {
    contentType,
    text: blocks.map((block) => block.map((line) => `${line}\r\n`).join("")).join("\r\n"),
  }
}

const countsLine = ({ messageClass, all, urgent }: MessageCounts): string =>
  `${messageClass}: ${all.new}/${all.old}${urgent === null ? "" : ` (${urgent.new}/${urgent.old})`}`

const headerLine = ({ name, value }: MessageHeader): string =>
  value === "" ? `${name}:` : `${name}: ${value}`
