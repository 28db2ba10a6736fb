/**
 * Authorization documents that a function of the program, or of a module, gives: asked for before each new subscription.
 */
import { Clock, Effect, Fiber } from "effect"
import { policyOf } from "../../domain/presentity/watching.ts"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import type { SipHandler } from "../../ports/sip-transport.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import { makeRulesAsker } from "../library/rules-source.ts"
import type { RulesAsker } from "../library/rules-source.ts"
import type { Follower, SourceHealth, Troubled } from "../node/documents/source.ts"
import type { Pump } from "../node/pump.ts"
import type { Circumstances } from "./settings.ts"

/** The origin of what it puts in force. */
const origin = "rules of one's own"

/** What is followed as any other source of documents, and asked before a subscription is decided. */
export interface OwnRules extends Follower {
  /** The same handler, that asks first when a SUBSCRIBE is new. */
  readonly asking: (handler: SipHandler) => SipHandler
}

/** @param waitSeconds after which a question without an answer has failed */
export const makeOwnRules = Effect.fnUntraced(function* (
  rules: RulesSource,
  waitSeconds: number,
  { packages, limits }: Circumstances,
  pump: Pump,
) {
  const clock = yield* Clock.Clock
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const asksRules = (presentity: Uri, name: PackageName): boolean => {
    const eventPackage = packages.find(name)
    return eventPackage !== null && policyOf(eventPackage, presentity, limits.watching) === "rules"
  }
  const asker = makeRulesAsker({
    rules,
    asksRules,
    waitMillis: waitSeconds * 1000,
    onFault: null,
    failed: () => {},
    states: () => [...pump.engine.presentities()].flatMap((uri) => pump.engine.state(uri) ?? []),
    state: pump.engine.state,
    amend: (presentity, command) => pump.amend(presentity, command, origin),
  })
  const ownRules: OwnRules = {
    // as with every source: a start, and a reload, wait for it but not for ever; what was in force counts meanwhile
    begin: Effect.gen(function* () {
      const asking = yield* Effect.forkScoped(asker.begin)
      yield* Effect.timeoutOption(Fiber.join(asking), waitSeconds * 1000)
    }),
    poll: Effect.asVoid(Effect.timeoutOption(asker.askAll, waitSeconds * 1000)),
    isUnread: asker.isUnread,
    health: healthOf(asker, () => clock.currentTimeMillisUnsafe()),
    asking: (handler) => ({
      ...handler,
      submit: (request) => {
        const { command, presentity } = request
        // what is refused anyway needs no rules
        if (command._tag !== "Subscribe" || presentity === null || pump.status() !== "ready")
          return handler.submit(request)
        const { packageName } = command
        if (packageName === null || !asksRules(presentity, packageName)) return handler.submit(request)
        run(asker.ask(presentity, packageName)).addObserver(() => handler.submit(request))
      },
    }),
  }
  return ownRules
})

/** Of whom nothing can be said for the moment, each since it was first seen so. */
const healthOf = (asker: RulesAsker, now: () => number): (() => SourceHealth) => {
  const since = new Map<string, number>()
  return () => {
    const failing = asker.failing()
    const troubles = failing.map(({ presentity, event, why }): Troubled => {
      const key = `${event} ${presentity}`
      const first = since.get(key) ?? now()
      since.set(key, first)
      const of = { packageName: event, presentity: presentity as Uri }
      return { of, file: origin, why, since: first }
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
