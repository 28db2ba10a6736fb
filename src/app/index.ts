/**
 * `presently`: presence inside a program of one's own, or a whole server started from one.
 */
export { Presence } from "./library/presence.ts"
export type { MakeOptions, Presence as PresenceApi, Watch } from "./library/presence.ts"
export { PresenceService } from "./library/service.ts"
export { CallbackFault, FellBehind, OptionsInvalid, PresenceRefused, StoreFault } from "./library/refused.ts"
export { PackageFault } from "./extensions/package-fault.ts"
export type { BadArgument } from "./library/refused.ts"
export type { PresenceFault } from "./library/faults.ts"
export { StoreUnavailable } from "../ports/event-store.ts"
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
export type { ExposedRow, FeedItem as PresenceEvent } from "../ports/operations.ts"
export type { PresencePublish } from "../domain/projections/published.ts"
export { embeddedStore, memoryStore, postgresStore } from "./library/stores.ts"
export { storeOf } from "./library/own-store.ts"
export type { Holder } from "../ports/event-store.ts"
export { StoreUnfit } from "../adapters/store/writer/unfit.ts"
export type { PromiseStore } from "./library/own-store.ts"
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
export type { Decision, Event } from "../domain/presentity/events.ts"
export type { Authorize, Limits } from "../domain/presentity/context.ts"
export type { WatchOptions } from "./config/watch-policies.ts"
export type { Body, SubHandling, WatchPolicy } from "../domain/vocabulary.ts"
export type { Differences, SentPage, Why } from "../ports/history-queries.ts"
export { LogIsTaken } from "../adapters/store/writer/taken.ts"
