/**
 * What is wrong with the store, the packages and the functions of the program, and what refusals say about it.
 */
import { Cause } from "effect"
import type { Rejection } from "../../domain/presentity/commands.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { unsure } from "../../ports/claim.ts"
import type { Claim } from "../../ports/claim.ts"
import { LogIsTaken } from "../../ports/claim.ts"
import { StoreUnavailable } from "../../ports/event-store.ts"
import { wordsOf } from "../extensions/words.ts"
import { pumpDefaults } from "../node/pump.ts"
import { AppendUnanswered } from "../node/within.ts"
import type { PresenceFault } from "./faults.ts"
import { PresenceRefused, StoreFault } from "./refused.ts"

export interface Health {
  /** A decision threw: this presentity answers 500 from now on. */
  readonly failed: (presentity: Uri, command: string, cause: unknown) => void
  /** The store's data for a presentity cannot be read; null: they can again. */
  readonly unreadable: (presentity: Uri, cause: unknown) => void
  readonly storeAway: (cause: unknown) => void
  readonly storeBack: () => void
  /** Why nothing is answered from memory; null: no other program can have written to the log. */
  readonly doubt: () => PresenceRefused | null
  /** A rejection as the program gets it, with its reason as `cause`. */
  readonly refused: (rejection: Rejection, presentity: Uri | null) => PresenceRefused
}

/** How many presentities' defects are kept, for later refusals. */
const defectsMax = 10_000

export const makeHealth = (claim: Claim, report: (fault: PresenceFault) => void): Health => {
  /** Why a presentity answers 500. */
  const defects = new Map<Uri, unknown>()
  /** Why the store's data for a presentity cannot be read. */
  const unread = new Map<Uri, unknown>()
  /** Why the store is away. */
  let away: StoreFault | undefined

  /** Reports an outage; losing the log to another program is reported once, because it is final. */
  const tellAway = (fault: StoreFault): void => {
    if (away?.cause instanceof LogIsTaken) return
    away = fault
    report({ _tag: "StoreAway", why: fault.message, cause: fault })
  }

  /** Why the log belongs to another program for good; null: it does not, as far as is known. */
  const lost = (): StoreFault | null => {
    const taken = claim.taken()
    if (taken === null) return null
    tellAway(new StoreFault({ operation: "claim", why: taken.message, cause: taken }))
    return away ?? null
  }

  const causeOf = (rejection: Rejection, presentity: Uri | null): unknown => {
    if (rejection._tag === "ServerInternalError")
      return presentity === null ? undefined : defects.get(presentity)
    if (rejection._tag !== "ServiceUnavailable") return undefined
    return lost() ?? away ?? (presentity === null ? undefined : unread.get(presentity))
  }

  return {
    failed: (presentity, command, cause) => {
      if (defects.size < defectsMax) defects.set(presentity, cause)
      report({ _tag: "DecisionFailed", presentity, command, why: wordsOf(cause), cause })
    },
    unreadable: (presentity, cause) => {
      if (cause === null) {
        unread.delete(presentity)
        return report({ _tag: "PresentityReadable", presentity })
      }
      const fault = storeFaultIn(cause)
      unread.set(presentity, fault)
      report({ _tag: "PresentityUnreadable", presentity, why: fault.message, cause: fault })
    },
    storeAway: (cause) => {
      if (lost() === null) tellAway(storeFaultIn(cause))
    },
    storeBack: () => {
      away = undefined
      report({ _tag: "StoreBack" })
    },
    doubt: () => {
      if (claim.isSure()) return null
      const cause = lost()
      const why = cause === null ? unsure : "somebody else has the log"
      return unavailable(why, cause ?? undefined)
    },
    refused: (rejection, presentity) => refusal(rejection, causeOf(rejection, presentity)),
  }
}

/** 503, with Retry-After. */
export const unavailable = (why: string, cause?: unknown): PresenceRefused => {
  const { retryAfter } = pumpDefaults
  return refusal({ _tag: "ServiceUnavailable", status: 503, why, retryAfter }, cause)
}

const refusal = (rejection: Rejection, cause: unknown): PresenceRefused =>
  new PresenceRefused({ status: rejection.status, rejection, ...(cause === undefined ? {} : { cause }) })

/** The store's own fault within what the pump reports. */
export const storeFaultIn = (cause: unknown): StoreFault => {
  const error = Cause.isCause(cause) ? Cause.squash(cause) : cause
  const inner = error instanceof StoreUnavailable ? error.cause : error
  return inner instanceof StoreFault
    ? inner
    : new StoreFault({
        operation: inner instanceof AppendUnanswered ? "append" : "load",
        why: wordsOf(inner),
        cause: inner,
      })
}
