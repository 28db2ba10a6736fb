/**
 * `presently/server`: the parts of a server as Effect layers, for programs that compose their own. `Server.start` of `presently`
 * starts a whole server from settings.
 */
export { layerNode, serve } from "./node.ts"
export { ActiveTags, DocumentSources, PumpService, layerPump } from "./pump.ts"
export type { NodeOptions } from "./pump.ts"
export { layerSip } from "../../adapters/sip/stack.ts"
export {
  FeedService,
  ProjectorService,
  SharingTagsService,
  layerFeed,
  layerOutageLog,
  layerProjector,
  layerSharingTags,
} from "./followers.ts"
export { EventStore } from "../../ports/event-store.ts"
export { PresenceTables } from "../../ports/presence-tables.ts"
export { SipTransport } from "../../ports/sip-transport.ts"
export type { BindFailed, Request, SipHandler } from "../../ports/sip-transport.ts"
export type { Pump, PumpListener, PumpOptions } from "../node/pump.ts"
export type { SipOptions } from "../../adapters/sip/options.ts"
