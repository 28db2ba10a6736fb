/**
 * Watcher information: who watches, as a document (RFC 3858), for any event package (RFC 3857: `X.winfo`).
 *
 * The list of watchers and which of them changed is the presentity's knowledge (`presentity/watchers.ts`); only the form
 * of the document is here.
 */
import type { PackageName } from "../vocabulary.ts"
import { element } from "./element.ts"
import type { Element, XmlCodec } from "./element.ts"
import type { EventPackage, WatcherList, WatcherEntry } from "./event-package.ts"

export const watcherInfoNamespace = "urn:ietf:params:xml:ns:watcherinfo"
const contentType = "application/watcherinfo+xml"

export interface WatcherInfoOptions {
  readonly xml: XmlCodec
  /** RFC 3857 §4.10: 5 s unless said otherwise. */
  readonly notifyIntervalMillis?: number
}

/** The template package of one package; it is not published, so it parses and composes nothing. */
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
