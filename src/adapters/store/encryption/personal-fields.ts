/**
 * Which strings of an event are about whom: documents and devices are the presentity's, addresses, Call-IDs and what was asked
 * for are the watcher's.
 */
import type { Event } from "../../../domain/presentity/events.ts"
import type { Snapshot } from "../../../domain/presentity/snapshot.ts"
import type { Publication } from "../../../domain/presentity/state.ts"
import type { ArrivalChange } from "../../../domain/presentity/target-events.ts"
import type { Body, DialogStart, Header, Uri } from "../../../domain/vocabulary.ts"

/** Where a personal string stands: it is bound to that when it is encrypted. The same in events and in saved states. */
export type Field =
  | "sender"
  | "device"
  | "localUri"
  | "eventId"
  | "argument"
  | "callId"
  | "remoteTag"
  | "remoteUri"
  | "remoteTarget"
  | "address"
  | "routeSet"
  | "source"
export type DocumentField = "body" | "hardState" | "rules"

/** What is done with each kind of string. */
export interface PersonalFieldMapper {
  /** A document of the presentity. */
  readonly body: (body: Body, field: DocumentField) => Body
  readonly header: (header: Header) => Header
  /** The digest of what watchers of the presentity were shown. */
  readonly shown: (digest: string) => string
  /** An address of the presentity. */
  readonly own: (text: string, field: Field) => string
  readonly watcher: (watcher: Uri) => Uri
  /** Words of the watcher: tags, Call-IDs, arguments. Null: the one whose request it is. */
  readonly theirs: (text: string, watcher: Uri | null, field: Field) => string
  /** An address of the watcher. */
  readonly address: (text: string, watcher: Uri | null, field: Field) => string
}

/** The event with its personal strings touched; fields keep their order. An event without any is returned as it is. */
export const mapPersonalFields = (event: Event, map: PersonalFieldMapper): Event => {
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationModified":
      return {
        ...event,
        body: bodyOf(event.body, map, "body"),
        ...(event.headers === undefined ? {} : { headers: event.headers.map(map.header) }),
        sender: event.sender === null ? null : map.own(event.sender, "sender"),
        ...("device" in event && event.device !== undefined
          ? { device: map.own(event.device, "device") }
          : {}),
      }
    case "PublicationRemoved":
      return event.sender === undefined ? event : { ...event, sender: map.own(event.sender, "sender") }
    case "HardStateReplaced":
      return { ...event, body: bodyOf(event.body, map, "hardState") }
    case "RulesReplaced":
      return { ...event, rules: bodyOf(event.rules, map, "rules") }
    case "SubscriptionCreated":
      return {
        ...event,
        eventId: event.eventId === null ? null : map.theirs(event.eventId, event.watcher, "eventId"),
        watcher: map.watcher(event.watcher),
        ...(event.argument === undefined
          ? {}
          : { argument: map.theirs(event.argument, event.watcher, "argument") }),
        start: event.start === null ? null : startOf(event.start, event.watcher, map),
      }
    case "FarewellRepeated":
      return {
        ...event,
        eventId: event.eventId === null ? null : map.theirs(event.eventId, event.watcher, "eventId"),
        watcher: map.watcher(event.watcher),
        start: startOf(event.start, event.watcher, map),
      }
    case "SubscriptionRefreshed":
      return {
        ...event,
        remoteTarget:
          event.remoteTarget === null ? null : map.address(event.remoteTarget, null, "remoteTarget"),
        ...(event.argument === undefined ? {} : { argument: map.theirs(event.argument, null, "argument") }),
        ...arrivalOf(event.arrival, null, map),
      }
    case "RemoteTargetChanged":
      return {
        ...event,
        remoteTarget: map.address(event.remoteTarget, null, "remoteTarget"),
        ...arrivalOf(event.arrival, null, map),
      }
    case "TargetProven":
      return { ...event, address: map.theirs(event.address, null, "address") }
    case "TargetsFailed":
      return {
        ...event,
        tried: event.tried.map((target) => ({
          ...target,
          address: map.theirs(target.address, null, "address"),
        })),
      }
    case "WatcherRemembered":
    case "WatcherDecided":
      return { ...event, watcher: map.watcher(event.watcher) }
    case "NotificationsIssued":
      return isPersonalDigest(event.shown) ? { ...event, shown: map.shown(event.shown) } : event
    default:
      return event
  }
}

const bodyOf = (body: Body | null, { body: map }: PersonalFieldMapper, field: DocumentField): Body | null =>
  body === null ? null : map(body, field)

const startOf = (start: DialogStart, watcher: Uri, map: PersonalFieldMapper): DialogStart => ({
  ...start,
  callId: map.theirs(start.callId, watcher, "callId"),
  remoteTag: map.theirs(start.remoteTag, watcher, "remoteTag"),
  localUri: map.own(start.localUri, "localUri"),
  remoteUri: map.address(start.remoteUri, watcher, "remoteUri"),
  remoteTarget: map.address(start.remoteTarget, watcher, "remoteTarget"),
  routeSet: start.routeSet.map((one) => map.address(one, watcher, "routeSet")),
  source: map.theirs(start.source, watcher, "source"),
})

