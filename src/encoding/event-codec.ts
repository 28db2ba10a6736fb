/**
 * Events as they are written in the log and in case files: JSON in, events out. Events of an earlier version are brought up
 * to date first (`upcast.ts`).
 *
 * The schema repeats `domain/presentity/events.ts` for one purpose: a row that does not fit is refused here, with the name of
 * the field, instead of showing up later as a strange state. Rows are written by `JSON.stringify` of the events as they are, so
 * nearly all of them are taken as they are, by checks that are compiled from the schema (`compiled-check.ts`); the schema decodes
 * the others, and says what is wrong.
 */
import { Schema } from "effect"
import type { Event } from "../domain/presentity/events.ts"
import { compileCheck } from "./compiled-check.ts"
import type { Check } from "./compiled-check.ts"
import { upcast } from "./upcast.ts"

const Body = Schema.Struct({
  contentType: Schema.String,
  parameters: Schema.optionalKey(Schema.String),
  text: Schema.String,
  dropped: Schema.optionalKey(Schema.String),
})
const Text = Schema.String
const Nullable = Schema.NullOr(Schema.String)
const Instant = Schema.NullOr(Schema.Finite)
const Status = Schema.Literals(["active", "pending"])
const Policy = Schema.optionalKey(Schema.Literals(["owner", "domain", "everybody", "rules", "members"]))

const Reason = Schema.Literals(["deactivated", "probation", "rejected", "timeout", "giveup", "noresource"])

const Rate = Schema.NullOr(Schema.Finite)
const Rates = Schema.Struct({ max: Rate, min: Rate, adaptiveMin: Rate })

const Reach = Schema.Literals(["ob", "invalid", "private", "nat", "alias", "source", "silence", "contact"])

const DialogStart = Schema.Struct({
  callId: Text,
  localTag: Text,
  remoteTag: Text,
  localUri: Text,
  remoteUri: Text,
  remoteTarget: Text,
  routeSet: Schema.Array(Text),
  remoteCseq: Schema.Int,
  localContact: Text,
  flow: Text,
  source: Text,
  reach: Schema.optionalKey(Reach),
  room: Schema.optionalKey(Schema.Int),
})

const Arrival = Schema.optionalKey(
  Schema.Struct({
    localContact: Schema.optionalKey(Text),
    flow: Schema.optionalKey(Text),
    source: Schema.optionalKey(Text),
    reach: Schema.optionalKey(Schema.NullOr(Reach)),
  }),
)

const Room = Schema.optionalKey(Schema.NullOr(Schema.Int))

const Headers = Schema.optionalKey(Schema.Array(Schema.Tuple([Text, Text])))

const Publication = { packageName: Text, entityTag: Text, expiresAt: Schema.Finite }

const TagRole = Schema.Literals(["active", "backup"])

