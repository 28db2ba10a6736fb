/**
 * An embedding program's own source of rules, asked presentity by presentity.
 *
 * What it answers is in force before whoever made it be asked is decided on. One that throws, gives something else than text
 * or null, or does not answer in time leaves in force what was; where nothing was, watchers wait until it answers.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Answer, Command } from "../../domain/presentity/commands.ts"
import type { IsUnread } from "../../domain/presentity/context.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get, values } from "../../domain/table.ts"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import { keyOf } from "../../ports/document-source.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import { wordsOf } from "../extensions/words.ts"
import { refusal } from "../node/documents/source.ts"
import { rulesType } from "../operations/presentity-commands.ts"
import { tellQuietly } from "./faults.ts"
import type { RulesFault } from "./options.ts"

/** Time between two attempts where it has failed. */
const againMillis = 2_000

/** Presentities asked for at the same time. */
const concurrency = 64

export interface RulesAsker {
  readonly isUnread: IsUnread
  /** Asks, and puts the answer in force. @returns why it is not; null: it is */
  readonly ask: (presentity: Uri, packageName: PackageName) => Effect.Effect<string | null>
  /** Asks for everybody somebody watches, and from then on again where it has failed. */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
  /** Asks again for everybody somebody watches. */
  readonly askAll: Effect.Effect<void>
  /** Of whom nothing is known, and why. */
  readonly failing: () => readonly RulesFault[]
}

export interface RulesAskerParts {
  readonly rules: RulesSource
  /** Whether the policy of a package asks rules of somebody. */
  readonly asksRules: (presentity: Uri, packageName: PackageName) => boolean
  readonly waitMillis: number
  readonly onFault: ((fault: RulesFault) => void) | null
  /** That function failed itself. */
  readonly failed: (cause: unknown) => void
  readonly states: () => Iterable<State>
  readonly state: (presentity: Uri) => State | undefined
  readonly amend: (presentity: Uri, command: Command) => Effect.Effect<Answer>
}

/** Why nothing is known of somebody's rules. */
interface Unread {
  readonly presentity: Uri
  readonly packageName: PackageName
  readonly why: string
}

/** Questions under way: an answer that was overtaken by a newer one does not count. */
interface Asking {
  asked: number
  answered: number
  open: number
}

export const makeRulesAsker = (parts: RulesAskerParts): RulesAsker => {
  const { asksRules, states, amend } = parts
  const unread = new Map<string, Unread>()
  const asking = new Map<string, Asking>()

  const ask: RulesAsker["ask"] = Effect.fnUntraced(function* (presentity, packageName) {
    if (!asksRules(presentity, packageName)) return null
    const key = keyOf({ packageName, presentity })
    const questions = asking.get(key) ?? { asked: 0, answered: 0, open: 0 }
    asking.set(key, questions)
    const number = ++questions.asked
    questions.open++
    const answered = yield* Effect.result(askSource(parts, presentity, packageName))
    if (--questions.open === 0) asking.delete(key)
    if (number < questions.answered) return null
    questions.answered = number
    const why =
      answered._tag === "Failure"
        ? answered.failure
        : yield* putInForce(parts, presentity, packageName, answered.success)
    const before = unread.get(key)?.why ?? null
    if (why === null) unread.delete(key)
    else unread.set(key, { presentity, packageName, why })
    if ((why === null) !== (before === null) && inForce(parts, presentity, packageName) === null)
      yield* amend(presentity, { _tag: "RefreshWatchers", packageName, kind: "rules" })
    if (why !== null && why !== before) yield* tell(parts, { presentity, event: packageName, why })
    return why
  })

  const askEach = (all: Iterable<Pick<Unread, "presentity" | "packageName">>): Effect.Effect<void> =>
    Effect.forEach([...all], ({ presentity, packageName }) => ask(presentity, packageName), {
      concurrency,
      discard: true,
    })

  const watched = () =>
    [...states()].flatMap(({ presentity, subscriptions }) =>
      [...new Set([...values(subscriptions)].map(({ packageName }) => packageName))]
        .filter((packageName) => asksRules(presentity, packageName))
        .map((packageName) => ({ presentity, packageName })),
    )

  const askAll = Effect.suspend(() => askEach(watched()))

  return {
    isUnread: (presentity, packageName) => unread.has(keyOf({ packageName, presentity })),
    ask,
    failing: () =>
      [...unread.values()].map(({ presentity, packageName: event, why }) => ({ presentity, event, why })),
    askAll,
    begin: Effect.gen(function* () {
      yield* askAll
      const again = Effect.suspend(() => askEach(unread.values()))
      yield* Effect.forkScoped(Effect.sleep(againMillis).pipe(Effect.andThen(again), Effect.forever))
    }),
  }
}

/** The text of the rules in force; null: there are none. */
const inForce = ({ state }: RulesAskerParts, presentity: Uri, packageName: PackageName): string | null => {
  const rules = state(presentity)?.rules
  return (rules === undefined ? undefined : get(rules, packageName))?.body.text ?? null
}

const askSource = (
  { rules, waitMillis }: RulesAskerParts,
  presentity: Uri,
  packageName: PackageName,
): Effect.Effect<string | null, string> =>
  Effect.tryPromise({
    try: async () => rules(presentity, packageName),
    catch: wordsOf,
  }).pipe(
    Effect.timeoutOrElse({
      duration: waitMillis,
      orElse: () => Effect.fail(`no answer in ${waitMillis / 1000} s`),
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
  presentity: Uri,
  packageName: PackageName,
  text: string | null,
): Effect.Effect<string | null> => {
  if (text === inForce(parts, presentity, packageName)) return Effect.succeed(null)
  const rules = text === null ? null : { contentType: rulesType, text }
  return Effect.map(parts.amend(presentity, { _tag: "ReplaceRules", packageName, rules }), refusal)
}

const tell = (parts: RulesAskerParts, fault: RulesFault): Effect.Effect<void> => {
  const { onFault, failed } = parts
  if (onFault !== null) return Effect.sync(() => tellQuietly(onFault, fault, failed))
  const isNothing = inForce(parts, fault.presentity as Uri, fault.event) === null
  const meanwhile = isNothing ? "watchers wait" : "the old stay in force"
  return Effect.logWarning(
    `rules of ${fault.presentity} for ${fault.event}: ${fault.why}: ${meanwhile} until they can be read`,
  )
}
