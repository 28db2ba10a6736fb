/**
 * PUBLISH decisions: create, modify, refresh and remove publications.
 *
 * RFC 3903 §6 gives the steps this file follows, in the same order; step 1 (is the Request-URI ours, may this sender
 * publish for it) is settled before a command exists. Body syntax is the package's business; who gets told is
 * `notify.ts`.
 */
import { isPublishable } from "../packages/event-package.ts"
import type { EventPackage, PublicationQuestion } from "../packages/event-package.ts"
import { get, size } from "../table.ts"
import { isHeaderValue } from "../vocabulary.ts"
import type { Body, EntityTag, Header, Seconds } from "../vocabulary.ts"
import { reviewSphere } from "./authorize.ts"
import type { Publish, Rejection } from "./commands.ts"
import type { Context } from "./context.ts"
import { accept, reject } from "./decision.ts"
import type { Outcome } from "./decision.ts"
import type { Event } from "./events.ts"
import { changeNotifications, mixedNotifications } from "./notify.ts"
import { evolve } from "./evolve.ts"
import { publication } from "./state.ts"
import type { Publication, State } from "./state.ts"
import { liveArguments, parseBody, parseHeaders } from "./view.ts"

/**
 * Decides one PUBLISH.
 *
 * @source RFC 3903 §6
 * @rejects BadEvent (489), BadRequest (400), ConditionalRequestFailed (412), IntervalTooBrief (423),
 *   UnsupportedMediaType (415), ServiceUnavailable (503); Forbidden (403) and TemporarilyUnavailable (480) by the package
 */
export const publish = (state: State, command: Publish, context: Context): Outcome => {
  // step 2: the event package
  const eventPackage = command.packageName === null ? null : context.packages.find(command.packageName)
  if (eventPackage === null || !isPublishable(eventPackage)) {
    return reject({ _tag: "BadEvent", status: 489, allowEvents: context.packages.allowEvents })
  }
  // step 3: the publication meant
  if (command.ifMatch.length > 1) return reject(badRequest("SIP-If-Match has more than one entity-tag"))
  const ifMatch = command.ifMatch[0]
  const current = ifMatch === undefined ? undefined : publication(state, eventPackage.name, ifMatch)
  if (ifMatch !== undefined && current === undefined) {
    return reject({ _tag: "ConditionalRequestFailed", status: 412 })
  }
  // step 4: the lifetime
  const wanted = command.expires ?? eventPackage.defaultExpires
  if (wanted > 0 && wanted < context.limits.minExpiresPublish) {
    const minExpires = context.limits.minExpiresPublish
    return reject({ _tag: "IntervalTooBrief", status: 423, minExpires })
  }
  const granted = Math.min(wanted, context.limits.maxExpiresPublish)
  // steps 5 and 6
  if (current !== undefined) return change(state, command, context, eventPackage, current, granted)
  return create(state, command, context, eventPackage, granted)
}

/** Initial publication (RFC 3903 §4.2), or, with Expires 0, one that is over as soon as it is made. */
const create = (
  state: State,
  command: Publish,
  context: Context,
  eventPackage: EventPackage,
  granted: Seconds,
): Outcome => {
  const fault = bodyFault(command, eventPackage) ?? headerFault(command, eventPackage)
  if (fault !== null) return reject(fault)
  const { body } = command
  const headers = headersOf(command, eventPackage)
  if (body === null && (eventPackage.bodyRequired !== false || headers.length === 0)) {
    const what = [
      ...(eventPackage.bodyRequired === false ? (eventPackage.carriedHeaders ?? []) : []),
      "body",
    ].join(" or ")
    return reject(badRequest(`a publication without entity-tag needs a ${what}`))
  }
  const refusal = refusalOf(state, command, eventPackage, "initial", granted)
  if (refusal !== null) return reject(refusal)
  const entityTag = freshTag(state, context)
  // step 5: with expiry 0 nothing is stored, so nobody is told; the tag of the 200 never matches
  if (granted === 0) return accept([], { _tag: "Published", entityTag, expires: 0 })
  const others = get(state.publications, eventPackage.name)
  if (others !== undefined && size(others) >= context.limits.publicationsMax) {
    return reject({
      _tag: "ServiceUnavailable",
      status: 503,
      why: "too many publications for this presentity",
      retryAfter: context.limits.retryAfter,
    })
  }
  const expiresAt = context.now + granted * 1000
  return published(
    state,
    {
      _tag: "PublicationCreated",
      packageName: eventPackage.name,
      entityTag,
      expiresAt,
      body,
      ...(headers.length === 0 ? {} : { headers }),
      sender: command.sender,
    },
    command,
    context,
    eventPackage,
    { entityTag, granted },
  )
}