const StoredEvent = Schema.TaggedUnion({
  PublicationCreated: {
    ...Publication,
    body: Schema.NullOr(Body),
    headers: Headers,
    droppedHeaders: Schema.optionalKey(Text),
    sender: Nullable,
    device: Schema.optionalKey(Text),
    after: Schema.optionalKey(Schema.Int),
    receivedAt: Schema.optionalKey(Schema.Finite),
  },
  PublicationModified: {
    ...Publication,
    supersedes: Text,
    body: Schema.NullOr(Body),
    headers: Headers,
    droppedHeaders: Schema.optionalKey(Text),
    sender: Nullable,
    after: Schema.optionalKey(Schema.Int),
  },
  PublicationRefreshed: { ...Publication, supersedes: Text },
  PublicationRemoved: {
    packageName: Text,
    entityTag: Text,
    cause: Schema.Literals(["requested", "expired", "replaced"]),
    sender: Schema.optionalKey(Text),
  },
  HardStateReplaced: { packageName: Text, body: Schema.NullOr(Body) },
  SubscriptionCreated: {
    no: Schema.Int,
    packageName: Text,
    eventId: Nullable,
    watcher: Text,
    status: Status,
    polite: Schema.Boolean,
    matched: Nullable,
    forced: Schema.optionalKey(Schema.Literal(true)),
    policy: Policy,
    unread: Schema.optionalKey(Schema.Literal(true)),
    rates: Schema.optionalKey(Rates),
    dormant: Schema.optionalKey(Schema.Literal(true)),
    argument: Schema.optionalKey(Text),
    needs: Schema.optionalKey(Text),
    phone: Schema.optionalKey(Text),
    unsolicited: Schema.optionalKey(Schema.Literal(true)),
    accept: Schema.optionalKey(Schema.Array(Text)),
    sharingTag: Schema.optionalKey(Text),
    parked: Schema.optionalKey(Schema.Literal(true)),
    private: Schema.optionalKey(Schema.Literal(true)),
    giveUpAt: Instant,
    expiresAt: Schema.Finite,
    dialog: Schema.Int,
    start: Schema.NullOr(DialogStart),
    remoteCseq: Schema.Int,
    takenOver: Schema.optionalKey(
      Schema.Struct({ localCseq: Schema.Int, notified: Schema.Int, createdAt: Schema.Finite }),
    ),
  },
  SubscriptionRefreshed: {
    no: Schema.Int,
    expiresAt: Schema.Finite,
    remoteCseq: Schema.Int,
    remoteTarget: Nullable,
    room: Room,
    rates: Schema.optionalKey(Schema.NullOr(Rates)),
    dormant: Schema.optionalKey(Schema.Boolean),
    argument: Schema.optionalKey(Text),
    needs: Schema.optionalKey(Schema.NullOr(Text)),
    accept: Schema.optionalKey(Schema.NullOr(Schema.Array(Text))),
    private: Schema.optionalKey(Schema.Boolean),
    arrival: Arrival,
  },
  SubscriptionStatusChanged: {
    no: Schema.Int,
    status: Status,
    polite: Schema.Boolean,
    matched: Nullable,
    forced: Schema.optionalKey(Schema.Literal(true)),
    policy: Policy,
    unread: Schema.optionalKey(Schema.Literal(true)),
    giveUpAt: Instant,
  },
  SubscriptionTerminated: {
    no: Schema.Int,
    reason: Reason,
    withheld: Schema.optionalKey(Schema.Literal(true)),
    silent: Schema.Boolean,
    waitsUntil: Instant,
    policy: Policy,
  },
  WatcherRemembered: {
    no: Schema.Int,
    packageName: Text,
    watcher: Text,
    createdAt: Schema.Finite,
    giveUpAt: Schema.Finite,
  },
  WaitingEnded: { no: Schema.Int, event: Schema.Literals(["approved", "rejected", "giveup", "noresource"]) },
  RulesReplaced: { packageName: Text, rules: Schema.NullOr(Body), boundaryAt: Instant },
  RulesReviewed: { packageName: Text, boundaryAt: Instant },
  SharingTagSet: { tag: Text, role: TagRole, epoch: Schema.Int },
  SharingTagSwitched: { tag: Text, role: TagRole, epoch: Schema.Int },
  LogDropped: {
    before: Schema.Finite,
    position: Schema.Finite,
    decisions: Schema.Finite,
    forgotten: Schema.Finite,
    signature: Schema.optionalKey(Text),
  },
  DocumentsDropped: {
    packageName: Text,
    before: Schema.Finite,
    documents: Schema.Finite,
    signature: Schema.optionalKey(Text),
  },
  PersonErased: { standIn: Text },
  WatcherDecided: {
    packageName: Text,
    watcher: Text,
    handling: Schema.NullOr(Schema.Literals(["block", "confirm", "polite-block", "allow"])),
  },
  RemoteTargetChanged: { dialog: Schema.Int, remoteTarget: Text, room: Room, arrival: Arrival },
  TargetDoubted: {
    dialog: Schema.Int,
    room: Schema.Int,
    reach: Schema.optionalKey(Schema.Literal("silence")),
  },
  TargetProven: { dialog: Schema.Int, address: Text },
  TargetsFailed: {
    no: Schema.Int,
    cseq: Schema.Int,
    tried: Schema.Array(
      Schema.Struct({
        address: Text,
        outcome: Schema.Literals(["refused", "timed-out", "unreachable"]),
        status: Schema.optionalKey(Schema.Int),
      }),
    ),
  },
  NotificationsIssued: {
    packageName: Text,
    to: Schema.Union([Schema.Literal("active"), Schema.Array(Schema.Int)]),
    except: Schema.Array(Schema.Int),
    suppressed: Schema.Array(Schema.Int),
    shown: Text,
    cause: Schema.Literals([
      "subscribe",
      "change",
      "rules",
      "refresh",
      "rate",
      "recovery",
      "proof",
      "credentials",
    ]),
    bodiless: Schema.optionalKey(Schema.Literal(true)),
    withheld: Schema.optionalKey(Schema.Literal(true)),
  },
  NotificationsDeferred: {
    to: Schema.Array(Schema.Int),
    until: Instant,
    undelivered: Schema.Boolean,
  },
  NotificationFailed: {
    no: Schema.Int,
    cseq: Schema.Int,
    outcome: Schema.Literals([
      "refused",
      "timed-out",
      "unreachable",
      "unproven",
      "unrepeated",
      "flow-lost",
      "too-large",
    ]),
    status: Schema.optionalKey(Schema.Int),
  },
  NotificationsAccepted: { of: Schema.Array(Schema.Int) },
  ClockSetBack: {
    by: Schema.Finite,
    moved: Schema.optionalKey(Schema.Finite),
    grantedFor: Schema.optionalKey(Schema.Finite),
    waitsFor: Schema.optionalKey(Schema.Finite),
  },
  FarewellRepeated: {
    no: Schema.Int,
    cseq: Schema.Int,
    packageName: Text,
    eventId: Nullable,
    watcher: Text,
    status: Status,
    polite: Schema.Boolean,
    matched: Nullable,
    accept: Schema.optionalKey(Schema.Array(Text)),
    notified: Schema.Int,
    reason: Reason,
    start: DialogStart,
    unproven: Schema.optionalKey(Schema.Literal(true)),
    bodiless: Schema.optionalKey(Schema.Literal(true)),
  },
})

