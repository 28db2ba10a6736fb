/**
 * How events change what is published.
 */
import { emptyTable, get, remove, set, size, values } from "../table.ts"
import type { EntityTag, Millis, PackageName } from "../vocabulary.ts"
import type {
  PublicationCreated,
  PublicationModified,
  PublicationRefreshed,
  PublicationRemoved,
} from "./publication-events.ts"
import { isKnown, publication } from "./state.ts"
import type { Publication, State } from "./state.ts"

export const createPublication = (state: State, event: PublicationCreated, at: Millis): State =>
  put(state, event.packageName, null, {
    entityTag: event.entityTag,
    createdIn: state.version + 1,
    slot: freeSlot(state, event.packageName),
    bodyFrom: state.version + 1,
    receivedAt: event.receivedAt ?? at,
    expiresAt: event.expiresAt,
    body: event.body,
    ...headersOf(event),
    sender: event.sender,
  })

export const modifyPublication = (state: State, event: PublicationModified, at: Millis): State => {
  const present = publication(state, event.packageName, event.supersedes)
  if (!isKnown(state, present, "a publication that is modified is there")) return state
  const { headers: _headers, droppedHeaders: _dropped, ...kept } = present
  return put(state, event.packageName, event.supersedes, {
    ...kept,
    entityTag: event.entityTag,
    bodyFrom: state.version + 1,
    receivedAt: at,
    expiresAt: event.expiresAt,
    body: event.body,
    ...headersOf(event),
    sender: event.sender,
  })
}

export const refreshPublication = (state: State, event: PublicationRefreshed): State => {
  const present = publication(state, event.packageName, event.supersedes)
  if (!isKnown(state, present, "a publication that is refreshed is there")) return state
  return put(state, event.packageName, event.supersedes, {
    ...present,
    entityTag: event.entityTag,
    expiresAt: event.expiresAt,
  })
}

export const removePublication = (state: State, { packageName, entityTag }: PublicationRemoved): State => {
  const present = publication(state, packageName, entityTag)
  const publications = get(state.publications, packageName)
  if (!isKnown(state, present, "a publication that is removed is there") || publications === undefined)
    return state
  const left = remove(publications, entityTag)
  return {
    ...state,
    publications:
      size(left) === 0 ? remove(state.publications, packageName) : set(state.publications, packageName, left),
  }
}

const freeSlot = (state: State, packageName: PackageName): number => {
  const publications = get(state.publications, packageName)
  if (publications === undefined) return 1
  const taken = new Set<number>()
  for (const { slot } of values(publications)) taken.add(slot)
  let slot = 1
  while (taken.has(slot)) slot++
  return slot
}

const put = (
  state: State,
  packageName: PackageName,
  supersedes: EntityTag | null,
  next: Publication,
): State => {
  const publications = get(state.publications, packageName) ?? emptyTable<EntityTag, Publication>()
  const without = supersedes === null ? publications : remove(publications, supersedes)
  return { ...state, publications: set(state.publications, packageName, set(without, next.entityTag, next)) }
}

const headersOf = ({
  headers,
  droppedHeaders,
}: Pick<Publication, "headers" | "droppedHeaders">): Pick<Publication, "headers" | "droppedHeaders"> =>
  headers === undefined ? (droppedHeaders === undefined ? {} : { droppedHeaders }) : { headers }