/** Refresh (§4.3), modification (§4.4) or removal (§4.5) of the publication that the entity-tag names. */
const change = (
  state: State,
  command: Publish,
  context: Context,
  eventPackage: EventPackage,
  current: Publication,
  granted: Seconds,
): Outcome => {
  if (granted === 0) {
    const refusal = refusalOf(state, command, eventPackage, "remove", granted)
    if (refusal !== null) return reject(refusal)
    // a body beside Expires 0 is ignored: the publication ends either way
    const removed: Event = {
      _tag: "PublicationRemoved",
      packageName: eventPackage.name,
      entityTag: current.entityTag,
      cause: "requested",
      ...(command.sender === null ? {} : { sender: command.sender }),
    }
    const entityTag = freshTag(state, context)
    return published(state, removed, command, context, eventPackage, { entityTag, granted })
  }
  const entityTag = eventPackage.entityTags === "kept" ? current.entityTag : freshTag(state, context)
  const expiresAt = context.now + granted * 1000
  const supersedes = current.entityTag
  const unfit = headerFault(command, eventPackage)
  if (unfit !== null) return reject(unfit)
  const headers = headersOf(command, eventPackage)
  const saysNothingNew = headers.length === 0 || sameHeaders(headers, current.headers ?? [])
  if (command.body === null && command.bodyFault === null && saysNothingNew) {
    const refusal = refusalOf(state, command, eventPackage, "refresh", granted)
    if (refusal !== null) return reject(refusal)
    const refreshed: Event = {
      _tag: "PublicationRefreshed",
      packageName: eventPackage.name,
      entityTag,
      supersedes,
      expiresAt,
    }
    return accept([refreshed], reply(context, entityTag, granted))
  }
  const fault = bodyFault(command, eventPackage)
  if (fault !== null) return reject(fault)
  const refusal = refusalOf(state, command, eventPackage, "modify", granted)
  if (refusal !== null) return reject(refusal)
  const { sender } = command
  // other headers alone: the body stays
  const body = command.body === null ? current.body : amended(eventPackage, current.body, command.body)
  return published(
    state,
    {
      _tag: "PublicationModified",
      packageName: eventPackage.name,
      entityTag,
      supersedes,
      expiresAt,
      body,
      ...(headers.length === 0 ? {} : { headers }),
      sender,
    },
    command,
    context,
    eventPackage,
    { entityTag, granted },
  )
}

/** What the publication says from now on, where a body may leave out what has not changed. */
const amended = (eventPackage: EventPackage, present: Body | null, modification: Body): Body => {
  if (eventPackage.amend === undefined || present === null) return modification
  const [before, after] = [parseBody(eventPackage, present), parseBody(eventPackage, modification)]
  if (before._tag !== "Parsed" || after._tag !== "Parsed") return modification
  const body = eventPackage.render(eventPackage.amend(before.document, after.document))
  return body.text === eventPackage.render(after.document).text ? modification : body
}

