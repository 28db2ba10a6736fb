/**
 * A presence service without sockets: publications and watchers by function calls, on the same pump and engine that the server
 * runs. `presence.ts` wraps it in promises, `service.ts` in Effect.
 */
import { Clock, Deferred, Effect } from "effect"
import type { Scope } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import { programFlow } from "../../domain/presentity/abandon.ts"
import type { About } from "../../domain/presentity/about.ts"
import type { Answer, Command, Reply } from "../../domain/presentity/commands.ts"
import type { Authorize, Limits } from "../../domain/presentity/context.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { soleClaim } from "../../ports/claim.ts"
import { EventStore } from "../../ports/event-store.ts"
import { steadied } from "../clock/clock-keeper.ts"
import { clockTelling, isMachineClock } from "../clock/clocks.ts"
import { wordsOf } from "../extensions/words.ts"
import { makeHistoryReader } from "../history/reader.ts"
import { beginPolicies } from "../node/begin-policies.ts"
import { makeFeed } from "../node/feed.ts"
import type { Feed } from "../node/feed.ts"
import { makePump, pumpDefaults } from "../node/pump.ts"
import type { Pump } from "../node/pump.ts"
import { makeHistoryQueries } from "../operations/history-queries.ts"
import { makePresentityCommands } from "../operations/presentity-commands.ts"
import { isInstant } from "./arguments.ts"
import { makeCommandCalls } from "./commands.ts"
import type { CommandCalls } from "./commands.ts"
import { makeDelivery } from "./delivery.ts"
import type { Delivery, Sink } from "./delivery.ts"
import { guardedClock, makeReporter } from "./faults.ts"
import type { PresenceFault } from "./faults.ts"
import { guardedStore } from "./guarded-store.ts"
import { makeHealth, storeFaultIn, unavailable } from "./health.ts"
import type { Health } from "./health.ts"
import { checkedOptions } from "./options-check.ts"
import { authorizeOf, defaultBodyMax, limitsOf, packagesOf, queueMaxOf, storeWaitOf } from "./options.ts"
import type { PresenceOptions } from "./options.ts"
import { makeQuestions } from "./questions.ts"
import type { Questions } from "./questions.ts"
import { OptionsInvalid } from "./refused.ts"
import type { PresenceRefused, StoreFault } from "./refused.ts"
import type { WatchRequest } from "./requests.ts"
import { makeRulesAsker } from "./rules-source.ts"
import type { RulesAsker } from "./rules-source.ts"
import { makeViewCalls } from "./views.ts"
import type { ViewCalls } from "./views.ts"
import { makeWatch } from "./watching.ts"
import type { Subscription } from "./watching.ts"

export interface Core extends CommandCalls, ViewCalls {
  readonly packages: Packages
  readonly watch: (request: WatchRequest, sink: Sink) => Effect.Effect<Subscription, PresenceRefused>
  readonly questions: Questions
  /** Observes every committed decision and every notification from now on; returns a function that ends that. */
  readonly observe: Delivery["observe"]
  /** Completes when everything due by now is decided, committed and delivered. */
  readonly settle: Effect.Effect<void>
  /** How many items are kept for a slow reader. */
  readonly queueMax: number
}

/** The parts of a core that runs. */
interface Parts {
  readonly options: PresenceOptions
  readonly context: DecisionParts
  readonly store: EventStore["Service"]
  /** The time by the program's clock. */
  readonly now: () => number
  readonly health: Health
  readonly delivery: Delivery
  readonly pump: Pump
  readonly feed: Feed
  /** Null: the program has no source of rules. */
  readonly asker: RulesAsker | null
}

/** What decisions depend on. */
interface DecisionParts {
  readonly packages: Packages
  readonly limits: Limits
  readonly authorize: Authorize
}

