/**
 * `presently/packages`: the bundled event packages with the XML codec passed in, and what it takes to write another.
 *
 * Runs in a browser as well: nothing here needs Node.
 */
import { parserCodec, xmlCodec } from "../../adapters/xml/codec.ts"
import { remembering } from "../../adapters/xml/remember.ts"
import * as conferences from "../../domain/packages/conference.ts"
import * as dialogs from "../../domain/packages/dialog-info.ts"
import * as sharedLines from "../../domain/packages/dialog-sla.ts"
import type { XmlCodec } from "../../domain/packages/element.ts"
import type { EventPackage, PackageRules } from "../../domain/packages/event-package.ts"
import * as features from "../../domain/packages/feature-event.ts"
import * as pidfRules from "../../domain/packages/pidf-rules.ts"
import * as pidf from "../../domain/packages/pidf.ts"
import type * as rules from "../../domain/packages/presence-rules.ts"
import * as registrations from "../../domain/packages/reg.ts"
import * as watchers from "../../domain/packages/watcher-info.ts"
import type { PackageName } from "../../domain/vocabulary.ts"

/** Of all packages that are made without a codec of their own. */
const documentCodec = remembering(xmlCodec)

/** Options of which the codec may be left out: then one that reads as `xmlCodec` does and keeps what it read last. */
type WithCodec<Options extends { readonly xml: XmlCodec }> = Omit<Options, "xml"> &
  Partial<Pick<Options, "xml">>

export type PresenceOptions = WithCodec<pidf.PresenceOptions>
export type DialogInfoOptions = WithCodec<dialogs.DialogInfoOptions>
export type SharedLineOptions = WithCodec<sharedLines.SharedLineOptions>
export type RegOptions = WithCodec<registrations.RegOptions>
export type ConferenceOptions = WithCodec<conferences.ConferenceOptions>
export type FeatureEventOptions = WithCodec<features.FeatureEventOptions>
export type WatcherInfoOptions = WithCodec<watchers.WatcherInfoOptions>

/** `presence` (RFC 3856): PIDF, data model, RPID; with `rules`, authorization by RFC 5025. */
export const presence = (options: PresenceOptions = {}): EventPackage<pidf.Pidf, "presence"> =>
  pidf.presence({
    ...options,
    xml: options.xml ?? documentCodec,
    rulesXml: options.rulesXml ?? options.xml ?? parserCodec,
  })

/** `dialog` (RFC 4235). */
export const dialogInfo = (options: DialogInfoOptions = {}): EventPackage<dialogs.DialogInfo, "dialog"> =>
  dialogs.dialogInfo({ ...options, xml: options.xml ?? documentCodec })

/** `dialog;sla`: a line that several phones share. */
export const sharedLine = (options: SharedLineOptions = {}): EventPackage<dialogs.DialogInfo, "dialog;sla"> =>
  sharedLines.sharedLine({ ...options, xml: options.xml ?? documentCodec })

/** `reg` (RFC 3680). */
export const reg = (options: RegOptions = {}): EventPackage<registrations.RegInfo, "reg"> =>
  registrations.reg({ ...options, xml: options.xml ?? documentCodec })

/** `as-feature-event`: do not disturb and forwarding, the same on all phones of a user. */
export const featureEvent = (
  options: FeatureEventOptions = {},
): EventPackage<features.Features, "as-feature-event"> =>
  features.featureEvent({ ...options, xml: options.xml ?? documentCodec })

/** `conference` (RFC 4575). */
export const conference = (
  options: ConferenceOptions = {},
): EventPackage<conferences.ConferenceInfo, "conference"> =>
  conferences.conference({ ...options, xml: options.xml ?? documentCodec })

/**
 * Authorization documents for packages without rules of their own: RFC 4745 and the sub-handling of RFC 5025, without
 * transformations. Suitable as the third argument of `makeRegistry`.
 */
export const commonRules = (options: rules.RulesOptions & { readonly xml?: XmlCodec } = {}): PackageRules => {
  const { xml = parserCodec, ...rulesOptions } = options
  return pidfRules.commonRules(xml, rulesOptions)
}

/** The watchers of a package (RFC 3857). Suitable as the second argument of `makeRegistry`. */
export const watcherInfo = (watched: PackageName, options: WatcherInfoOptions = {}): EventPackage<never> =>
  watchers.watcherInfo(watched, { ...options, xml: options.xml ?? documentCodec })

export { callInfo } from "../../domain/packages/call-info.ts"
export { lineSeize } from "../../domain/packages/line-seize.ts"
export { messageSummary } from "../../domain/packages/message-summary.ts"
export { passThrough } from "../../domain/packages/pass-through.ts"
export { dialogPresenceTexts, dialogsInPresence } from "../../domain/packages/dialog-presence.ts"
export { makeRegistry } from "../../domain/packages/registry.ts"
export { makeXmlCodec, xmlCodec } from "../../adapters/xml/codec.ts"
export {
  attribute,
  canonical,
  child,
  childrenNamed,
  element,
  isNamed,
  textOf,
  withAttribute,
  withChildren,
} from "../../domain/packages/element.ts"
export { inheriting, readFrame, renderFrame, withVersion } from "../../domain/packages/numbered-document.ts"
export { conferenceInfoNamespace } from "../../domain/packages/conference.ts"
export { dialogInfoNamespace } from "../../domain/packages/dialog-info.ts"
export { dataModelNamespace, pidfNamespace } from "../../domain/packages/pidf.ts"
export { regInfoNamespace } from "../../domain/packages/reg.ts"
export { watcherInfoNamespace } from "../../domain/packages/watcher-info.ts"
export type * from "../../domain/packages/event-package.ts"
export type { Attribute, Comment, Element, Node, Text } from "../../domain/packages/element.ts"
export type { XmlCodec, XmlResult } from "../../domain/packages/element.ts"
export type { XmlLimits, XmlReader } from "../../adapters/xml/codec.ts"
export type { Frame, NumberedFormat } from "../../domain/packages/numbered-document.ts"
export type { ConferenceInfo } from "../../domain/packages/conference.ts"
export type { DialogEntry, DialogInfo, DialogState } from "../../domain/packages/dialog-info.ts"
export type { DialogPresenceTexts } from "../../domain/packages/dialog-presence.ts"
export type {
  MessageCounts,
  MessageHeader,
  MessageSummary,
  MessageSummaryOptions,
  NewAndOld,
} from "../../domain/packages/message-summary.ts"
export type { PassThroughOptions } from "../../domain/packages/pass-through.ts"
export type { IdCollision, Pidf } from "../../domain/packages/pidf.ts"
export type { RulesOptions } from "../../domain/packages/presence-rules.ts"
export type { RegInfo, RegistrationEntry, RegistrationState } from "../../domain/packages/reg.ts"
export type {
  Body,
  Millis,
  PackageName,
  Seconds,
  SubHandling,
  Uri,
  WatchPolicy,
  WatchWord,
} from "../../domain/vocabulary.ts"