const published = (
  state: State,
  event: Event,
  command: Publish,
  context: Context,
  eventPackage: EventPackage,
  result: { readonly entityTag: EntityTag; readonly granted: Seconds },
): Outcome => {
  const events = withConsequences(state, event, eventPackage, context, command.sender)
  return accept(events, reply(context, result.entityTag, result.granted))
}

/**
 * A change of what a package shows, the rules that then apply, and the NOTIFYs that tell of it.
 *
 * @param sender who made the change, by Contact URI; null when no watcher's device did
 */
export const withConsequences = (
  state: State,
  event: Event,
  eventPackage: EventPackage,
  context: Context,
  sender: string | null,
): readonly Event[] => {
  const after = evolve(state, event, context.now)
  // another sphere may mean other rules: they apply before anybody is told
  const reviewed = reviewSphere(state, after, eventPackage, context)
  const ruled = reviewed.reduce((so, one) => evolve(so, one, context.now), after)
  return [
    event,
    ...reviewed,
    ...changeNotifications(state, ruled, eventPackage, context, sender),
    ...mixedNotifications(state, ruled, eventPackage, context),
  ]
}

/** The publisher is asked to come back `expiresOffset` early, but never told 0 while the publication lives. */
const reply = (context: Context, entityTag: EntityTag, granted: Seconds) =>
  ({
    _tag: "Published",
    entityTag,
    expires: granted === 0 ? 0 : Math.max(1, granted - context.limits.expiresOffset),
  }) as const

/** What a publication says, of a request or of another server. */
type Content = Pick<Publish, "body" | "bodyFault" | "headers">

/** Step 5: the body's type is the package's (415), and the package can read it (400). */
export const bodyFault = (command: Content, eventPackage: EventPackage): Rejection | null => {
  const { body } = command
  if (body === null) return command.bodyFault
  return typeFault(body, eventPackage) ?? command.bodyFault ?? syntaxFault(body, eventPackage)
}

/** The headers of the request that belong to what it publishes. */
export const headersOf = (command: Content, eventPackage: EventPackage): readonly Header[] =>
  (command.headers ?? []).filter(([name]) => eventPackage.carriedHeaders?.includes(name) === true)

/** What the package has against a request that is otherwise good. */
const refusalOf = (
  state: State,
  command: Publish,
  eventPackage: EventPackage,
  operation: PublicationQuestion["operation"],
  granted: Seconds,
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

/** Whatever they came through, they must be able to stand in a NOTIFY, and say something to the package. */
export const headerFault = (command: Content, eventPackage: EventPackage): Rejection | null => {
  const headers = headersOf(command, eventPackage)
  const odd = headers.find(([, value]) => !isHeaderValue(value))
  if (odd !== undefined) return badRequest(`${odd[0]} is empty or not one line`)
  if (headers.length === 0 || command.body !== null) return null
  const parsed = parseHeaders(eventPackage, headers)
  return parsed === null || parsed._tag === "Parsed" ? null : badRequest(parsed.why)
}

const sameHeaders = (some: readonly Header[], others: readonly Header[]): boolean =>
  some.length === others.length &&
  some.every(([name, value], index) => name === others[index]?.[0] && value === others[index]?.[1])

export const typeFault = (body: Body, eventPackage: EventPackage): Rejection | null =>
  eventPackage.accepts.includes(body.contentType)
    ? null
    : { _tag: "UnsupportedMediaType", status: 415, accept: eventPackage.accepts }

export const syntaxFault = (body: Body, eventPackage: EventPackage): Rejection | null => {
  const parsed = parseBody(eventPackage, body)
  return parsed._tag === "Parsed" ? null : badRequest(parsed.why)
}

/** Unguessable by the nonce, never used again by the version, which only grows (RFC 3903 §6 step 6). */
const freshTag = (state: State, context: Context): EntityTag =>
  `${context.nonce}.${(state.version + 1).toString(36)}` as EntityTag

const badRequest = (why: string): Rejection => ({ _tag: "BadRequest", status: 400, why })