/** The name of every event there is. */
export const eventTags: readonly string[] = Object.keys(StoredEvent.cases)

/** By event: its fields, with a question mark those that may be absent. */
export const eventFields = (): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    Object.entries(StoredEvent.cases).map(([tag, { fields }]) => [
      tag,
      Object.entries(fields)
        .map(([name, field]) =>
          Schema.isSchema(field) && field.ast.context?.isOptional === true ? `${name}?` : name,
        )
        .sort(),
    ]),
  )

const decode = Schema.decodeUnknownSync(Schema.Array(StoredEvent))

const checks: ReadonlyMap<unknown, Check | null> = new Map(
  Object.entries(StoredEvent.cases).map(([tag, { ast }]) => [tag, compileCheck(ast)]),
)

/** Events for which there is no compiled check; they are decoded by their schema. */
export const uncompiledEvents = (): readonly string[] =>
  [...checks].flatMap(([tag, check]) => (check === null ? [String(tag)] : []))

/** Whether all are events exactly as they are written today: nothing is to be brought up to date, left out or refused. */
export const areTodays = (json: unknown): json is readonly Event[] => {
  if (!Array.isArray(json)) return false
  for (const event of json as readonly unknown[]) {
    if (typeof event !== "object" || event === null) return false
    if (checks.get((event as { readonly _tag?: unknown })._tag)?.(event) !== true) return false
  }
  return true
}

/**
 * What `decodeEvents` gives, from the schema alone.
 *
 * @throws Error that says what does not fit
 */
export const decodeEventsBySchema = (json: unknown): readonly Event[] =>
  // brands are compile-time only; the schema has checked the rest
  decode(upcast(json)) as readonly unknown[] as readonly Event[]

/** @throws Error that says what does not fit */
export const decodeEvents = (json: unknown): readonly Event[] =>
  areTodays(json) ? json : decodeEventsBySchema(json)
