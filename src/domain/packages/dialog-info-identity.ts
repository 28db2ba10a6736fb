/**
 * Which of two dialogs with one id are the same call (RFC 4235 §4.1.1).
 */
import type { DialogEntry } from "./dialog-info-document.ts"

type Identity = Pick<DialogEntry, "callId" | "localTag" | "remoteTag">

const parts = ["callId", "localTag", "remoteTag"] as const

/** A part of the identity that both state differs. */
export const isAnotherCall = (left: Identity, right: Identity): boolean =>
  parts.some((part) => left[part] !== null && right[part] !== null && left[part] !== right[part])

/** Whether `general` states no more of its identity than `particular` does, and nothing else. */
export const isCoveredBy = (general: Identity, particular: Identity): boolean =>
  parts.every((part) => general[part] === null || general[part] === particular[part])
