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
  put(
    state,
    event.packageName,
    null,
    published(event, {
      createdIn: state.version + 1,
      slot: freeSlot(state, event.packageName),
      device: event.device,
      bodyFrom: state.version + 1,
      receivedAt: event.receivedAt ?? at,
    }),
  )

export const modifyPublication = (state: State, event: PublicationModified, at: Millis): State => {
  const present = publication(state, event.packageName, event.supersedes)
  if (!isKnown(state, present, "a publication that is modified is there")) return state
  const { createdIn, slot, device } = present
  return put(
    state,
    event.packageName,
    event.supersedes,
    published(event, { createdIn, slot, device, bodyFrom: state.version + 1, receivedAt: at }),
  )
}

/** The publication as an event says it. Fields that most have none of come last, so that those have one shape. */
const published = (
  event: PublicationCreated | PublicationModified,
  {
    createdIn,
    slot,
    bodyFrom,
    receivedAt,
    device,
  }: Pick<Publication, "createdIn" | "slot" | "bodyFrom" | "receivedAt"> & {
    readonly device: string | undefined
  },
): Publication => {
  const { entityTag, expiresAt, body, sender, headers, droppedHeaders, after } = event
  const publication: { -readonly [Field in keyof Publication]: Publication[Field] } = {
    entityTag,
    createdIn,
    slot,
    bodyFrom,
    receivedAt,
    expiresAt,
    body,
    sender,
  }
  if (headers !== undefined) publication.headers = headers
  else if (droppedHeaders !== undefined) publication.droppedHeaders = droppedHeaders
  if (device !== undefined) publication.device = device
  if (after !== undefined) {
    publication.after = after
    publication.taggedIn = bodyFrom
  }
  return publication
}

export const refreshPublication = (state: State, event: PublicationRefreshed): State => {
  const present = publication(state, event.packageName, event.supersedes)
  if (!isKnown(state, present, "a publication that is refreshed is there")) return state
  return put(state, event.packageName, event.supersedes, {
    ...present,
    entityTag: event.entityTag,
    expiresAt: event.expiresAt,
    ...(present.taggedIn === undefined ? undefined : { taggedIn: state.version + 1 }),
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
  const taken = new Set(values(publications).map(({ slot }) => slot))
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
