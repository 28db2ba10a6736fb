/**
 * The context in which reconstructed commands are decided again, and how long things were granted for.
 */
import type { Packages } from "../packages/event-package.ts"
import type { Authorize, Limits } from "../presentity/context.ts"
import type { Millis, Seconds } from "../vocabulary.ts"

/** What a server decides with, besides state and command. */
export interface ReconstructionContext {
  readonly packages: Packages
  readonly limits: Limits
  /** Null: the hook is unknown; its answers are taken from the events. */
  readonly authorize: Authorize | null
}

export const secondsTo = (expiresAt: Millis, at: Millis): Seconds => (expiresAt - at) / 1000
