/**
 * Authorization documents that a function of the program, or of a module, gives: asked presentity by presentity.
 *
 * Its answer is in force before the request that needs it is decided. Where the function throws, gives something other than text or
 * null, or does not answer in time, the rules in force stay; where there are none, watchers wait until it answers.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { IsUnread, Limits } from "../../domain/presentity/context.ts"
import { policyOf } from "../../domain/presentity/watching.ts"
import { get, values } from "../../domain/table.ts"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import { keyOf } from "../../ports/document-source.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import { wordsOf } from "../extensions/words.ts"
import { refusal } from "../node/documents/source.ts"
import type { Pump } from "../node/pump.ts"
import { rulesType } from "../operations/presentity-commands.ts"
import { tellQuietly } from "./faults.ts"
import type { RulesFault } from "./options.ts"
import { NotAnswered, makeSharedQuestions } from "./shared-questions.ts"

/** Time between two attempts where the function has failed. */
const againMillis = 2_000

/** Presentities asked for at the same time when all are asked for. */
const concurrency = 64

export interface RulesAsker {
  /** Whether the rules of a presentity for a package could not be read. */
  readonly isUnread: IsUnread
  /** Whether the policy of a package asks rules of a presentity. */
  readonly asksRules: (presentity: Uri, packageName: PackageName) => boolean
  /**
   * Asks before a request is decided; whoever has the same question while one is under way waits for the answer to that.
   *
   * @returns why the answer is not in force; null: it is, or the policy of the package asks no rules of this presentity
   */
  readonly ask: (presentity: Uri, packageName: PackageName) => Effect.Effect<string | null, NotAnswered>
  /** The same, by a question of its own: the rules may have changed since the one under way was asked. */
  readonly askAnew: RulesAsker["ask"]
  /** Asks for every presentity that has watchers, and from then on again where the function has failed. */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
  /** Asks again for every presentity that has watchers. */
  readonly askAll: Effect.Effect<void>
  /** Presentities whose rules could not be read, and why. */
  readonly failing: () => readonly RulesFault[]
  /** Requests that wait for an answer. */
  readonly waiting: () => number
}

export interface RulesAskerParts {
  readonly rules: RulesSource
  readonly packages: Packages
  readonly limits: Limits
  readonly pump: Pump
  /** Origin of the decisions that put rules in force. */
  readonly origin: string
  /** Seconds after which a question without an answer has failed. */
  readonly waitSeconds: number
  /** Requests that may wait for an answer; a further one is not asked for. */
  readonly waitingMax: number
  /** Told of what cannot be read; null: a line in the log. */
  readonly onFault: ((fault: RulesFault) => void) | null
  /** Told when `onFault` itself fails. */
  readonly failed: (cause: unknown) => void
}

interface Subject {
  readonly presentity: Uri
  readonly packageName: PackageName
}

/** Its rules are not known. */
interface Unread extends Subject {
  readonly why: string
}

/** Questions end with the scope. */
export const makeRulesAsker = Effect.fnUntraced(function* (parts: RulesAskerParts) {
  const { packages, limits, pump, waitingMax } = parts
  const unread = new Map<string, Unread>()
  let waiting = 0

  const asksRules: RulesAsker["asksRules"] = (presentity, name) => {
    const eventPackage = packages.find(name)
    return eventPackage !== null && policyOf(eventPackage, presentity, limits.watching) === "rules"
  }

  const question = yield* makeSharedQuestions({
    keyOf,
    pose: (subject: Subject) => Effect.result(askSource(parts, subject)),
    settle: (subject, answered) => {
      const inForce =
        answered._tag === "Failure"
          ? Effect.succeed(answered.failure)
          : putInForce(parts, subject, answered.success)
      return Effect.tap(inForce, (why) => note(parts, unread, subject, why))
    },
    overtaken: null,
  })

  const bounded =
    (isShared: boolean): RulesAsker["ask"] =>
    (presentity, packageName) =>
      Effect.suspend(() => {
        if (!asksRules(presentity, packageName)) return Effect.succeed(null)
        if (waiting >= waitingMax) return Effect.fail(new NotAnswered({ why: "busy" }))
        waiting++
        return Effect.ensuring(
          question({ presentity, packageName }, isShared),
          Effect.sync(() => void waiting--),
        )
      })

  const askEach = (subjects: Iterable<Subject>, isShared: boolean): Effect.Effect<void> =>
    Effect.forEach([...subjects], (subject) => Effect.ignore(question(subject, isShared)), {
      concurrency,
      discard: true,
    })

  const askAll = Effect.suspend(() => askEach(watchedIn(pump, asksRules), false))

  const asker: RulesAsker = {
    isUnread: (presentity, packageName) => unread.has(keyOf({ packageName, presentity })),
    asksRules,
    ask: bounded(true),
    askAnew: bounded(false),
    failing: () =>
      [...unread.values()].map(({ presentity, packageName: event, why }) => ({ presentity, event, why })),
    waiting: () => waiting,
    askAll,
    begin: Effect.gen(function* () {
      yield* askAll
      const again = Effect.suspend(() => askEach(unread.values(), true))
      yield* Effect.forkScoped(Effect.sleep(againMillis).pipe(Effect.andThen(again), Effect.forever))
    }),
  }
  return asker
})

