/**
 * The facts behind an answer, in order: the change, the subscription, the NOTIFYs before and after it, and how it
 * ended.
 */
import type { Life } from "../../domain/history/ledger.ts"
import type { Case, Explanation } from "../../domain/history/why.ts"
import { isSourceReached } from "../../domain/presentity/targets.ts"
import type { DialogStart } from "../../domain/vocabulary.ts"
import { bodyInWords } from "../document-summary.ts"
import { formatEvent, reachInWords, short, triedInWords, words } from "../event-text.ts"
import { deliveryInWords, endingInWords } from "./format-finding.ts"
import { requesterInWords } from "./requester.ts"
import type { WhyContext } from "./why-policy.ts"

export const changeInWords = ({ change }: Explanation, { clock }: WhyContext): string => {
  if (change === null) return ""
  const { what, cause, origin, requester } = change
  const asked = typeof requester === "number" ? "" : requesterInWords(requester)
  const source = words(origin === "" ? "" : `from ${origin}`, asked === "" ? "" : `(${asked})`)
  return what._tag === "Mixed"
    ? words(what.by.join(" "), `by ${cause}`, source)
    : words(
        what.event._tag,
        formatEvent(what.event, clock),
        what._tag === "Published" && what.replaced !== undefined ? replacedInWords(what.replaced) : "",
        source,
      )
}

const replacedInWords = (entityTags: readonly string[]): string =>
  `in place of etag ${entityTags.map(short).join(", ")}, as the same device published anew without its entity-tag,`

export const factsOf = (
  { life, finding, sequel, sent }: Case,
  isOneOfMany: boolean,
  context: WhyContext,
): readonly string[] => {
  const facts = [`watching  ${lifeInWords(life, context)}`]
  if (isOneOfMany)
    facts.push(`          ${sequel === null ? finding._tag : `${finding._tag}, ${sequel._tag}`}`)
  const before = life.sent.findLast(
    (candidate) => candidate !== sent && candidate.place.position < (sent?.place.position ?? Infinity),
  )
  if (before !== undefined) facts.push(`before    ${sentInWords(before, context)}`)
  if (finding._tag === "Hidden") facts.push(...finding.lines.slice(0, 20).map((line) => `hidden    ${line}`))
  if (sent !== null) {
    facts.push(`told      ${sentInWords(sent, context)}`)
    const target = targetInWords(sent.notify.dialog)
    if (target !== "") facts.push(`target    ${target}`)
    if (sent.tried !== undefined) facts.push(`tried     ${triedInWords(sent.tried)}`)
  }
  const ending =
    finding._tag === "Ended" ? finding.ending : sequel?._tag === "Ended" ? sequel.ending : life.ended
  if (ending !== null)
    facts.push(
      `ended     position ${ending.place.position}, ${context.clock(ending.place.at)}: ${endingInWords(ending)}`,
    )
  return facts
}

export const sentInWords = (sent: Life["sent"][number], context: WhyContext): string =>
  `position ${sent.place.position}, ${context.clock(sent.place.at)}: NOTIFY CSeq ${sent.notify.cseq} (${bodyInWords(sent.notify.body)}) ${deliveryInWords(sent, context.known)}`

/** Where a NOTIFY went, and why there; empty: to a watcher within a program. */
const targetInWords = ({ flow, source, reach, remoteTarget, routeSet }: DialogStart): string => {
  const transport = flow.slice(0, Math.max(0, flow.indexOf(":")))
  if (transport === "") return ""
  const [route] = routeSet
  if (isSourceReached(reach, routeSet))
    return reach === "alias"
      ? `beside the host of ${remoteTarget}: ${reachInWords.alias}`
      : `${source} (${transport}): ${reachInWords[reach]}`
  const usual =
    route === undefined
      ? `its Contact ${remoteTarget}${reach === "contact" ? ", by the setting notify_to" : ""}`
      : `its first route ${route}`
  return transport === "udp" || source === ""
    ? usual
    : `over the connection from ${source} (${transport}) while that is open, or else ${usual}`
}

export const lifeInWords = ({ no: id, createdAt, origin, began }: Life, { clock }: WhyContext): string =>
  words(
    `#${id}`,
    `since ${clock(createdAt)}`,
    began === null ? "" : `position ${began.position}`,
    origin === "" ? "" : `from ${origin}`,
  )
