/**
 * An embedding program's own source of rules, asked presentity by presentity.
 *
 * What it answers is in force before whoever made it be asked is decided on. One that throws, gives something else than text
 * or null, or does not answer in time leaves in force what was; where nothing was, watchers wait until it answers.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { keyOf } from "../../adapters/rules/documents.ts"
import type { Answer, Command } from "../../domain/presentity/commands.ts"
import type { IsUnread } from "../../domain/presentity/context.ts"
import type { State } from "../../domain/presentity/state.ts"
import { get, values } from "../../domain/table.ts"
import type { PackageName, Uri } from "../../domain/vocabulary.ts"
import { refusal } from "../node/documents/source.ts"
import { tellQuietly } from "./faults.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import type { RulesFault } from "./options.ts"
import { wordsOf } from "../extensions/words.ts"

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

export const makeRulesAsker = (parts: RulesAskerParts): RulesAsker => {
  const { rules, asksRules, waitMillis, onFault, failed, states, state, amend } = parts
  /** Why nothing is known of somebody, by key. */
  const unread = new Map<string, { readonly of: readonly [Uri, PackageName]; readonly why: string }>()
  /** Questions under way: an answer that was overtaken by a newer one does not count. */
  const asking = new Map<string, { asked: number; answered: number; open: number }>()

  const present = (presentity: Uri, packageName: PackageName): string | null => {
    const known = state(presentity)?.rules
    return (known === undefined ? undefined : get(known, packageName))?.body.text ?? null
  }

  const answerOf = (presentity: Uri, packageName: PackageName): Effect.Effect<string | null, string> =>
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

  const ask: RulesAsker["ask"] = Effect.fnUntraced(function* (presentity, packageName) {
    if (!asksRules(presentity, packageName)) return null
    const key = keyOf({ packageName, presentity })
    const questions = asking.get(key) ?? { asked: 0, answered: 0, open: 0 }
    asking.set(key, questions)
    const number = ++questions.asked
    questions.open++
    const answered = yield* Effect.result(answerOf(presentity, packageName))
    if (--questions.open === 0) asking.delete(key)
    if (number < questions.answered) return null
    questions.answered = number
    const why =
      answered._tag === "Failure"
        ? answered.failure
        : yield* putInForce(presentity, packageName, answered.success)
    const before = unread.get(key)?.why ?? null
    if (why === null) unread.delete(key)
    else unread.set(key, { of: [presentity, packageName], why })
    if ((why === null) !== (before === null) && present(presentity, packageName) === null)
      yield* amend(presentity, { _tag: "RefreshWatchers", packageName, kind: "rules" })
    if (why !== null && why !== before) yield* tell({ presentity, event: packageName, why })
    return why
  })

  const putInForce = (presentity: Uri, packageName: PackageName, text: string | null) =>
    text === present(presentity, packageName)
      ? Effect.succeed(null)
      : Effect.map(
          amend(presentity, {
            _tag: "ReplaceRules",
            packageName,
            rules: text === null ? null : { contentType: "application/auth-policy+xml", text },
          }),
          refusal,
        )

  const tell = (fault: RulesFault): Effect.Effect<void> => {
    if (onFault !== null) return Effect.sync(() => tellQuietly(onFault, fault, failed))
    const meanwhile =
      present(fault.presentity as Uri, fault.event) === null ? "watchers wait" : "the old stay in force"
    return Effect.logWarning(
      `rules of ${fault.presentity} for ${fault.event}: ${fault.why}: ${meanwhile} until they can be read`,
    )
  }

  const watched = (): readonly (readonly [Uri, PackageName])[] =>
    [...states()].flatMap((one) =>
      [...new Set([...values(one.subscriptions)].map(({ packageName }) => packageName))]
        .filter((name) => asksRules(one.presentity, name))
        .map((name) => [one.presentity, name] as const),
    )

  const askAll = Effect.suspend(() =>
    Effect.forEach(watched(), (of) => ask(...of), { concurrency, discard: true }),
  )

  return {
    isUnread: (presentity, packageName) => unread.has(keyOf({ packageName, presentity })),
    ask,
    failing: () =>
      [...unread.values()].map(({ of: [presentity, event], why }) => ({ presentity, event, why })),
    askAll,
    begin: Effect.gen(function* () {
      yield* askAll
      const again = Effect.suspend(() =>
        Effect.forEach([...unread.values()], ({ of }) => ask(...of), { concurrency, discard: true }),
      )
      yield* Effect.forkScoped(Effect.sleep(againMillis).pipe(Effect.andThen(again), Effect.forever))
    }),
  }
}
