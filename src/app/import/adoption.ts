/**
 * Turns rows of another server into commands, or says why a row cannot be taken over.
 *
 * Text in a row is read as strictly as text from the wire, because it will stand in messages again.
 */
import type { ActiveWatcherRow, PresentityRow, WatcherRow, XcapRow } from "../../adapters/import/layouts.ts"
import { parseAddress, parseAddresses } from "../../adapters/sip/address-headers.ts"
import { makePrepareDialog } from "../../adapters/sip/format-notify.ts"
import { isToken } from "../../adapters/sip/message-reader.ts"
import { aliasOf } from "../../adapters/sip/received-address.ts"
import type { TransportName } from "../../adapters/sip/transports/names.ts"
import { servedTransports } from "../../adapters/sip/transports/transports.ts"
import { parseUri } from "../../adapters/sip/uri.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Command } from "../../domain/presentity/commands.ts"
import type { State } from "../../domain/presentity/state.ts"
import { values } from "../../domain/table.ts"
import { canonicalHost, domainOf } from "../../domain/uris.ts"
import { isHeaderValue } from "../../domain/vocabulary.ts"
import type { Body, DialogStart, EntityTag, Header, Millis, Uri } from "../../domain/vocabulary.ts"
import { documentText } from "../../encoding/document-text.ts"
import { pidfManipulation, presRules } from "../../ports/document-source.ts"
import { presentityOf } from "../presentity-uri.ts"

/** The result for a row. */
export type Adoption =
  | {
      readonly _tag: "Ask"
      readonly presentity: Uri
      readonly command: Command
      readonly row: string
      /** An objection that only the presentity's state can raise; absent: none. */
      readonly against?: (state: State) => Skip | null
    }
  | Skip

export interface Skip {
  readonly _tag: "Skip"
  readonly why: string
  /** Nothing of it could continue: it is reported, and nobody has to act on it. */
  readonly isOver: boolean
  /** Names the row for people. */
  readonly row: string
}

export interface AdoptionRules {
  readonly packages: Packages
  readonly now: Millis
  /** Domains served; empty: all. */
  readonly domains: readonly string[]
  /** Transports that the server listens on; UDP and TCP are reached in any case. */
  readonly listened?: readonly TransportName[]
  /** How much longer this server's grace is than that of the other, whose `expires` includes its own. */
  readonly graceMillis: Millis
  /** Whether OMA conditions are accepted in rules. */
  readonly oma: boolean
}

export const adoptPresentityRow = (row: PresentityRow, rules: AdoptionRules): Adoption => {
  const name = `${row.username}@${row.domain} ${row.event} ${row.etag}`
  const skip = (why: string, isOver = false): Skip => ({ _tag: "Skip", why, isOver, row: name })
  const presentity = uriOf(row.username, row.domain)
  if (presentity === null) return skip("username and domain are no address")
  if (!isServed(presentity, rules)) return skip(notServed)
  const expiresAt = row.expires * 1000
  if (expiresAt <= rules.now) return skip(expired, true)
  if (!isToken(row.etag)) return skip("its entity-tag cannot be named in a request")
  const eventPackage = rules.packages.find(row.event)
  if (eventPackage === null) return skip(`there is no event package ${row.event}`)
  const text = textOf(untilNul(row.body))
  if (text === null) return skip("its body is not UTF-8")
  const contentType = eventPackage.accepts[0]
  const body: Body | null = text === "" || contentType === undefined ? null : { contentType, text }
  const headers = headersOf(row.extraHeaders, eventPackage.carriedHeaders ?? [])
  const command: Command = {
    _tag: "AdoptPublication",
    packageName: eventPackage.name,
    entityTag: row.etag as EntityTag,
    expiresAt,
    receivedAt: row.receivedTime * 1000,
    body,
    ...(headers.length === 0 ? {} : { headers }),
    sender: uriIn(row.sender),
  }
  return { _tag: "Ask", presentity, command, row: name }
}

/** Numbers in the column `status`. */
const active = 1
const pending = 2
const terminated = 3