/** Lives as long as the scope; the store is read first. */
export const makeCore = Effect.fnUntraced(function* (given: PresenceOptions) {
  const options = yield* valid(() => checkedOptions(given))
  const context = yield* valid((): DecisionParts => ({
    packages: packagesOf(options),
    limits: limitsOf(options),
    authorize: authorizeOf(options),
  }))
  const effects = yield* Effect.context<never>()
  const report = makeReporter(options.onFault ?? null, effects)
  const clock = clockOf(options, yield* Clock.Clock, report)
  const store = guardedStore(yield* EventStore, storeWaitOf(options) * 1000)
  const health = makeHealth(store.claim ?? soleClaim, report)
  const unreadable = yield* Deferred.make<never, StoreFault>()
  const delivery = makeDelivery(context.packages, {
    taken: ({ presentity, no: id, cseq }) =>
      pump.handler.delivered(presentity, id, cseq, { _tag: "Accepted", remoteTarget: null }),
    abandoned: ({ presentity, no: id }) =>
      void Effect.runForkWith(effects)(pump.amend(presentity, { _tag: "Abandon", only: [id] }, "")),
  })
  const pump: Pump = yield* makePump(
    {
      ...context,
      ...pumpDefaults,
      onDefect: health.failed,
      isWithinProgram: true,
      isUnread: (presentity, packageName) => asker?.isUnread(presentity, packageName) === true,
    },
    {
      notify: delivery.notify,
      stored: delivery.stored,
      passed: () => feed.wake(),
      unreadable: health.unreadable,
      outage: (state, cause) => {
        if (state === "up") return health.storeBack()
        // a start that cannot read the store fails, which reports it
        if (pump.status() !== "starting") return health.storeAway(cause)
        Deferred.doneUnsafe(unreadable, Effect.fail(storeFaultIn(cause)))
      },
    },
  ).pipe(Effect.provideService(EventStore, store), Effect.provideService(Clock.Clock, clock))
  const feed = makeFeed(store, () => pump.committed().position, queueMaxOf(options))
  const asker = yield* rulesAskerOf(options, context, pump, report)
  yield* Effect.raceFirst(pump.recover, Deferred.await(unreadable))
  // before anything that fell due meanwhile is decided, and before any request
  if (asker !== null) yield* asker.begin
  yield* beginPolicies(pump)
  yield* pump.start
  yield* Effect.addFinalizer(() => Effect.andThen(pump.drain, pump.record))
  const now = (): number => clock.currentTimeMillisUnsafe()
  return coreOf({ options, context, store, now, health, delivery, pump, feed, asker })
})

const coreOf = (parts: Parts): Core => {
  const { options, context, store, now, health, delivery, pump, feed, asker } = parts
  const { packages } = context
  const { engine } = pump
  const queueMax = queueMaxOf(options)
  const ask = (
    presentity: Uri | null,
    command: Command,
    concerned = presentity,
    about?: About,
  ): Effect.Effect<Reply, PresenceRefused> =>
    Effect.callback<Reply, PresenceRefused>((resume) => {
      const answer = (given: Answer): void =>
        resume(
          given._tag === "Accepted"
            ? Effect.succeed(given.reply)
            : Effect.fail(health.refused(given.rejection, concerned)),
        )
      const known = about === undefined ? {} : { about }
      pump.handler.submit({ presentity, command, origin: programFlow, ...known, answer })
    })
  const askRules = (presentity: Uri, event: string, isAnew = false) => {
    if (asker === null) return Effect.succeed(null)
    const asked = isAnew ? asker.askAnew(presentity, event) : asker.ask(presentity, event)
    return Effect.mapError(asked, ({ why }) => unavailable(why))
  }
  const reader = makeHistoryReader(store, context, now)
  const queries = makeHistoryQueries(reader, context, now, engine.delivery)
  return {
    packages,
    ...makeCommandCalls({
      commands: makePresentityCommands(packages, (presentity, command, _, about) =>
        ask(presentity, command, presentity, about),
      ),
      state: engine.state,
      isSure: (store.claim ?? soleClaim).isSure,
      askRulesAnew: (presentity, event) => askRules(presentity, event, true),
      bodyMax: options.bodyMax ?? defaultBodyMax,
    }),
    ...makeViewCalls({ packages, states: engine, feed, doubt: health.doubt, now, queueMax }),
    watch: makeWatch({ ask, askRules, delivery }),
    questions: makeQuestions(queries, reader, store),
    observe: delivery.observe,
    settle: pump.settle,
    queueMax,
  }
}

/** The program's own clock, or one that it provides, taken as it is; otherwise the machine's, protected against jumps. */
const clockOf = (
  { now }: PresenceOptions,
  clock: Clock.Clock,
  report: (fault: PresenceFault) => void,
): Clock.Clock => {
  if (now !== undefined) {
    const guarded = guardedClock(now, () => clock.currentTimeMillisUnsafe(), isInstant, report)
    return clockTelling(guarded, clock)
  }
  return isMachineClock(clock) ? steadied(clock) : clock
}

/** Null: the program has no source of rules. */
const rulesAskerOf = (
  { rules, rulesWait = 10, onRulesFault }: PresenceOptions,
  { packages, limits }: DecisionParts,
  pump: Pump,
  report: (fault: PresenceFault) => void,
): Effect.Effect<RulesAsker | null, never, Scope.Scope> =>
  rules === undefined
    ? Effect.succeed(null)
    : makeRulesAsker({
        rules,
        packages,
        limits,
        pump,
        origin: programFlow,
        waitSeconds: rulesWait,
        waitingMax: pumpDefaults.inboxMax,
        onFault: onRulesFault ?? null,
        failed: (cause) =>
          report({ _tag: "CallbackFailed", callback: "onRulesFault", why: wordsOf(cause), cause }),
      })

/** Turns anything thrown into OptionsInvalid. */
const valid = <A>(read: () => A): Effect.Effect<A, OptionsInvalid> =>
  Effect.try({
    try: read,
    catch: (cause) => {
      if (cause instanceof OptionsInvalid) return cause
      const faults = cause instanceof Error ? cause.message.split("\n") : [wordsOf(cause)]
      return new OptionsInvalid({ faults })
    },
  })
