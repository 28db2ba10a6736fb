/** The inbox: requests, outcomes of NOTIFYs, and the pump's own commands. */
import { Effect, Option, Tracer } from "effect"
import type { Answer, Command } from "../../../domain/presentity/commands.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import type { Request } from "../../../ports/sip-transport.ts"
import type { Parts, Ticket } from "./parts.ts"
import { refuse, unavailable } from "./release.ts"
import type { PumpStatus } from "./state.ts"

const whyNotReady: Readonly<Record<Exclude<PumpStatus, "ready">, string>> = {
  starting: "starting",
  down: "the store is away",
  draining: "stopping",
}

/** Puts a request into the inbox, or answers 503 at once. */
export const submit = (pump: Parts, request: Request, parent: Tracer.AnySpan | null = null): void => {
  const { machine, options, counters, outbox } = pump
  if (machine.status !== "ready") {
    refuse(pump, request, whyNotReady[machine.status])
    return
  }
  if (pump.inbox.length >= options.inboxMax) {
    counters.refusedBusy++
    request.answer({ _tag: "Rejected", rejection: unavailable("busy", options.retryAfter) })
    return
  }
  const traced = outbox.trace?.(request, parent) ?? null
  const { presentity, command, origin, about, answer } = traced?.request ?? request
  const ticket: Ticket = { answer, arrivedAt: pump.now(), trace: traced?.trace ?? null }
  pump.inbox.push(
    about === undefined
      ? { presentity, command, origin, ticket }
      : { presentity, command, origin, about, ticket },
  )
  pump.schedule()
}

export const ask = (pump: Parts, presentity: Uri, command: Command, origin: string): Effect.Effect<Answer> =>
  Effect.flatMap(Effect.serviceOption(Tracer.ParentSpan), (parent) =>
    Effect.callback<Answer>((resume) => {
      const answer = (given: Answer): void => resume(Effect.succeed(given))
      submit(pump, { presentity, command, origin, answer }, Option.getOrNull(parent))
    }),
  )

/** After the log has been read and before `start`, decided before all else; after that, like any request. */
export const amend = (
  pump: Parts,
  presentity: Uri,
  command: Command,
  origin: string,
): Effect.Effect<Answer> =>
  Effect.suspend(() =>
    pump.machine.isOpen
      ? ask(pump, presentity, command, origin)
      : Effect.callback<Answer>((resume) => {
          const answer = (given: Answer): void => resume(Effect.succeed(given))
          const ticket: Ticket = { answer, arrivedAt: pump.now(), trace: null }
          if (pump.machine.decides === "nothing") return refuse(pump, ticket, "starting")
          pump.inbox.push({ presentity, command, origin, ticket, amends: true })
          pump.schedule()
        }),
  )

/**
 * A command of the pump itself, which nobody waits for. It is decided in the next turn; the caller has to
 * schedule it.
 */
export const offerOwn = (pump: Parts, presentity: Uri, command: Command): void => {
  pump.inbox.push({ presentity, command, origin: "", ticket: null })
}

/**
 * Has a presentity reloaded before anything more is decided on it, even without a request, so that its
 * deadlines go on. NOTIFYs already sent stay sent; what was not committed is decided again.
 */
export const readAgain = (pump: Parts, presentity: Uri): void => {
  pump.evicted.forget(presentity)
  pump.loading.stale.add(presentity)
  offerOwn(pump, presentity, { _tag: "Redeliver", since: 0, only: [] })
}