export const adoptActiveWatcherRow = (row: ActiveWatcherRow, rules: AdoptionRules): Adoption => {
  const name = `${row.watcherUsername}@${row.watcherDomain} of ${row.presentityUri} ${row.event} ${row.callId}`
  const skip = (why: string, isOver = false): Skip => ({ _tag: "Skip", why, isOver, row: name })
  const presentity = presentityOf(row.presentityUri)
  if (presentity === null) return skip("presentity_uri is no address")
  if (!isServed(presentity, rules)) return skip(notServed)
  const expiresAt = row.expires * 1000 + rules.graceMillis
  if (expiresAt <= rules.now) return skip(expired, true)
  if (row.status === terminated) return skip("terminated: its watcher was refused there")
  if (row.status !== active && row.status !== pending) return skip(`status ${row.status} is not known`)
  const watcher = uriOf(row.watcherUsername, row.watcherDomain)
  if (watcher === null) return skip("the watcher is no address")
  if (rules.packages.find(row.event) === null) return skip(`there is no event package ${row.event}`)
  const dialog = dialogOf(row, rules)
  if (typeof dialog === "string") return skip(dialog)
  if (row.eventId !== "" && !isToken(row.eventId)) return skip("event_id is no token")
  const command: Command = {
    _tag: "AdoptSubscription",
    packageName: row.event,
    eventId: row.eventId === "" ? null : row.eventId,
    watcher,
    status: row.status === active ? "active" : "pending",
    polite: row.status === active && row.reason === "polite-block",
    expiresAt,
    dialog,
    takenOver: {
      localCseq: Math.max(0, row.lastCseq),
      notified: Math.max(0, row.nextVersion),
      createdAt: row.insertedTime === null ? rules.now : Math.min(rules.now, row.insertedTime * 1000),
    },
  }
  return { _tag: "Ask", presentity, command, row: name }
}

export const adoptWatcherRow = (row: WatcherRow, rules: AdoptionRules): Adoption => {
  const name = `${row.watcherUsername}@${row.watcherDomain} of ${row.presentityUri} ${row.event}`
  const skip = (why: string, isOver = false): Skip => ({ _tag: "Skip", why, isOver, row: name })
  const presentity = presentityOf(row.presentityUri)
  if (presentity === null) return skip("presentity_uri is no address")
  if (!isServed(presentity, rules)) return skip(notServed)
  const watcher = uriOf(row.watcherUsername, row.watcherDomain)
  if (watcher === null) return skip("the watcher is no address")
  if (row.status === terminated) return skip("terminated: its watcher was refused there")
  if (row.status !== active && row.status !== pending) return skip(`status ${row.status} is not known`)
  const createdAt = Math.min(rules.now, row.insertedTime * 1000)
  const command: Command = { _tag: "AdoptWatcher", packageName: row.event, watcher, createdAt }
  const against = (state: State): Skip | null =>
    row.status === pending || isWatching(state, row.event, watcher)
      ? null
      : skip("active, and nothing is watched: rules decide when it subscribes again", true)
  return { _tag: "Ask", presentity, command, row: name, against }
}

const isWatching = (state: State, packageName: string, watcher: Uri): boolean => {
  for (const subscription of values(state.subscriptions)) {
    if (subscription.packageName === packageName && subscription.watcher === watcher) return true
  }
  return false
}

/** Whether rules contain OMA conditions. */
const omaPresRules = 32

const documentNames: ReadonlyMap<number, string> = new Map([
  [4, "resource-lists"],
  [8, "rls-services"],
  [omaPresRules, "OMA pres-rules, taken with oma_rules"],
  [64, "user-profile"],
  [128, "pres-content"],
  [256, "search"],
  [512, "directory"],
  [1024, "xcap-caps"],
])

/** @param isFirst whether it is the first document of that kind for the user: the module reads no other */
export const adoptXcapRow = (row: XcapRow, rules: AdoptionRules, isFirst: boolean): Adoption => {
  const name = `${row.username}@${row.domain} doc_type ${row.docType}`
  const skip = (why: string): Skip => ({ _tag: "Skip", why, isOver: false, row: name })
  const isRules = row.docType === presRules || (row.docType === omaPresRules && rules.oma)
  if (!isRules && row.docType !== pidfManipulation) {
    return skip(`doc_type ${row.docType} (${documentNames.get(row.docType) ?? "not known"}) is not read`)
  }
  const presentity = uriOf(row.username, row.domain)
  if (presentity === null) return skip("username and domain are no address")
  if (!isServed(presentity, rules)) return skip(notServed)
  if (!isFirst) return skip("a second document of this kind: the module reads the first")
  const text = textOf(row.doc)
  if (text === null) return skip("the document is not UTF-8")
  const command: Command = isRules
    ? {
        _tag: "ReplaceRules",
        packageName: "presence",
        rules: { contentType: "application/auth-policy+xml", text },
      }
    : { _tag: "SetHardState", packageName: "presence", body: { contentType: "application/pidf+xml", text } }
  return { _tag: "Ask", presentity, command, row: name }
}

