/**
 * What a phone may need besides what its package sends everybody. The names stand in events (`SubscriptionCreated.needs`),
 * so they are never changed; further ones may be added.
 */
import type { PackageName } from "../vocabulary.ts"

/** A document without any dialog does not put the lamp out. */
export const needsIdleDialog = "idle-dialog"
/** Names are shown in ASCII only. */
export const needsPlainNames = "plain-names"
/** Only one tuple of a presence document is looked at. */
export const needsOneTuple = "one-tuple"
/** Presence is read as XPIDF, the format before PIDF. */
export const needsXpidf = "xpidf"

const ofDialogs: readonly string[] = [needsIdleDialog, needsPlainNames]

/** By package: the needs that it can meet. */
export const documentNeeds: ReadonlyMap<PackageName, readonly string[]> = new Map([
  ["presence", [needsOneTuple, needsXpidf]],
  ["dialog", ofDialogs],
  ["dialog;sla", ofDialogs],
])
