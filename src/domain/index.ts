/**
 * `presently/domain`: the pure core, for programs that decide, fold and check on their own.
 */
export { decide } from "./presentity/decide.ts"
export { evolve, fold } from "./presentity/evolve.ts"
export { nextDeadline } from "./presentity/deadlines.ts"
export { initial, isEmpty } from "./presentity/state.ts"
export { react } from "./presentity/react.ts"
export { freeze, thaw } from "./presentity/snapshot.ts"
export { currentView } from "./presentity/view.ts"
export { allowEveryone, defaultLimits } from "./presentity/context.ts"
export { makeEngine } from "./engine/make-engine.ts"
export { makeRegistry } from "./packages/registry.ts"
export { presence } from "./packages/pidf.ts"
export { entries, get, values } from "./table.ts"
export { dialogKey } from "./vocabulary.ts"
export type { Authorize, Context, Limits } from "./presentity/context.ts"
export { policyOf } from "./presentity/watching.ts"
export type { Watching } from "./presentity/watching.ts"
export type { Outcome } from "./presentity/decision.ts"
export type * from "./presentity/commands.ts"
export type * from "./presentity/events.ts"
export type * from "./presentity/publication-events.ts"
export type * from "./presentity/retention-events.ts"
export type * from "./presentity/target-events.ts"
export type * from "./presentity/intents.ts"
export type { Dialog, Publication, State, Subscription } from "./presentity/state.ts"
export type { Snapshot } from "./presentity/snapshot.ts"
export type {
  Batch,
  CommittedDecision,
  Doubtful,
  Engine,
  EngineOptions,
  Failed,
  Offer,
  Offered,
  Release,
} from "./engine/engine.ts"
export type { EventPackage, Packages } from "./packages/event-package.ts"
export type { Element, XmlCodec } from "./packages/element.ts"
export type { Reaction } from "./presentity/react.ts"
export type { Table } from "./table.ts"
export type {
  Body,
  DialogKey,
  DialogNo,
  DialogStart,
  EntityTag,
  Millis,
  PackageName,
  Rates,
  Seconds,
  SubHandling,
  SubscriptionNo,
  Uri,
  WatchPolicy,
  WatchWord,
} from "./vocabulary.ts"
