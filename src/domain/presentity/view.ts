/**
 * What a watcher sees of a package: hard state and all live publications composed into one document, rendered once per change
 * for all watchers that see the same.
 *
 * Caches hang on values that never change (a body, a presentity's own tables), so they cannot go stale. What is kept there
 * follows from those values alone: no number that the log gives names a value, since two futures of one state give the same.
 *
 * What is kept for each presentity are texts: the rendered views. Documents take ten times as much, so only the last one that
 * was read and the last one that was composed are kept, which is what one decision needs.
 */
import type { EventPackage, PackageRules, SubscriptionArgument } from "../packages/event-package.ts"
import { privacyOf, shownWatcher } from "../privacy.ts"
import { get, has, values } from "../table.ts"
import { isHeaderValue } from "../vocabulary.ts"
import type { Body, Header, PackageName, Uri } from "../vocabulary.ts"
import { rememberingLast } from "./last-answer.ts"
import { isAccepted } from "./media-types.ts"
import { liveSources, sourcesOf } from "./sources.ts"
import { activeSubscriptions } from "./state.ts"
import type { Publication, Publications, State, Subscription } from "./state.ts"
import { digestOfBoth, viewHash } from "./view-digest.ts"

export interface View {
  /** Null: nothing to show, the NOTIFY has no body. */
  readonly body: Body | null
  /** What is shown in headers; absent: nothing. */
  readonly headers?: readonly Header[]
  /** Equal for equal bodies and headers; `-` for none, `?` for none of what there may be. */
  readonly digest: string
}

export const nothing: View = { body: null, digest: "-" }

/** What a pending watcher is shown: no document, which differs from the document of somebody absent. */
export const undecided: View = { body: null, digest: "?" }

/** What is published now, unfiltered. O(publications of the package), once per change. */
export const currentView = (state: State, eventPackage: EventPackage): View =>
  visibleView(state, eventPackage, null)

/**
 * What is published now, as far as the rules that match let it through. Once per change and distinct set of rules.
 *
 * @param matched ordinals of the matching rules in the present document; null when rules were not asked
 */
export const visibleView = (state: State, eventPackage: EventPackage, matched: string | null): View => {
  const cached = composition(state, eventPackage)
  if (cached === null) return absentView(state.presentity, eventPackage)
  const rules = matched === null ? undefined : get(state.rules, eventPackage.name)
  if (matched === null || rules === undefined || eventPackage.rules?.filter === undefined) return cached.whole
  return filteredOnce(cached, rules.body, matched, () =>
    filtered(state, eventPackage, composedDocument(state, eventPackage, cached), matched),
  )
}

/** @param key names what rules let through, and to whom */
const filteredOnce = (cached: Composed, rules: Body, key: string, filter: () => View): View => {
  cached.filtered ??= new WeakMap()
  let byKey = cached.filtered.get(rules)
  if (byKey === undefined) {
    byKey = new Map()
    cached.filtered.set(rules, byKey)
  }
  let view = byKey.get(key)
  if (view === undefined) {
    view = filter()
    byKey.set(key, view)
  }
  return view
}

/**
 * The same for a watcher that takes some media types only: of what is published in one of these, and nothing where none is
 * (RFC 3856 §6.7). Once per change, set of types and distinct set of rules.
 */
export const acceptableView = (
  state: State,
  eventPackage: EventPackage,
  matched: string | null,
  accept: readonly string[],
): View => {
  const cached = composition(state, eventPackage)
  if (cached === null) return takenOf(absentView(state.presentity, eventPackage), accept)
  const document = (): unknown => documentOf(state, eventPackage, [], accept)
  const rules = matched === null ? undefined : get(state.rules, eventPackage.name)
  const key = accept.join()
  if (matched !== null && rules !== undefined && eventPackage.rules?.filter !== undefined) {
    return filteredOnce(cached, rules.body, `${matched} ${key}`, () =>
      takenOf(filtered(state, eventPackage, document(), matched), accept),
    )
  }
  const known = cached.accepted?.get(key)
  if (known !== undefined) return known
  const view = takenOf(viewOf(eventPackage, document(), newestHeaders(state, eventPackage)), accept)
  cached.accepted ??= new Map()
  cached.accepted.set(key, view)
  return view
}

/** What is shown to a watcher that takes these types only; undefined: all. */
export const takenOf = (view: View, accept: readonly string[] | undefined): View => {
  const { body, headers } = view
  if (accept === undefined || body === null || isAccepted(body.contentType, accept)) return view
  return headers === undefined ? nothing : { body: null, headers, digest: digestOfBoth(null, headers) }
}

/** What is published now as one document, unfiltered; null when there is nothing to show. */
export const currentDocument = (state: State, eventPackage: EventPackage): unknown => {
  const cached = composition(state, eventPackage)
  return cached === null ? documentOf(state, eventPackage, []) : composedDocument(state, eventPackage, cached)
}

