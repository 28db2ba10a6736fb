/**
 * Which strings of an event are about whom: documents and devices are the presentity's, addresses, Call-IDs and what was asked
 * for are the watcher's.
 */
import type { Event } from "../../domain/presentity/events.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import type { Body, DialogStart, Header, Uri } from "../../domain/vocabulary.ts"

/** What is done with each kind of string. */
export interface Touch {
  /** `body` and `rules` of the presentity. */
  readonly body: (body: Body) => Body
  readonly header: (header: Header) => Header
  /** An address of the presentity. */
  readonly own: (text: string) => string
  readonly watcher: (watcher: Uri) => Uri
  /** Words of the watcher: tags, Call-IDs, arguments. Null: the one whose request it is. */
  readonly theirs: (text: string, watcher: Uri | null) => string
  /** An address of the watcher. */
  readonly address: (text: string, watcher: Uri | null) => string
}

/** The event with its personal strings touched; fields keep their order. An event without any is returned as it is. */
export const touchEvent = (event: Event, touch: Touch): Event => {
  switch (event._tag) {
    case "PublicationCreated":
    case "PublicationModified":
      return {
        ...event,
        body: bodyOf(event.body, touch),
        ...(event.headers === undefined ? {} : { headers: event.headers.map(touch.header) }),
        sender: event.sender === null ? null : touch.own(event.sender),
      }
    case "PublicationRemoved":
      return event.sender === undefined ? event : { ...event, sender: touch.own(event.sender) }
    case "HardStateReplaced":
      return { ...event, body: bodyOf(event.body, touch) }
    case "RulesReplaced":
      return { ...event, rules: bodyOf(event.rules, touch) }
    case "SubscriptionCreated":
      return {
        ...event,
        eventId: event.eventId === null ? null : touch.theirs(event.eventId, event.watcher),
        watcher: touch.watcher(event.watcher),
        ...(event.argument === undefined ? {} : { argument: touch.theirs(event.argument, event.watcher) }),
        start: event.start === null ? null : startOf(event.start, event.watcher, touch),
      }
    case "SubscriptionRefreshed":
      return {
        ...event,
        remoteTarget: event.remoteTarget === null ? null : touch.address(event.remoteTarget, null),
        ...(event.argument === undefined ? {} : { argument: touch.theirs(event.argument, null) }),
      }
    case "RemoteTargetChanged":
      return { ...event, remoteTarget: touch.address(event.remoteTarget, null) }
    case "TargetProven":
      return { ...event, address: touch.theirs(event.address, null) }
    case "WatcherRemembered":
    case "WatcherDecided":
      return { ...event, watcher: touch.watcher(event.watcher) }
    default:
      return event
  }
}

const bodyOf = (body: Body | null, { body: touch }: Touch): Body | null =>
  body === null ? null : touch(body)

const startOf = (start: DialogStart, watcher: Uri, touch: Touch): DialogStart => ({
  ...start,
  callId: touch.theirs(start.callId, watcher),
  remoteTag: touch.theirs(start.remoteTag, watcher),
  localUri: touch.own(start.localUri),
  remoteUri: touch.address(start.remoteUri, watcher),
  remoteTarget: touch.address(start.remoteTarget, watcher),
  routeSet: start.routeSet.map((one) => touch.address(one, watcher)),
  source: touch.theirs(start.source, watcher),
})

/** What is no person: facts about the log and the server. */
export const isPerson = (stream: Uri): boolean => !stream.startsWith("presently:")

/** Where a SIP request came from, with its Call-ID; what the operator, an import or the server did is nobody's. */
export const isPersonalOrigin = (origin: string): boolean => /^(?:udp|tcp|tls|ws|wss):\S+ /.test(origin)

/**
 * A saved state with strings of one person touched.
 *
 * @param touch for that person
 */
export const touchSnapshot = (snapshot: Snapshot, person: Uri, touch: Touch): Snapshot => {
  const isOwn = snapshot.presentity === person
  const isMeant = (one: { readonly watcher: Uri }): boolean => one.watcher === person
  const named = <A extends { readonly watcher: Uri }>(one: A): A =>
    isMeant(one) ? { ...one, watcher: touch.watcher(one.watcher) } : one
  const asked = <A extends { readonly watcher: Uri; readonly eventId: string | null }>(one: A): A =>
    isMeant(one) && one.eventId !== null
      ? { ...named(one), eventId: touch.theirs(one.eventId, person) }
      : named(one)
  const dialogs = new Set(snapshot.subscriptions.filter(isMeant).map((one) => one.dialog))
  const others = { ...touch, own: (text: string) => text }
  const owned = { ...touch, theirs: (text: string) => text, address: (text: string) => text }
  const ofOwner = <A>(value: A, touched: (value: A) => A): A => (isOwn ? touched(value) : value)
  return {
    ...snapshot,
    presentity: ofOwner(snapshot.presentity, touch.watcher),
    publications: ofOwner(snapshot.publications, (all) =>
      all.map(([name, some]) => [
        name,
        some.map((one) => ({
          ...one,
          body: bodyOf(one.body, touch),
          ...(one.headers === undefined ? {} : { headers: one.headers.map(touch.header) }),
          ...(one.sender === null ? {} : { sender: touch.own(one.sender) }),
        })),
      ]),
    ),
    ...(snapshot.hardState === undefined
      ? {}
      : {
          hardState: ofOwner(snapshot.hardState, (all) =>
            all.map(([name, body]) => [name, touch.body(body)] as const),
          ),
        }),
    rules: ofOwner(snapshot.rules, (all) =>
      all.map(([name, one]) => [name, { ...one, body: touch.body(one.body) }] as const),
    ),
    subscriptions: snapshot.subscriptions.map((one) =>
      isMeant(one) && one.argument !== undefined
        ? { ...asked(one), argument: touch.theirs(one.argument, person) }
        : asked(one),
    ),
    waiting: snapshot.waiting.map(asked),
    departed: snapshot.departed.map(named),
    ...(snapshot.verdicts === undefined ? {} : { verdicts: snapshot.verdicts.map(named) }),
    dialogs: snapshot.dialogs.map((one) => {
      const theirs = dialogs.has(one.no)
      const start = theirs ? startOf(one.start, person, others) : one.start
      return {
        ...one,
        start: isOwn ? startOf(start, person, owned) : start,
        remoteTarget: theirs ? touch.address(one.remoteTarget, person) : one.remoteTarget,
        ...(theirs && one.proof?._tag === "Addresses"
          ? {
              proof: {
                ...one.proof,
                addresses: one.proof.addresses.map((address) => touch.theirs(address, person)),
              },
            }
          : {}),
      }
    }),
  }
}
