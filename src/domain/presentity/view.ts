/**
 * What a watcher sees of a package: all live publications composed, rendered once per change and for all alike.
 *
 * Both caches hang on values that never change (a body, a table of publications), so they cannot go stale.
 */
import type { EventPackage, Parsed, Source } from "../packages/event-package.ts"
import { get, values } from "../table.ts"
import type { Body, Uri } from "../vocabulary.ts"
import type { Publication, Publications, State } from "./state.ts"

export interface View {
  /** Null: nothing to show, the NOTIFY has no body. */
  readonly body: Body | null
  /** Equal for equal bodies; `-` for none, `?` for none of what there may be. */
  readonly digest: string
}

export const nothing: View = { body: null, digest: "-" }

/** What a watcher is shown who is not decided on: no document, which is not to say that nobody is there. */
export const undecided: View = { body: null, digest: "?" }

/** What is published now. O(publications of the package), once per change. */
export const currentView = (state: State, pack: EventPackage): View => {
  const publications = get(state.publications, pack.name)
  if (publications === undefined) return absentView(state.presentity, pack)
  const cached = views.get(publications)
  if (cached !== undefined && cached.pack === pack) return cached.view
  const view = compose(state.presentity, pack, sourcesOf(pack, values(publications)), [])
  views.set(publications, { pack, view })
  return view
}

/** What someone sees who may see nothing, or of somebody who published nothing: one and the same (RFC 5025 §3.2.1). */
export const absentView = (presentity: Uri, pack: EventPackage): View => compose(presentity, pack, [], [])

/**
 * What is published now, together with the ended form of publications that ended in this decision.
 *
 * The digest is that of `currentView`: the ended form is said once and is not a state of its own.
 */
export const partingView = (state: State, pack: EventPackage, ended: readonly Publication[]): View => {
  const current = currentView(state, pack)
  const publications = get(state.publications, pack.name)
  const live = publications === undefined ? [] : sourcesOf(pack, values(publications))
  const { body } = compose(state.presentity, pack, live, sourcesOf(pack, ended))
  return { body, digest: current.digest }
}

/** The absent form as a document, for a watcher that would otherwise keep what it was last shown (RFC 3856 §6.8). */
export const offlineBody = (presentity: Uri, pack: EventPackage): Body | null => {
  const document = pack.offline(presentity)
  return document === null ? null : pack.render(document)
}

/** Reads a published body once, however often it is composed. */
export const parseBody = (pack: EventPackage, body: Body): Parsed<unknown> => {
  const cached = documents.get(body)
  if (cached !== undefined && cached.pack === pack) return cached.parsed
  const parsed = pack.parse(body)
  documents.set(body, { pack, parsed })
  return parsed
}

const views = new WeakMap<Publications, { readonly pack: EventPackage; readonly view: View }>()
const documents = new WeakMap<Body, { readonly pack: EventPackage; readonly parsed: Parsed<unknown> }>()

const compose = (
  presentity: Uri,
  pack: EventPackage,
  live: readonly Source<unknown>[],
  ended: readonly Source<unknown>[],
): View => {
  const document = pack.compose({ presentity, documents: live, ended })
  if (document === null) return nothing
  const body = pack.render(document)
  return { body, digest: digest(body.text) }
}

/** A body that no longer parses is left out and hides nothing else. */
const sourcesOf = (pack: EventPackage, publications: Iterable<Publication>): Source<unknown>[] => {
  const sources: Source<unknown>[] = []
  for (const one of [...publications].sort((a, b) => a.bodyFrom - b.bodyFrom)) {
    const parsed = parseBody(pack, one.body)
    if (parsed._tag === "Parsed") sources.push({ key: `${one.slot}`, document: parsed.document })
  }
  return sources
}

/**
 * 53 bits of the text, in base 36: enough to see that a view changed, not a proof of anything.
 *
 * Two independent 32-bit multiplicative hashes over UTF-16 units. O(length).
 */
export const digest = (text: string): string => {
  let one = 0x9e3779b1
  let other = 0x85ebca6b
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    one = Math.imul(one ^ unit, 0x27d4eb2f)
    other = Math.imul(other ^ unit, 0x165667b1)
  }
  one = Math.imul(one ^ (one >>> 15), 0x2c1b3c6d) ^ other
  other = Math.imul(other ^ (other >>> 13), 0x297a2d39) ^ (one >>> 16)
  return ((other >>> 0) * 0x200000 + (one >>> 11)).toString(36)
}