/** The document of a composition: as it was composed last, or composed again. */
const composedDocument = (state: State, eventPackage: EventPackage, composition: Composed): unknown => {
  if (lastComposed?.composition !== composition) {
    lastComposed = { composition, document: documentOf(state, eventPackage, []) }
  }
  return lastComposed.document
}

/** Asked for each watcher, and looked up once for all. Null: nothing that it would hang on. */
const composition = rememberingLast((state: State, eventPackage: EventPackage): Composed | null => {
  const ingredients = ingredientsOf(state, eventPackage)
  const key = ingredients.find((ingredient) => ingredient !== undefined)
  if (key === undefined) return null
  let ofPackage = composed.get(eventPackage)
  if (ofPackage === undefined) {
    ofPackage = new WeakMap()
    composed.set(eventPackage, ofPackage)
  }
  let cached = ofPackage.get(key)
  if (
    cached === undefined ||
    cached.presentity !== state.presentity ||
    cached.ingredients.some((ingredient, index) => ingredient !== ingredients[index])
  ) {
    const document = documentOf(state, eventPackage, [])
    cached = {
      presentity: state.presentity,
      ingredients,
      whole: viewOf(eventPackage, document, newestHeaders(state, eventPackage)),
    }
    lastComposed = { composition: cached, document }
    ofPackage.set(key, cached)
  }
  return cached
})

/**
 * All that a composition depends on besides the package and whose it is, in a fixed order. A body would not do: several
 * presentities may have the same one.
 */
type Ingredients = readonly (Ingredient | undefined)[]
type Ingredient = Publications | State["hardState"] | Arguments
type Arguments = readonly SubscriptionArgument[]

const ingredientsOf = (state: State, eventPackage: EventPackage): Ingredients => {
  const subscriptions = liveArguments(state, eventPackage.composesFrom)
  const own = [
    get(state.publications, eventPackage.name),
    hardStateOf(state, eventPackage.name),
    subscriptions.length === 0 ? undefined : subscriptions,
  ]
  if (eventPackage.mixes === undefined) return own
  const { name } = eventPackage.mixes.from
  return [...own, get(state.publications, name), hardStateOf(state, name)]
}

/** The whole table, if it has an entry for the package. */
const hardStateOf = (state: State, packageName: PackageName): State["hardState"] | undefined =>
  has(state.hardState, packageName) ? state.hardState : undefined

/**
 * What is published now as one document; null when there is nothing to show.
 *
 * @param ended publications that ended in this very decision
 * @param accept media types that its reader takes; absent: all
 */
export const documentOf = (
  state: State,
  eventPackage: EventPackage,
  ended: readonly Publication[],
  accept?: readonly string[],
): unknown => {
  const { presentity } = state
  const documents = liveSources(state, eventPackage)
  const isSilent = documents.length === 0 && ended.length === 0
  const subscriptions = liveArguments(state, eventPackage.composesFrom)
  const own = (): unknown =>
    eventPackage.compose({
      presentity,
      documents,
      ended: sourcesOf(eventPackage, ended),
      ...(accept === undefined ? {} : { isAccepted: (type: string) => isAccepted(type, accept) }),
      ...(subscriptions.length === 0 ? {} : { subscriptions }),
    })
  if (eventPackage.mixes === undefined) return own()
  const mixed = liveSources(state, eventPackage.mixes.from)
  const others = mixed.map(({ document }) => document)
  return eventPackage.mixes.blend(isSilent ? null : own(), others, presentity, mixed) ?? own()
}

/**
 * What the live subscriptions to a package say, oldest first: of those that are active and may see what there is.
 * O(subscriptions of the presentity), once per change of any of them.
 */
export const liveArguments = (state: State, packageName: PackageName | undefined): Arguments => {
  if (packageName === undefined) return noArguments
  let byPackage = argumentsBy.get(state.subscriptions)
  if (byPackage === undefined) {
    byPackage = new Map()
    argumentsBy.set(state.subscriptions, byPackage)
  }
  let known = byPackage.get(packageName)
  if (known === undefined) {
    known = activeSubscriptions(state, packageName)
      .filter(counts)
      .map((subscription) => ({
        watcher: shownWatcher(subscription),
        argument: subscription.argument ?? null,
        ...privacyOf(subscription),
      }))
    byPackage.set(packageName, known)
  }
  return known
}

/** Whether the argument of a subscription counts: not while it is pending, nor when it is politely blocked. */
export const counts = ({ status, polite }: Subscription): boolean => status === "active" && !polite

const noArguments: Arguments = []
const argumentsBy = new WeakMap<State["subscriptions"], Map<PackageName, Arguments>>()

/**
 * What someone sees who may see nothing, or of somebody who published nothing: one and the same (RFC 5025 §3.2.1). One body
 * for all watchers in turn.
 */
