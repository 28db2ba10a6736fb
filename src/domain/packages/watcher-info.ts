/**
 * Watcher information: the watchers of any event package as a document (RFC 3857: `X.winfo`, RFC 3858).
 *
 * Which watchers exist and which of them changed is known to the presentity (`presentity/watchers.ts`); this file only
 * determines the format of the document.
 */
import type { PackageName } from "../vocabulary.ts"
import { element } from "./element.ts"
import type { Element, XmlCodec } from "./element.ts"
import type { EventPackage, WatcherList, WatcherEntry } from "./event-package.ts"

export const watcherInfoNamespace = "urn:ietf:params:xml:ns:watcherinfo"
const contentType = "application/watcherinfo+xml"

export interface WatcherInfoOptions {
  readonly xml: XmlCodec
  /** In milliseconds; default 5000 (RFC 3857 §4.10). */
  readonly notifyIntervalMillis?: number
}

/** The template package of one package. It cannot be published, so it parses and composes nothing. */
export const watcherInfo = (packageName: PackageName, options: WatcherInfoOptions): EventPackage<never> => ({
  name: `${packageName}.winfo`,
  accepts: [],
  produces: [contentType],
  defaultExpires: 3_600,
  entityTags: "new-each-time",
  notifyIntervalMillis: options.notifyIntervalMillis ?? 5_000,
  watcherInfoOf: packageName,
  parse: () => ({ _tag: "Unreadable", why: "watcher information cannot be published" }),
  compose: () => null,
  render: (document) => document,
  offline: () => null,
  renderWatchers: (list) => ({ contentType, text: options.xml.print(documentOf(list)) }),
})

/** @source RFC 3858 §3 */
const documentOf = (list: WatcherList): Element =>
  infoElement(
    "watcherinfo",
    { version: `${list.version}`, state: list.isFull ? "full" : "partial" },
    infoElement(
      "watcher-list",
      { resource: list.resource, package: list.packageName },
      ...list.watchers.map(entryOf),
    ),
  )

const entryOf = (entry: WatcherEntry): Element =>
  infoElement(
    "watcher",
    {
      id: entry.id,
      status: entry.status,
      event: entry.event,
      ...(entry.expiration === null ? {} : { expiration: `${entry.expiration}` }),
      "duration-subscribed": `${entry.durationSubscribed}`,
      ...(entry.displayName === null ? {} : { "display-name": entry.displayName }),
    },
    entry.uri,
  )

const infoElement = (
  name: string,
  attributes: Readonly<Record<string, string>>,
  ...children: readonly (Element | string)[]
): Element => element(watcherInfoNamespace, name, attributes, children)
