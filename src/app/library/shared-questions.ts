/**
 * Questions about subjects that take a while to answer. Whoever has a question while one about the same subject is under way can wait
 * for the answer to that. Of several answers about one subject the one to the newest question counts.
 */
import { Data, Deferred, Effect, Exit } from "effect"

/** The question was not asked, or its answer is no longer waited for, because everything ends. */
export class NotAnswered extends Data.TaggedError("NotAnswered")<{ readonly why: "busy" | "stopping" }> {}

interface Questioning<Subject, Given, Result> {
  readonly keyOf: (subject: Subject) => string
  readonly pose: (subject: Subject) => Effect.Effect<Given>
  /** What becomes of an answer. */
  readonly settle: (subject: Subject, given: Given) => Effect.Effect<Result>
  /** The result of a question whose answer a newer one has overtaken. */
  readonly overtaken: Result
}

/** Questions under way about one subject. */
interface Asking<Result> {
  asked: number
  answered: number
  open: number
  /** The result of the newest question; null: the question is answered. */
  newest: Deferred.Deferred<Result, NotAnswered> | null
}

/**
 * Questions end with the scope.
 *
 * @returns asks; `isShared`: or waits for the answer to a question that is under way
 */
export const makeSharedQuestions = Effect.fnUntraced(function* <Subject, Given, Result>(
  questioning: Questioning<Subject, Given, Result>,
) {
  const { keyOf, pose, settle, overtaken } = questioning
  const scope = yield* Effect.scope
  const asking = new Map<string, Asking<Result>>()

  const begin = (subject: Subject, questions: Asking<Result>) => {
    const result = Deferred.makeUnsafe<Result, NotAnswered>()
    const number = ++questions.asked
    questions.open++
    questions.newest = result
    // whoever asks after the answer was given may know of a newer one
    const answered = (): void => {
      if (questions.newest === result) questions.newest = null
    }
    const asked = Effect.flatMap(pose(subject), (given) => {
      answered()
      if (number < questions.answered) return Effect.succeed(overtaken)
      questions.answered = number
      return settle(subject, given)
    })
    const ended = (exit: Exit.Exit<Result>): void => {
      answered()
      if (--questions.open === 0) asking.delete(keyOf(subject))
      Deferred.doneUnsafe(
        result,
        Exit.hasInterrupts(exit) ? Effect.fail(new NotAnswered({ why: "stopping" })) : exit,
      )
    }
    return Effect.map(Effect.forkIn(asked, scope), (fiber) => {
      // an observer, since a fiber that is interrupted before its first step runs no finalizers
      fiber.addObserver(ended)
      return result
    })
  }

  return (subject: Subject, isShared: boolean): Effect.Effect<Result, NotAnswered> =>
    Effect.suspend(() => {
      const key = keyOf(subject)
      const questions = asking.get(key) ?? { asked: 0, answered: 0, open: 0, newest: null }
      asking.set(key, questions)
      const { newest } = questions
      return isShared && newest !== null
        ? Deferred.await(newest)
        : Effect.flatMap(begin(subject, questions), Deferred.await)
    })
})