export const absentView = rememberingLast((presentity: Uri, eventPackage: EventPackage): View =>
  viewOf(eventPackage, eventPackage.compose({ presentity, documents: [], ended: [] })),
)

/** Reads an authorization document once; null when it cannot be read. */
export const parseRules = (reader: PackageRules, body: Body): unknown => {
  const cached = rulesDocuments.get(body)
  if (cached !== undefined && cached.reader === reader) return cached.rules
  const read = reader.read(body)
  const rules = read._tag === "Parsed" ? read.rules : null
  rulesDocuments.set(body, { reader, rules })
  return rules
}

const ordinalsOf = (matched: string): readonly number[] =>
  matched === "" ? [] : matched.split(",").map(Number)

/**
 * The absent form as a document, for a watcher that would otherwise keep what it was last shown (RFC 3856 §6.8). One body for
 * all watchers in turn.
 */
export const offlineBody = rememberingLast((presentity: Uri, eventPackage: EventPackage): Body | null => {
  const document = eventPackage.offline(presentity)
  return document === null ? null : bodyIn(eventPackage, document)
})

interface Composed {
  readonly presentity: Uri
  readonly ingredients: Ingredients
  readonly whole: View
  /**
   * By the document of the rules, never by its version, which two futures of one state share; then by ordinals of those that
   * match and the types that the watcher takes, if it does not take all. Absent: rules were not asked.
   */
  filtered?: WeakMap<Body, Map<string, View>>
  /** By media types that watchers take; absent: all take all. */
  accepted?: Map<string, View>
}

const composed = new WeakMap<EventPackage, WeakMap<Ingredient, Composed>>()
/** The document composed last: watchers under several sets of rules are shown parts of one. */
let lastComposed: { readonly composition: Composed; readonly document: unknown } | null = null
const rulesDocuments = new WeakMap<Body, { readonly reader: PackageRules; readonly rules: unknown }>()

/** A watcher that may see nothing of a document sees the same as of somebody absent, so that it cannot tell the two apart. */
const filtered = (
  state: State,
  eventPackage: EventPackage,
  document: unknown,
  matched: string | null,
): View => {
  const left = letThrough(state, eventPackage, document, matched)
  return left === nothingLeft ? absentView(state.presentity, eventPackage) : viewOf(eventPackage, left)
}

/** The part of a document that the rules that match let through. */
const letThrough = (
  state: State,
  eventPackage: EventPackage,
  document: unknown,
  matched: string | null,
): unknown => {
  const body = get(state.rules, eventPackage.name)?.body
  if (
    matched === null ||
    body === undefined ||
    eventPackage.rules?.filter === undefined ||
    document === null
  ) {
    return document
  }
  const rules = parseRules(eventPackage.rules, body)
  const left = rules === null ? null : eventPackage.rules.filter(document, rules, ordinalsOf(matched))
  return left ?? nothingLeft
}

/** Of a document, as opposed to null: there is none. */
const nothingLeft = Symbol("nothing left")

/** The same, or the document of somebody absent where nothing is left of it. */
export const seenOf = (
  state: State,
  eventPackage: EventPackage,
  document: unknown,
  matched: string | null,
): unknown => {
  const left = letThrough(state, eventPackage, document, matched)
  return left === nothingLeft ? absentDocument(state, eventPackage) : left
}

export const absentDocument = ({ presentity }: State, eventPackage: EventPackage): unknown =>
  eventPackage.compose({ presentity, documents: [], ended: [] })

/** @param carried headers that go along with every document */
export const viewOf = (
  eventPackage: EventPackage,
  document: unknown,
  carried: readonly Header[] = [],
): View => {
  const body = document === null ? null : bodyIn(eventPackage, document)
  const rendered = document === null ? [] : (eventPackage.renderHeaders?.(document) ?? [])
  const headers = [...rendered, ...carried].filter(([, value]) => isHeaderValue(value))
  if (headers.length === 0) return body === null ? nothing : { body, digest: viewHash(body) }
  return { body, headers, digest: digestOfBoth(body, headers) }
}

const bodyIn = (eventPackage: EventPackage, document: unknown): Body | null =>
  eventPackage.produces.length === 0 ? null : eventPackage.render(document)

/** For a package that does not read headers: those of the newest publication, as a whole or not at all. */
const newestHeaders = (state: State, eventPackage: EventPackage): readonly Header[] => {
  const publications = get(state.publications, eventPackage.name)
  if (
    eventPackage.carriedHeaders === undefined ||
    eventPackage.parseHeaders !== undefined ||
    publications === undefined
  )
    return []
  let newest: Publication | null = null
  for (const publication of values(publications)) {
    if (newest === null || publication.bodyFrom > newest.bodyFrom) newest = publication
  }
  return newest?.headers ?? []
}
