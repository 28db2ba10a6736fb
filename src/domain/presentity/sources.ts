/**
 * What is published of a package, as composition takes it: documents in the order of their content.
 */
import type { EventPackage, Order, Parsed, Source } from "../packages/event-package.ts"
import { get, values } from "../table.ts"
import type { Body, Header } from "../vocabulary.ts"
import { rememberingLast } from "./last-answer.ts"
import type { Publication, State } from "./state.ts"

/** The documents of a package's hard state and live publications that can be read, oldest content first. */
export const publishedDocuments = (state: State, eventPackage: EventPackage): readonly unknown[] =>
  liveSources(state, eventPackage).map((source) => source.document)

/** Hard state comes first: it is older than whatever is published, and gives way to it. */
export const liveSources = (state: State, eventPackage: EventPackage): readonly Source<unknown>[] => {
  const hard = get(state.hardState, eventPackage.name)
  const publications = get(state.publications, eventPackage.name)
  return [
    ...(hard === undefined ? [] : readable(eventPackage, hardStateKey, hard)),
    ...(publications === undefined ? [] : sourcesOf(eventPackage, values(publications))),
  ]
}

/** Not a slot: slots count from 1. */
const hardStateKey = "0"

/** A body that can no longer be read is left out; the others still compose. */
const readable = (
  eventPackage: EventPackage,
  key: string,
  body: Body,
  order?: Order,
): readonly Source<unknown>[] => {
  const parsed = parseBody(eventPackage, body)
  if (parsed._tag !== "Parsed") return []
  const { document } = parsed
  return [order === undefined ? { key, document } : { key, document, order }]
}

export const sourcesOf = (
  eventPackage: EventPackage,
  publications: Iterable<Publication>,
): readonly Source<unknown>[] =>
  [...publications]
    .sort((left, right) => left.bodyFrom - right.bodyFrom)
    .flatMap((publication) => {
      const { slot, body, headers } = publication
      const key = `${slot}`
      if (body !== null)
        return readable(eventPackage, key, body, hasOrder(eventPackage) ? orderOf(publication) : undefined)
      const parsed = headers === undefined ? null : parseHeaders(eventPackage, headers)
      return parsed?._tag === "Parsed" ? [{ key, document: parsed.document }] : []
    })

const hasOrder = ({ ordered, readsDevices }: EventPackage): boolean =>
  ordered === true || readsDevices === true

const orderOf = ({ bodyFrom, receivedAt, after, device }: Publication): Order => ({
  at: bodyFrom,
  receivedAt,
  ...(after === undefined ? undefined : { after }),
  ...(device === undefined ? undefined : { device }),
})

/** Whether a publication about to be stored may take the place of an earlier one (`EventPackage.mayReplace`). */
export const mayReplace = (
  eventPackage: EventPackage,
  earlier: Publication,
  { key, body, order }: { readonly key: string; readonly body: Body; readonly order: Order },
): boolean => {
  const [before] = sourcesOf(eventPackage, [earlier])
  const [later] = readable(eventPackage, key, body, order)
  return before === undefined || later === undefined || eventPackage.mayReplace?.(before, later) !== false
}

/** Reads a published body; the one that was read last is known: a decision checks what it is given, and composes it. */
export const parseBody = rememberingLast((eventPackage: EventPackage, body: Body): Parsed<unknown> =>
  eventPackage.parse(body),
)

/** Reads the headers of a publication without body; null for a package that does not. */
export const parseHeaders = (
  eventPackage: EventPackage,
  headers: readonly Header[],
): Parsed<unknown> | null => eventPackage.parseHeaders?.(headers) ?? null
