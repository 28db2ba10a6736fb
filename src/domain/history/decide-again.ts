/**
 * Decides a recorded decision again, and compares: whether today's code and settings give the same, as far as the log still has what
 * the decision was based on.
 */
import { isErased, mentionsErased } from "../presentity/erase.ts"
import type { Decision } from "../presentity/events.ts"
import type { State } from "../presentity/state.ts"
import { isDecidable, reconstructCommand } from "./reconstruct-command.ts"
import type { Reconstructed } from "./reconstruct-command.ts"
import type { ReconstructionContext } from "./reconstruction-context.ts"

export type DecidedAgain =
  | { readonly _tag: "Same" }
  /** A document on which it was based was dropped, or it records such a drop. */
  | { readonly _tag: "Dropped" }
  /** It would be another, and somebody whom it may depend on was erased: rules and settings do not know the pseudonym. */
  | { readonly _tag: "Erased" }
  /** It would be another; null: it was not made by a command. */
  | { readonly _tag: "Other"; readonly reconstructed: Reconstructed | null }

export const decideAgain = (
  before: State,
  decision: Decision,
  world: ReconstructionContext,
): DecidedAgain => {
  if (!isDecidable(before, decision)) return { _tag: "Dropped" }
  const reconstructed = reconstructCommand(before, decision, world)
  if (reconstructed?.isExact === true) return { _tag: "Same" }
  if (reconstructed !== null && mayDependOnErased(before, decision)) return { _tag: "Erased" }
  return { _tag: "Other", reconstructed }
}

const mayDependOnErased = (before: State, { events }: Decision): boolean =>
  mentionsErased(before) || events.some((event) => "watcher" in event && isErased(event.watcher))
