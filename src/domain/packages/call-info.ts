/**
 * The `call-info` package: what each appearance of a shared line does, said in the Call-Info header and never in a body.
 *
 * Servers publish appearances, phones of the line watch them. Several publications compose by appearance.
 */
import type { Header } from "../vocabulary.ts"
import { allIdle, byIndex, parseAppearances, printAppearances } from "./call-info-header.ts"
import type { Appearance } from "./call-info-header.ts"
import type { EventPackage, Parsed } from "./event-package.ts"
import { lineSeizeName, seizedBy } from "./line-seize.ts"

/** Of one line; each index at most once. */
export type CallInfo = readonly Appearance[]

const header = "Call-Info"

export interface CallInfoOptions {
  /** Whether a phone that did not refresh its subscription is told (OpenSIPS `call_info_timeout_notification`). */
  readonly timeoutNotification?: boolean
}

/**
 * Whatever is not published is idle, and said to be: a phone that knows otherwise from before learns it. An appearance
 * that a phone has seized (`line-seize.ts`) is shown so whatever is published of it.
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
  // whoever lifts a handset has to know at once what is taken
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

/** Several lines are one list (RFC 3261 §7.3.1). */
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

/** The header as a fragment of a message (RFC 3420), for whoever wants to look at it: no NOTIFY has it. */
const asText = (document: CallInfo) => ({
  contentType: "message/sipfrag",
  text: `${header}: ${printAppearances(document)}\r\n`,
})