/** Presentities and packages with watchers that rules decide on. */
const watchedIn = ({ engine }: Pump, asksRules: RulesAsker["asksRules"]): readonly Subject[] =>
  [...engine.presentities()].flatMap((presentity) => {
    const subscriptions = engine.state(presentity)?.subscriptions
    if (subscriptions === undefined) return []
    const names = new Set([...values(subscriptions)].map(({ packageName }) => packageName))
    return [...names]
      .filter((packageName) => asksRules(presentity, packageName))
      .map((packageName) => ({ presentity, packageName }))
  })

/** The text of the rules in force; null: there are none. */
const rulesInForce = ({ pump }: RulesAskerParts, { presentity, packageName }: Subject): string | null => {
  const rules = pump.engine.state(presentity)?.rules
  return (rules === undefined ? undefined : get(rules, packageName))?.body.text ?? null
}

const askSource = (
  { rules, waitSeconds }: RulesAskerParts,
  { presentity, packageName }: Subject,
): Effect.Effect<string | null, string> =>
  Effect.tryPromise({
    try: async () => rules(presentity, packageName),
    catch: wordsOf,
  }).pipe(
    Effect.timeoutOrElse({
      duration: waitSeconds * 1000,
      orElse: () => Effect.fail(`no answer in ${waitSeconds} s`),
    }),
    Effect.flatMap((text: unknown) =>
      typeof text === "string" || text === null
        ? Effect.succeed(text)
        : Effect.fail(`it gave ${typeof text}, neither text nor null`),
    ),
  )

/** @returns why it is refused; null: it is in force */
const putInForce = (
  parts: RulesAskerParts,
  subject: Subject,
  text: string | null,
): Effect.Effect<string | null> => {
  if (text === rulesInForce(parts, subject)) return Effect.succeed(null)
  const { presentity, packageName } = subject
  const rules = text === null ? null : { contentType: rulesType, text }
  const command = { _tag: "ReplaceRules", packageName, rules } as const
  return Effect.map(parts.pump.amend(presentity, command, parts.origin), refusal)
}

/** Remembers whether the rules could be read. Where none are in force, watchers are treated differently when that changes. */
const note = Effect.fnUntraced(function* (
  parts: RulesAskerParts,
  unread: Map<string, Unread>,
  subject: Subject,
  why: string | null,
) {
  const { presentity, packageName } = subject
  const key = keyOf(subject)
  const before = unread.get(key)?.why ?? null
  if (why === null) unread.delete(key)
  else unread.set(key, { presentity, packageName, why })
  if ((why === null) !== (before === null) && rulesInForce(parts, subject) === null)
    yield* parts.pump.amend(presentity, { _tag: "RefreshWatchers", packageName, kind: "rules" }, parts.origin)
  if (why !== null && why !== before) yield* tell(parts, subject, why)
})

const tell = (parts: RulesAskerParts, subject: Subject, why: string): Effect.Effect<void> => {
  const { onFault, failed } = parts
  const { presentity, packageName: event } = subject
  if (onFault !== null) return Effect.sync(() => tellQuietly(onFault, { presentity, event, why }, failed))
  const meanwhile = rulesInForce(parts, subject) === null ? "watchers wait" : "the old stay in force"
  return Effect.logWarning(`rules of ${presentity} for ${event}: ${why}: ${meanwhile} until they can be read`)
}
