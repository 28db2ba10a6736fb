/**
 * `presently`: presence inside a program, or a whole server started from one.
 *
 * Importing it loads neither sockets, databases nor the command line: `postgresStore`, `embeddedStore` and `Server.start` load
 * what they need when they are used.
 */
export { Presence } from "./library/presence.ts"
export type { MakeOptions, Presence as PresenceApi, Watch } from "./library/presence.ts"
export { PresenceService } from "./library/service.ts"
export { PackageFault } from "./extensions/package-fault.ts"
export { CallbackFault, FellBehind, OptionsInvalid, PresenceRefused, StoreFault } from "./library/refused.ts"
export type { PresenceEffects } from "./library/service.ts"
export type { BadArgument } from "./library/refused.ts"
export type { PresenceFault } from "./library/faults.ts"
export type {
  FeedOptions,
  Instant,
  Notification,
  PublishRequest,
  SeenOptions,
  TerminateRequest,
  WatchRequest,
  WhyOptions,
} from "./library/requests.ts"
export type { Published } from "./operations/presentity-commands.ts"
export type { PresentityAt } from "../domain/history/at.ts"
export type { BundledName, EventName, PresenceOptions, RulesFault } from "./library/options.ts"
export type { Extensions, RulesSource } from "./extensions/extensions.ts"

// where decisions are kept
export { embeddedStore, memoryStore, postgresStore } from "./library/stores.ts"
export { storeOf } from "./library/own-store.ts"
export type { PromiseStore } from "./library/own-store.ts"
export { StoreUnfit, LogIsTaken } from "../ports/claim.ts"

// a whole server
export { Server } from "./server/in-program.ts"
export type { RunningServer, ServerOptions } from "./server/in-program.ts"
export type { Reloaded } from "./node/reloaded.ts"
export type { PolicyRequest } from "../adapters/sip/policy.ts"
export type { RequestPolicy } from "./config/request-policy-hook.ts"
export type {
  PolicyConditions,
  PublishOutcome,
  PublishRule,
  SubscribeOutcome,
  SubscribeRule,
} from "./config/request-policy-rules.ts"

// ports: Effect services that a program may provide or use
export { EventStore, StoreUnavailable } from "../ports/event-store.ts"
export type {
  Appended,
  Checkpoint,
  CheckpointName,
  Position,
  RecordedDecision,
} from "../ports/event-store.ts"
export { PresenceTables } from "../ports/presence-tables.ts"
export type { TableChange } from "../ports/presence-tables.ts"
export { soleClaim } from "../ports/claim.ts"
export type { Claim, Holder } from "../ports/claim.ts"
export { SipTransport } from "../ports/sip-transport.ts"
export type { Request as SipRequest, SipHandler } from "../ports/sip-transport.ts"
export { decodeDecision, encodeDecision } from "../encoding/decision-codec.ts"
export type { Operations, ExposedRow, FeedItem as PresenceEvent } from "../ports/operations.ts"
export type { Refused as OperationRefused } from "../ports/operation-refused.ts"
export type { Differences, HistoryQueries, SentPage, Why } from "../ports/history-queries.ts"

// types of the domain
export type { PresencePublish } from "../domain/projections/published.ts"
export type { Decision, Event } from "../domain/presentity/events.ts"
export type { Authorize, Limits } from "../domain/presentity/context.ts"
export type { WatchOptions } from "./config/watch-policies.ts"
export type { Body, SubHandling, WatchPolicy } from "../domain/vocabulary.ts"
