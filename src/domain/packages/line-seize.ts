/**
 * The `line-seize` package: a phone seizes an appearance of a shared line by subscribing, and holds it while its
 * subscription lasts.
 *
 *     SUBSCRIBE sip:alice@example.com …  Event: line-seize  Call-Info: <sip:alice@example.com>;appearance-index=1
 *
 * Nothing is published. What the subscriptions have seized is shown here and in `call-info`.
 */
import type { Header, Uri } from "../vocabulary.ts"
import { allIdle, byIndex, parseAppearances, printAppearances } from "./call-info-header.ts"
import type { Appearance } from "./call-info-header.ts"
import type { EventPackage, Refusal, SubscriptionArgument, SubscriptionQuestion } from "./event-package.ts"

export const lineSeizeName = "line-seize"
const header = "Call-Info"

export interface LineSeizeOptions {
  /** Whether a phone that did not refresh its subscription is notified (OpenSIPS `line_seize_timeout_notification`). */
  readonly timeoutNotification?: boolean
}

/** Its documents are all seized appearances of the line, and one entry that stands for the others. */
export const lineSeize = ({ timeoutNotification = false }: LineSeizeOptions = {}): EventPackage<
  readonly Appearance[],
  "line-seize"
> => ({
  name: lineSeizeName,
  watchers: "domain",
  accepts: [],
  produces: [],
  argumentHeader: header,
  composesFrom: lineSeizeName,
  notifiesTimeout: timeoutNotification,
  // long enough to dial; a phone that needs longer refreshes its subscription
  defaultExpires: 15,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  checkSubscription: check,
  parse: () => ({ _tag: "Unreadable", why: "line-seize cannot be published" }),
  compose: ({ presentity, subscriptions = [] }) =>
    byIndex([allIdle(presentity), ...seizedBy(subscriptions, presentity)]),
  render: (document) => ({
    contentType: "message/sipfrag",
    text: `${header}: ${printAppearances(document)}\r\n`,
  }),
  renderHeaders: (document): readonly Header[] => [[header, printAppearances(document)]],
  offline: (presentity) => [allIdle(presentity)],
})

/** What subscriptions to `line-seize` have seized, oldest first; for an anonymous watcher only the number. */
export const seizedBy = (subscriptions: readonly SubscriptionArgument[], line: Uri): readonly Appearance[] =>
  subscriptions.flatMap((subscription): readonly Appearance[] => {
    const wanted = subscription.argument === null ? null : wantedIn(subscription.argument)
    if (wanted === null || typeof wanted === "string") return []
    const shown = subscription.private === true ? { ...wanted, uri: line, parameters: [] } : wanted
    return [{ ...shown, state: "seized" }]
  })

/**
 * An appearance belongs to the first phone that seized it. A request that gives it back, or a fetch, need not name it.
 */
const check = ({ presentity, argument, expires, others }: SubscriptionQuestion): Refusal | null => {
  if (expires === 0) return null
  if (argument === null) return badRequest(`${header} is missing: which appearance?`)
  const wanted = wantedIn(argument)
  if (typeof wanted === "string") return badRequest(wanted)
  if (!seizedBy(others, presentity).some(({ index }) => index === wanted.index)) return null
  const why = `appearance-index=${wanted.index} is seized`
  return { _tag: "TemporarilyUnavailable", status: 480, why }
}

/** The one appearance that a request is about; text: its fault. */
const wantedIn = (argument: string): Appearance | string => {
  const parsed = parseAppearances(argument)
  if (parsed._tag === "Unreadable") return parsed.why
  const [wanted, another] = parsed.appearances
  if (wanted === undefined) return `${header}: no entry has an appearance-index`
  if (another !== undefined || wanted.index === "*")
    return `${header}: one appearance can be seized, not several`
  return wanted
}

const badRequest = (why: string): Refusal => ({ _tag: "BadRequest", status: 400, why })