const expired = "expired"
const notServed = "its domain is not served here"

/** @returns why the dialog cannot continue; null: it can */
const dialogOf = (row: ActiveWatcherRow, { listened = [] }: AdoptionRules): DialogStart | string => {
  const transports = servedTransports(listened)
  for (const [column, value] of [
    ["callid", row.callId],
    ["to_tag", row.toTag],
  ] as const) {
    if (!isHeaderValue(value) || value.includes(" ")) return `${column} is empty or not a word`
  }
  if (row.fromTag !== "" && !isToken(row.fromTag)) return "from_tag is no token"
  const [localUri, remoteUri] = [written(row.toUser, row.toDomain), written(row.fromUser, row.fromDomain)]
  if (parseUri(localUri) === null || parseUri(remoteUri) === null) return "To or From is no address"
  const [remoteTarget, localContact] = [uriIn(row.contact), uriIn(row.localContact)]
  if (remoteTarget === null) return "contact is no URI"
  if (localContact === null) return "local_contact is no URI"
  const route = row.recordRoute.replaceAll(/[\r\n]+/g, " ").trim()
  const routes = route === "" ? [] : parseAddresses(route)
  if (routes === null || routes.some(({ uri }) => parseUri(uri) === null))
    return "record_route cannot be read"
  // what its proxy wrote into the Contact there is as good as what one that is trusted here writes
  const target = parseUri(remoteTarget)
  const isAliased = target !== null && target.scheme !== "tel" && aliasOf(target, transports) !== null
  const dialog: DialogStart = {
    callId: row.callId,
    localTag: row.toTag,
    remoteTag: row.fromTag,
    localUri: `<${localUri}>`,
    remoteUri: `<${remoteUri}>`,
    remoteTarget,
    routeSet: routes.map((route) =>
      route.untagged.includes("<") ? route.untagged : `<${route.uri}>${route.parameterText}`,
    ),
    remoteCseq: Math.max(0, row.remoteCseq),
    localContact,
    flow: row.socketInfo,
    source: "",
    ...(isAliased ? { reach: "alias" as const } : {}),
  }
  const { hop } = makePrepareDialog(transports)(dialog)
  // only its own connection, which was one to the other server, leads to a phone in a browser
  return hop === null || hop.transport?.isDialed === false
    ? "its contact or first route is not to be reached over a transport of this server"
    : dialog
}

/**
 * The URI in a column, with or without angle brackets: without them its parameters belong to the URI, unlike in a header.
 */
const uriIn = (column: string): string | null => {
  const uri = column.includes("<") ? (parseAddress(column)?.uri ?? "") : column.trim()
  const parsed = parseUri(uri)
  if (parsed === null) return null
  // RFC 3261 §19.1.5: headers in a URI do not become part of a request
  const hasHeaders = parsed.scheme !== "tel" && parsed.headers !== null
  return hasHeaders ? uri.slice(0, uri.indexOf("?", uri.indexOf("@") + 1)) : uri
}

const written = (user: string, domain: string): string =>
  domain === "" ? `tel:${user}` : user === "" ? `sip:${domain}` : `sip:${user}@${domain}`

const uriOf = (user: string, domain: string): Uri | null => presentityOf(written(user, domain))

const isServed = (presentity: Uri, { domains }: AdoptionRules): boolean => {
  const domain = domainOf(presentity)
  return domain === null || domains.length === 0 || domains.some((served) => canonicalHost(served) === domain)
}

/** As the module reads it: up to the first NUL. */
const untilNul = (bytes: Uint8Array): Uint8Array => {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}

const textOf = (bytes: Uint8Array): string | null => {
  const read = documentText(bytes, null)
  return read._tag === "Text" ? read.text : null
}

/** Lines of `extra_hdrs` whose names the package carries, in the package's spelling. */
const headersOf = (bytes: Uint8Array, carried: readonly string[]): readonly Header[] =>
  Buffer.from(bytes)
    .toString("latin1")
    .split(/\r?\n/)
    .flatMap((line): Header[] => {
      const colon = line.indexOf(":")
      const name = line.slice(0, colon).trim().toLowerCase()
      const known = colon <= 0 ? undefined : carried.find((header) => header.toLowerCase() === name)
      return known === undefined ? [] : [[known, line.slice(colon + 1).trim()]]
    })
