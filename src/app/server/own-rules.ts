/**
 * Authorization documents that a function of the program, or of a module, gives: a server asks it before each new subscription.
 */
import { Clock, Deferred, Effect, Exit, Fiber } from "effect"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Request, SipHandler } from "../../ports/sip-transport.ts"
import type { Config } from "../config/config.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import { makeRulesAsker } from "../library/rules-source.ts"
import type { RulesAsker } from "../library/rules-source.ts"
import { NotAnswered } from "../library/shared-questions.ts"
import type { Follower, SourceHealth, Troubled } from "../node/documents/source.ts"
import type { Pump } from "../node/pump.ts"
import { unavailable } from "../node/pump/release.ts"
import type { Circumstances } from "./settings.ts"

/** The origin of the decisions that put its rules in force, and its name for operators. */
const origin = "rules of one's own"

/** SUBSCRIBEs that wait for the function, and those that were answered 503 because too many did. */
export interface RulesQueue {
  readonly waiting: number
  readonly refused: number
}

/** Followed as any other source of documents, and asked before a subscription is decided. */
export interface OwnRules extends Follower {
  /** The same handler, which asks first when a SUBSCRIBE is new. */
  readonly asking: (handler: SipHandler) => SipHandler
  readonly queue: () => RulesQueue
  /** Answers 503 to whatever waits, as long as the sockets are open for that. */
  readonly stop: Effect.Effect<void>
}

/** Its settings: the answer is waited for so many seconds, by so many SUBSCRIBEs at most. */
type Bounds = Pick<Config, "rules_wait" | "rules_waiting_max">

export const makeOwnRules = Effect.fnUntraced(function* (
  rules: RulesSource,
  { rules_wait: waitSeconds, rules_waiting_max: waitingMax }: Bounds,
  { packages, limits }: Circumstances,
  pump: Pump,
) {
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const asker = yield* makeRulesAsker({
    rules,
    packages,
    limits,
    pump,
    origin,
    waitSeconds,
    waitingMax,
    onFault: null,
    failed: () => {},
  })
  const stopped = Deferred.makeUnsafe<never, NotAnswered>()
  const waiting = new Set<Fiber.Fiber<unknown>>()
  let refused = 0
  const refuse = ({ answer }: Request, why: NotAnswered["why"]): void => {
    if (why === "busy" && refused++ === 0)
      run(
        Effect.logWarning(
          `rules_waiting_max = ${waitingMax} is reached: further SUBSCRIBEs get 503 until the function that gives rules answers`,
        ),
      )
    answer({ _tag: "Rejected", rejection: unavailable(why, pump.retryAfter) })
  }
  const ownRules: OwnRules = {
    // as with every source: a start, and a reload, wait for it but not for ever; what was in force counts meanwhile
    begin: Effect.gen(function* () {
      const asking = yield* Effect.forkScoped(asker.begin)
      yield* Effect.timeoutOption(Fiber.join(asking), waitSeconds * 1000)
    }),
    poll: Effect.asVoid(Effect.timeoutOption(asker.askAll, waitSeconds * 1000)),
    isUnread: asker.isUnread,
    health: healthOf(asker, () => clock.currentTimeMillisUnsafe()),
    queue: () => ({ waiting: asker.waiting(), refused }),
    stop: Effect.suspend(() => {
      Deferred.doneUnsafe(stopped, Effect.fail(new NotAnswered({ why: "stopping" })))
      return Fiber.awaitAll(waiting)
    }),
    asking: (handler) => ({
      ...handler,
      submit: (request) => {
        const { command, presentity } = request
        // what is refused anyway needs no rules
        if (command._tag !== "Subscribe" || presentity === null || pump.status() !== "ready")
          return handler.submit(request)
        const { packageName } = command
        if (packageName === null || !asker.asksRules(presentity, packageName)) return handler.submit(request)
        const asked = asker
          .ask(presentity, packageName)
          .pipe(
            Effect.raceFirst(Deferred.await(stopped)),
            Effect.match({ onSuccess: () => null, onFailure: ({ why }) => why }),
          )
        const fiber = run(asked)
        waiting.add(fiber)
        fiber.addObserver((exit) => {
          waiting.delete(fiber)
          const why = Exit.isSuccess(exit) ? exit.value : "stopping"
          return why === null ? handler.submit(request) : refuse(request, why)
        })
      },
    }),
  }
  return ownRules
})

/** Presentities whose rules cannot be read at the moment, each with the time when that was first so. */
const healthOf = (asker: RulesAsker, now: () => number): (() => SourceHealth) => {
  const since = new Map<string, number>()
  return () => {
    const failing = asker.failing()
    const troubles = failing.map(({ presentity, event, why }): Troubled => {
      const key = `${event} ${presentity}`
      const first = since.get(key) ?? now()
      since.set(key, first)
      const subject = { packageName: event, presentity: presentity as Uri }
      return { of: subject, file: origin, why, since: first }
    })
    for (const key of since.keys())
      if (!failing.some(({ event, presentity }) => key === `${event} ${presentity}`)) since.delete(key)
    return {
      kind: "rules",
      name: origin,
      state: "read",
      why: null,
      since: null,
      documents: 0,
      troubles,
      looks: 0,
      failures: 0,
    }
  }
}
