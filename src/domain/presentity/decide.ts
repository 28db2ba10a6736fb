/**
 * One switch from command to handler; no logic of its own.
 */
import { unreachable } from "../vocabulary.ts"
import type { Command } from "./commands.ts"
import type { Context } from "./context.ts"
import type { Outcome } from "./decision.ts"
import { fallDue } from "./fall-due.ts"
import { redeliver, reportDelivery } from "./notify.ts"
import { publish } from "./publish.ts"
import type { State } from "./state.ts"
import { resubscribe, subscribe } from "./subscribe.ts"

/**
 * What follows from a command: events to store and the answer that goes with them.
 *
 * Deterministic, total, leaves `state` as it is. Whatever was due before `context.now` must have been decided first
 * (`FallDue`); the engine sees to that.
 */
export const decide = (state: State, command: Command, context: Context): Outcome => {
  switch (command._tag) {
    case "Publish":
      return publish(state, command, context)
    case "Subscribe":
      return subscribe(state, command, context)
    case "Resubscribe":
      return resubscribe(state, command, context)
    case "FallDue":
      return fallDue(state, context)
    case "ReportDelivery":
      return reportDelivery(state, command, context)
    case "Redeliver":
      return redeliver(state, command, context)
    default:
      return unreachable(command)
  }
}