/** Only the source is the watcher's: sockets and Contact are ours. */
const arrivalOf = <A extends ArrivalChange>(
  arrival: A | undefined,
  watcher: Uri | null,
  map: PersonalFieldMapper,
): { readonly arrival?: A } =>
  arrival === undefined
    ? {}
    : arrival.source === undefined || arrival.source === ""
      ? { arrival }
      : { arrival: { ...arrival, source: map.theirs(arrival.source, watcher, "source") } }

/** What is no person: facts about the log and the server. */
export const isPerson = (stream: Uri): boolean => !stream.startsWith("presently:")

/**
 * Where a SIP request came from, with its Call-ID, or the file or row that rules or hard state were read from, which is called
 * after somebody; what the operator, an import or the server did is nobody's.
 */
export const isPersonalOrigin = (origin: string): boolean =>
  /^(?:(?:udp|tcp|tls|ws|wss):\S+|rules source|hard state source) /.test(origin)

/** A digest of a document; others say nothing of any: nothing shown yet, no document, undecided, withheld, the turn of a list of watchers. */
export const isPersonalDigest = (shown: string): boolean => !/^(?:|-|\?|!|w\d{1,9})$/.test(shown)

const publicationOf = (publication: Publication, map: PersonalFieldMapper): Publication => ({
  ...publication,
  body: bodyOf(publication.body, map, "body"),
  ...(publication.headers === undefined ? {} : { headers: publication.headers.map(map.header) }),
  ...(publication.droppedHeaders === undefined
    ? {}
    : { droppedHeaders: map.shown(publication.droppedHeaders) }),
  ...(publication.sender === null ? {} : { sender: map.own(publication.sender, "sender") }),
  ...(publication.device === undefined ? {} : { device: map.own(publication.device, "device") }),
})

/**
 * A saved state with strings of one person touched.
 *
 * @param map for that person
 */
export const mapPersonalFieldsOfSnapshot = (
  snapshot: Snapshot,
  person: Uri,
  map: PersonalFieldMapper,
): Snapshot => {
  const isOwn = snapshot.presentity === person
  const matches = (one: { readonly watcher: Uri }): boolean => one.watcher === person
  const named = <A extends { readonly watcher: Uri }>(one: A): A =>
    matches(one) ? { ...one, watcher: map.watcher(one.watcher) } : one
  const asked = <A extends { readonly watcher: Uri; readonly eventId: string | null }>(one: A): A =>
    matches(one) && one.eventId !== null
      ? { ...named(one), eventId: map.theirs(one.eventId, person, "eventId") }
      : named(one)
  const dialogs = new Set(snapshot.subscriptions.filter(matches).map((one) => one.dialog))
  const others = { ...map, own: (text: string) => text }
  const owned = { ...map, theirs: (text: string) => text, address: (text: string) => text }
  const ofOwner = <A>(value: A, touched: (value: A) => A): A => (isOwn ? touched(value) : value)
  return {
    ...snapshot,
    presentity: ofOwner(snapshot.presentity, map.watcher),
    publications: ofOwner(snapshot.publications, (all) =>
      all.map(([name, some]) => [name, some.map((publication) => publicationOf(publication, map))]),
    ),
    ...(snapshot.hardState === undefined
      ? {}
      : {
          hardState: ofOwner(snapshot.hardState, (all) =>
            all.map(([name, body]) => [name, map.body(body, "hardState")] as const),
          ),
        }),
    rules: ofOwner(snapshot.rules, (all) =>
      all.map(([name, one]) => [name, { ...one, body: map.body(one.body, "rules") }] as const),
    ),
    subscriptions: snapshot.subscriptions.map((one) => ({
      ...asked(one),
      ...(matches(one) && one.argument !== undefined
        ? { argument: map.theirs(one.argument, person, "argument") }
        : {}),
      ...(isOwn && isPersonalDigest(one.shown) ? { shown: map.shown(one.shown) } : {}),
    })),
    waiting: snapshot.waiting.map(asked),
    departed: snapshot.departed.map(named),
    ...(snapshot.verdicts === undefined ? {} : { verdicts: snapshot.verdicts.map(named) }),
    dialogs: snapshot.dialogs.map((one) => {
      const theirs = dialogs.has(one.no)
      const start = theirs ? startOf(one.start, person, others) : one.start
      return {
        ...one,
        start: isOwn ? startOf(start, person, owned) : start,
        remoteTarget: theirs ? map.address(one.remoteTarget, person, "remoteTarget") : one.remoteTarget,
        ...(theirs ? arrivalOf(one.arrival, person, map) : {}),
        ...(theirs && one.proof?._tag === "Addresses"
          ? {
              proof: {
                ...one.proof,
                addresses: one.proof.addresses.map((address) => map.theirs(address, person, "address")),
              },
            }
          : {}),
      }
    }),
  }
}
