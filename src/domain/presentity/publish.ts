/**
 * Decisions on PUBLISH: create, modify, refresh and remove publications.
 *
 * The file follows the steps of RFC 3903 §6 in their order. Step 1 (whether the Request-URI is ours and this sender may
 * publish for it) is completed before a command exists. The syntax of bodies is left to the packages; `notify.ts`
 * determines who is notified.
 */
import { isPublishable } from "../packages/event-package.ts"
import type { EventPackage, PublicationQuestion } from "../packages/event-package.ts"
import { get, size, values } from "../table.ts"
import { isHeaderValue } from "../vocabulary.ts"
import type { Body, EntityTag, Header, Seconds } from "../vocabulary.ts"
import { reviewSphere } from "./authorize.ts"
import type { Answer, Publish, Rejection } from "./commands.ts"
import type { Context } from "./context.ts"
import { accepted, rejected } from "./decision.ts"
import type { Event } from "./events.ts"
import { changeNotifications, mixedNotifications } from "./notify.ts"
import { badEvent, badRequest, tooMany } from "./rejections.ts"
import { mayReplace, parseBody, parseHeaders } from "./sources.ts"
import { publication } from "./state.ts"
import type { Publication, State } from "./state.ts"
import { add, addAll } from "./transition.ts"
import type { Draft } from "./transition.ts"
import { liveArguments } from "./view.ts"

/**
 * Decides one PUBLISH.
 *
 * @source RFC 3903 §6
 * @rejects BadEvent (489), BadRequest (400), ConditionalRequestFailed (412), IntervalTooBrief (423),
 *   UnsupportedMediaType (415), ServiceUnavailable (503); Forbidden (403) and TemporarilyUnavailable (480) by the package
 */
export const publish = (draft: Draft, command: Publish, context: Context): Answer => {
  // step 2: the event package
  const eventPackage = command.packageName === null ? null : context.packages.find(command.packageName)
  if (eventPackage === null || !isPublishable(eventPackage)) return rejected(badEvent(context))
  // step 3: the publication meant
  if (command.ifMatch.length > 1) return rejected(badRequest("SIP-If-Match has more than one entity-tag"))
  const ifMatch = command.ifMatch[0]
  const current = ifMatch === undefined ? undefined : publication(draft.before, eventPackage.name, ifMatch)
  if (ifMatch !== undefined && current === undefined) {
    return rejected({ _tag: "ConditionalRequestFailed", status: 412 })
  }
  // step 4: the lifetime
  const wanted = command.expires ?? eventPackage.defaultExpires
  if (wanted > 0 && wanted < context.limits.minExpiresPublish) {
    const minExpires = context.limits.minExpiresPublish
    return rejected({ _tag: "IntervalTooBrief", status: 423, minExpires })
  }
  const granted = Math.min(wanted, context.limits.maxExpiresPublish)
  // steps 5 and 6
  const request: PublishRequest = { command, eventPackage, granted }
  if (current === undefined) return create(draft, request, context)
  if (granted === 0) return remove(draft, request, current, context)
  return change(draft, request, current, context)
}

/** A PUBLISH for a known package, with the lifetime granted to it. */
interface PublishRequest {
  readonly command: Publish
  readonly eventPackage: EventPackage
  /** As announced in the 200 response. */
  readonly granted: Seconds
}

/** Initial publication (RFC 3903 §4.2), or, with Expires 0, one that ends as soon as it is created. */
const create = (draft: Draft, request: PublishRequest, context: Context): Answer => {
  const { command, eventPackage, granted } = request
  const state = draft.before
  const fault = bodyFault(command, eventPackage) ?? headerFault(command, eventPackage)
  if (fault !== null) return rejected(fault)
  const { body, sender } = command
  const headers = headersOf(command, eventPackage)
  if (saysNothing(body, headers, eventPackage)) {
    const changed = [
      ...(eventPackage.bodyRequired === false ? (eventPackage.carriedHeaders ?? []) : []),
      "body",
    ].join(" or ")
    return rejected(badRequest(`a publication without entity-tag needs a ${changed}`))
  }
  const refusal = refusalOf(state, request, "initial")
  if (refusal !== null) return rejected(refusal)
  const entityTag = freshTag(state, context)
  // step 5: with Expires 0 nothing is stored and nobody is notified; the tag in the 200 response never matches
  if (granted === 0) return accepted({ _tag: "Published", entityTag, expires: 0 })
  const replaced = replacedBy(state, request, context)
  if (replaced.length === 0 && isFull(state, eventPackage, context))
    return rejected(tooMany("publications", context))
  const created: Event = {
    _tag: "PublicationCreated",
    packageName: eventPackage.name,
    entityTag,
    expiresAt: context.now + granted * 1000,
    body,
    ...(headers.length === 0 ? {} : { headers }),
    sender,
    ...(command.device === undefined ? {} : { device: command.device }),
    ...initialOrder(eventPackage, context),
  }
  changePublished(draft, created, eventPackage, context, { sender, replaced })
  return published(context, entityTag, granted)
}

