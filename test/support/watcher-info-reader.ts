/**
 * A reader of watcher information according to the RFC: the reference for the documents that the server sends.
 *
 * It only considers names in the namespace of RFC 3858; everything foreign, element, attribute or text in a foreign
 * element, is ignored (§3).
 */
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { attribute, childrenNamed } from "../../src/domain/packages/element.ts"
import type { Element } from "../../src/domain/packages/element.ts"
import { watcherInfoNamespace } from "../../src/domain/packages/watcher-info.ts"
import type { Body } from "../../src/domain/vocabulary.ts"

/** One document. */
export interface WatcherDocument {
  readonly version: number
  readonly isFull: boolean
  readonly lists: readonly WatcherDocumentList[]
}

export interface WatcherDocumentList {
  readonly resource: string
  readonly packageName: string
  readonly entries: readonly WatcherRow[]
}

export interface WatcherRow {
  readonly id: string
  readonly uri: string
  readonly status: string
  readonly event: string
  readonly expiration: string | null
  readonly duration: string | null
}

/** @throws Error if the text is no watcher information, or lacks what RFC 3858 §3 requires */
export const readWatcherInfo = (text: string): WatcherDocument => {
  const read = xmlCodec.parse(text)
  if (read._tag === "Malformed") throw new Error(read.why)
  const { root } = read
  const { name, namespace } = root
  if (name !== "watcherinfo" || namespace !== watcherInfoNamespace) throw new Error(`the root is <${name}>`)
  const version = demanded(root, "version")
  const state = demanded(root, "state")
  if (!/^\d+$/.test(version)) throw new Error(`version ${version}`)
  if (state !== "full" && state !== "partial") throw new Error(`state ${state}`)
  return {
    version: Number(version),
    isFull: state === "full",
    lists: childrenNamed(root, watcherInfoNamespace, "watcher-list").map((list) => ({
      resource: demanded(list, "resource"),
      packageName: demanded(list, "package"),
      entries: childrenNamed(list, watcherInfoNamespace, "watcher").map(rowOf),
    })),
  }
}

const rowOf = (watcher: Element): WatcherRow => ({
  id: demanded(watcher, "id"),
  uri: ownText(watcher).trim(),
  status: demanded(watcher, "status"),
  event: demanded(watcher, "event"),
  expiration: attribute(watcher, "expiration"),
  duration: attribute(watcher, "duration-subscribed"),
})

const demanded = (element: Element, name: string): string => {
  const value = attribute(element, name)
  if (value === null) throw new Error(`<${element.name}> without ${name}`)
  return value
}

const ownText = (element: Element): string =>
  element.children.map((node) => (node._tag === "Text" ? node.text : "")).join("")

/** A document of ours: one list. */
export interface Watchers extends WatcherDocumentList {
  readonly version: number
  readonly isFull: boolean
}

/** The single list of a body; null: the body is something else. */
export const watcherList = (body: Body): Watchers | null => {
  if (body.contentType !== "application/watcherinfo+xml") return null
  const { version, isFull, lists } = readWatcherInfo(body.text)
  const [list] = lists
  if (list === undefined || lists.length > 1) throw new Error(`${lists.length} lists`)
  return { version, isFull, ...list }
}

/**
 * Tables of watchers maintained from the documents of one subscription.
 *
 * @source RFC 3858 §4
 */
export interface WatcherInfoReader {
  /** `stale`: not above the known version, ignored. `gap`: read, but a previous one was missed. */
  readonly take: (document: WatcherDocument) => "read" | "gap" | "stale"
  /** False after a document was missed, until a full one arrives: a refresh is needed. */
  readonly isSure: () => boolean
  /** The watchers of one resource and package by id, except those that have ended. */
  readonly table: (resource: string, packageName: string) => ReadonlyMap<string, WatcherRow>
}

export const makeWatcherInfoReader = (): WatcherInfoReader => {
  const tables = new Map<string, Map<string, WatcherRow>>()
  const keyOf = (resource: string, packageName: string): string => `${resource} ${packageName}`
  let version: number | null = null
  let isSure = false

  const update = ({ resource, packageName, entries }: WatcherDocumentList): void => {
    const key = keyOf(resource, packageName)
    const table = tables.get(key) ?? new Map<string, WatcherRow>()
    tables.set(key, table)
    for (const row of entries) {
      if (row.status === "terminated") table.delete(row.id)
      else table.set(row.id, row)
    }
  }

  return {
    take: (document) => {
      if (version !== null && document.version <= version) return "stale"
      const isNext = version === null ? document.isFull : document.version === version + 1
      version = document.version
      if (document.isFull) tables.clear()
      isSure = document.isFull || (isSure && isNext)
      for (const list of document.lists) update(list)
      return isNext ? "read" : "gap"
    },
    isSure: () => isSure,
    table: (resource, packageName) => tables.get(keyOf(resource, packageName)) ?? new Map(),
  }
}
