/** From a log to a pump that accepts requests. */
import { Effect, Schedule } from "effect"
import type { Scope } from "effect"
import type { Command } from "../../../domain/presentity/commands.ts"
import { invariant } from "../../../domain/vocabulary.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { EventStore } from "../../../ports/event-store.ts"
import { attention } from "../../clock/attention.ts"
import { recover } from "../recovery.ts"
import { withinEach } from "../within.ts"
import { offerOwn } from "./inbox.ts"
import type { Parts } from "./parts.ts"
import { decideOffer } from "./turn.ts"

/** Reads the log and arms all deadlines; retries until it succeeds. */
export const readLog = (pump: Parts): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { listeners, store, engine, front } = pump
    let isTold = false
    const recovered = yield* recover(
      (stored) => listeners.stored([stored]),
      pump.options.isWithinProgram !== true,
    ).pipe(
      Effect.provideService(EventStore, withinEach(store)),
      Effect.tapError((cause) =>
        Effect.sync(() => {
          if (!isTold) listeners.outage("down", cause)
          isTold = true
        }),
      ),
      Effect.retry(Schedule.spaced("500 millis")),
      Effect.orDie,
    )
    if (isTold) listeners.outage("up", null)
    pump.recovered = recovered
    for (const state of recovered.states) engine.load(state)
    front.begin(recovered.position, recovered.at)
    pump.machine.take("logRead")
  })

/**
 * Decides what is overdue, repeats NOTIFYs that a crash may have prevented, and accepts requests until the
 * scope closes.
 */
export const start = (pump: Parts): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { recovered, machine } = pump
    invariant(recovered !== null, "the log is read before requests are taken")
    machine.take("start")
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        machine.take("close")
        pump.waiting.changed()
      }),
    )
    yield* Effect.acquireRelease(Effect.sync(attention.begin), (end) => Effect.sync(end))
    const { farewells, unconfirmed, ended, abandoned } = recovered
    pump.recovered = null
    // first, so that nothing that fell due is sent to watchers who no longer exist
    const first = (presentity: Uri, command: Command): void =>
      decideOffer(pump, { presentity, command, origin: "", ticket: null, amends: true }, pump.now())
    for (const presentity of abandoned) first(presentity, { _tag: "Abandon" })
    for (const [presentity, last] of ended) pump.evicted.keep(presentity, last)
    // next, before other NOTIFYs use further CSeq numbers in these dialogs
    for (const [presentity, repeated] of farewells)
      first(presentity, { _tag: "RepeatFarewells", farewells: repeated })
    for (const [presentity, only] of unconfirmed)
      offerOwn(pump, presentity, { _tag: "Redeliver", since: 0, only })
    pump.schedule()
    yield* Effect.sync(pump.schedule).pipe(
      Effect.andThen(Effect.sleep(pump.options.tickMillis)),
      Effect.forever,
      Effect.forkScoped,
    )
  })