/**
 * What an initial publication of a device takes the place of: those it made before and has lost the entity-tags of, as
 * after a restart. O(publications of the package), and only if something identifies the device.
 */
const replacedBy = (
  state: State,
  { command, eventPackage }: PublishRequest,
  context: Context,
): readonly Publication[] => {
  const { device, body } = command
  const present = get(state.publications, eventPackage.name)
  if (device === undefined || present === undefined) return []
  const earlier = [...values(present)].filter((publication) => publication.device === device)
  if (eventPackage.mayReplace === undefined || body === null || earlier.length === 0) return earlier
  const order = { at: state.version + 1, receivedAt: context.now, device, after: 0 }
  const later = { key: "", body, order }
  return earlier.filter((publication) => mayReplace(eventPackage, publication, later))
}

/** As in a publication that nothing is known to be older than. */
export const initialOrder = ({ ordered }: EventPackage, { isUnordered }: Context): { readonly after?: 0 } =>
  ordered === true && isUnordered !== true ? { after: 0 } : {}

/** Removal (RFC 3903 §4.5) of the publication that the entity-tag names. */
const remove = (draft: Draft, request: PublishRequest, current: Publication, context: Context): Answer => {
  const { command, eventPackage, granted } = request
  const refusal = refusalOf(draft.before, request, "remove")
  if (refusal !== null) return rejected(refusal)
  // a body sent with Expires 0 is ignored, since the publication ends in any case
  const removed: Event = {
    _tag: "PublicationRemoved",
    packageName: eventPackage.name,
    entityTag: current.entityTag,
    cause: "requested",
    ...(command.sender === null ? {} : { sender: command.sender }),
  }
  changePublished(draft, removed, eventPackage, context, { sender: command.sender })
  return published(context, freshTag(draft.before, context), granted)
}

/** Refresh (RFC 3903 §4.3) or modification (§4.4) of the publication that the entity-tag names. */
const change = (draft: Draft, request: PublishRequest, current: Publication, context: Context): Answer => {
  const { command, eventPackage, granted } = request
  const state = draft.before
  const { sender } = command
  const entityTag = eventPackage.entityTags === "kept" ? current.entityTag : freshTag(state, context)
  const expiresAt = context.now + granted * 1000
  const renewal = { packageName: eventPackage.name, entityTag, supersedes: current.entityTag, expiresAt }
  const unfit = headerFault(command, eventPackage)
  if (unfit !== null) return rejected(unfit)
  const headers = headersOf(command, eventPackage)
  const saysNothingNew = headers.length === 0 || sameHeaders(headers, current.headers ?? [])
  if (command.body === null && command.bodyFault === null && saysNothingNew) {
    const refusal = refusalOf(state, request, "refresh")
    if (refusal !== null) return rejected(refusal)
    add(draft, { _tag: "PublicationRefreshed", ...renewal })
    return published(context, entityTag, granted)
  }
  const fault = bodyFault(command, eventPackage) ?? refusalOf(state, request, "modify")
  if (fault !== null) return rejected(fault)
  const modified: Event = {
    _tag: "PublicationModified",
    ...renewal,
    // only the headers differ: the body stays as it is
    body: command.body === null ? current.body : amended(eventPackage, current.body, command.body),
    ...(headers.length === 0 ? {} : { headers }),
    sender,
    ...(eventPackage.ordered === true && context.isUnordered !== true
      ? { after: current.taggedIn ?? current.bodyFrom }
      : {}),
  }
  changePublished(draft, modified, eventPackage, context, { sender })
  return published(context, entityTag, granted)
}

/** Whether a publication would have neither a body nor a header that stands for one. */
export const saysNothing = (
  body: Body | null,
  headers: readonly Header[],
  eventPackage: EventPackage,
): boolean => body === null && (eventPackage.bodyRequired !== false || headers.length === 0)

/** Whether the presentity already has the maximum number of publications of this package. */
export const isFull = (state: State, eventPackage: EventPackage, { limits }: Context): boolean => {
  const present = get(state.publications, eventPackage.name)
  return present !== undefined && size(present) >= limits.publicationsMax
}

