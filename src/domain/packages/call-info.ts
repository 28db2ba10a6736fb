/**
 * The `call-info` package: the state of each appearance of a shared line, carried in the Call-Info header and never in
 * a body.
 *
 * Servers publish appearances; the phones of the line watch them. Several publications are composed by appearance.
 */
import type { Header } from "../vocabulary.ts"
import { allIdle, byIndex, parseAppearances, printAppearances } from "./call-info-header.ts"
import type { Appearance } from "./call-info-header.ts"
import type { EventPackage, Parsed } from "./event-package.ts"
import { lineSeizeName, seizedBy } from "./line-seize.ts"

/** The appearances of one line; each index occurs at most once. */
export type CallInfo = readonly Appearance[]

const header = "Call-Info"

export interface CallInfoOptions {
  /** Whether a phone that did not refresh its subscription is notified (OpenSIPS `call_info_timeout_notification`). */
  readonly timeoutNotification?: boolean
}

/**
 * An appearance that is not published is idle, and the document says so, because a phone may still have an earlier
 * state. An appearance that a phone has seized (`line-seize.ts`) is shown as seized whatever is published.
 */
export const callInfo = ({ timeoutNotification = true }: CallInfoOptions = {}): EventPackage<
  CallInfo,
  "call-info"
> => ({
  name: "call-info",
  watchers: "domain",
  accepts: [],
  produces: [],
  carriedHeaders: [header],
  bodyRequired: false,
  defaultExpires: 3_600,
  entityTags: "new-each-time",
  // a user who lifts a handset must know at once what is taken
  notifyIntervalMillis: 0,
  parse: () => ({ _tag: "Unreadable", why: "call-info has no body" }),
  parseHeaders,
  composesFrom: lineSeizeName,
  notifiesTimeout: timeoutNotification,
  compose: ({ presentity, documents, subscriptions = [] }) =>
    byIndex([
      allIdle(presentity),
      ...documents.flatMap(({ document }) => document),
      ...seizedBy(subscriptions, presentity),
    ]),
  render: asText,
  renderHeaders,
  offline: (presentity) => [allIdle(presentity)],
})

/** Several header lines are one list (RFC 3261 §7.3.1). */
const parseHeaders = (headers: readonly Header[]): Parsed<CallInfo> => {
  const parsed = parseAppearances(headers.map(([, value]) => value).join(","))
  if (parsed._tag === "Unreadable") return parsed
  const { appearances } = parsed
  if (appearances.length === 0) return unreadable("no entry has an appearance-index")
  const mute = appearances.find(({ state }) => state === null)
  if (mute !== undefined) return unreadable(`appearance-index=${mute.index} has no appearance-state`)
  return { _tag: "Parsed", document: appearances }
}

const unreadable = (what: string): Parsed<CallInfo> => ({ _tag: "Unreadable", why: `${header}: ${what}` })

const renderHeaders = (document: CallInfo): readonly Header[] => [[header, printAppearances(document)]]

/** The header as a fragment of a message (RFC 3420), for display only: no NOTIFY carries it. */
const asText = (document: CallInfo) => ({
  contentType: "message/sipfrag",
  text: `${header}: ${printAppearances(document)}\r\n`,
})