/** The content of the publication after a modification whose body may omit what has not changed. */
const amended = (eventPackage: EventPackage, present: Body | null, modification: Body): Body => {
  if (eventPackage.amend === undefined || present === null) return modification
  const [before, after] = [parseBody(eventPackage, present), parseBody(eventPackage, modification)]
  if (before._tag !== "Parsed" || after._tag !== "Parsed") return modification
  const body = eventPackage.render(eventPackage.amend(before.document, after.document))
  return body.text === eventPackage.render(after.document).text ? modification : body
}

/**
 * Adds a change of what a package shows, the review of rules that follows from it, and the NOTIFYs.
 *
 * @param sender the Contact URI of the device that made the change; null, or absent: no watcher's device did
 * @param replaced publications whose place it takes; absent: none
 */
export const changePublished = (
  draft: Draft,
  event: Event,
  eventPackage: EventPackage,
  context: Context,
  {
    sender = null,
    replaced = [],
  }: { readonly sender?: string | null; readonly replaced?: readonly Publication[] } = {},
): void => {
  const before = draft.after
  for (const { entityTag } of replaced)
    add(draft, {
      _tag: "PublicationRemoved",
      packageName: eventPackage.name,
      entityTag,
      cause: "replaced",
    })
  add(draft, event)
  // a different sphere may select different rules, which must apply before anybody is notified
  reviewSphere(before, draft, eventPackage, context)
  const { after } = draft
  addAll(draft, changeNotifications(before, after, eventPackage, context, sender))
  addAll(draft, mixedNotifications(before, after, eventPackage, context))
}

/** Publishers are asked to refresh `expiresOffset` early, but a live publication is never announced with 0. */
const published = (context: Context, entityTag: EntityTag, granted: Seconds): Answer =>
  accepted({
    _tag: "Published",
    entityTag,
    expires: granted === 0 ? 0 : Math.max(1, granted - context.limits.expiresOffset),
  })

/** The content of a publication, from a request or from another server. */
type Content = Pick<Publish, "body" | "bodyFault" | "headers">

/** Step 5: the package accepts the type of the body (415) and can parse it (400). */
export const bodyFault = (command: Content, eventPackage: EventPackage): Rejection | null => {
  const { body } = command
  if (body === null) return command.bodyFault
  return typeFault(body, eventPackage) ?? command.bodyFault ?? syntaxFault(body, eventPackage)
}

/** The headers of the request that belong to the content it publishes. */
export const headersOf = (command: Content, eventPackage: EventPackage): readonly Header[] =>
  (command.headers ?? []).filter(([name]) => eventPackage.carriedHeaders?.includes(name) === true)

/** The package's objection to a request that is otherwise valid; null: it has none. */
const refusalOf = (
  state: State,
  { command, eventPackage, granted }: PublishRequest,
  operation: PublicationQuestion["operation"],
): Rejection | null => {
  if (eventPackage.checkPublication === undefined) return null
  const headers = headersOf(command, eventPackage)
  const parsed =
    operation === "refresh" || operation === "remove"
      ? null
      : command.body === null
        ? parseHeaders(eventPackage, headers)
        : parseBody(eventPackage, command.body)
  return eventPackage.checkPublication({
    presentity: state.presentity,
    operation,
    expires: granted,
    document: parsed?._tag === "Parsed" ? parsed.document : null,
    headers,
    subscriptions: liveArguments(state, eventPackage.composesFrom),
  })
}

/**
 * The headers must be able to stand in a NOTIFY, whatever they arrived through, and the package must understand them.
 */
export const headerFault = (command: Content, eventPackage: EventPackage): Rejection | null => {
  const headers = headersOf(command, eventPackage)
  const odd = headers.find(([, value]) => !isHeaderValue(value))
  if (odd !== undefined) return badRequest(`${odd[0]} is empty or not one line`)
  if (headers.length === 0 || command.body !== null) return null
  const parsed = parseHeaders(eventPackage, headers)
  return parsed === null || parsed._tag === "Parsed" ? null : badRequest(parsed.why)
}

const sameHeaders = (left: readonly Header[], right: readonly Header[]): boolean =>
  left.length === right.length &&
  left.every(([name, value], index) => name === right[index]?.[0] && value === right[index]?.[1])

export const typeFault = (body: Body, eventPackage: EventPackage): Rejection | null =>
  eventPackage.accepts.includes(body.contentType)
    ? null
    : { _tag: "UnsupportedMediaType", status: 415, accept: eventPackage.accepts }

export const syntaxFault = (body: Body, eventPackage: EventPackage): Rejection | null => {
  const parsed = parseBody(eventPackage, body)
  return parsed._tag === "Parsed" ? null : badRequest(parsed.why)
}

/** The nonce makes it unguessable; the version only grows, so no tag is used again (RFC 3903 §6 step 6). */
const freshTag = (state: State, context: Context): EntityTag =>
  `${context.nonce}.${(state.version + 1).toString(36)}` as EntityTag
