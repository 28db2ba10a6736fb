/**
 * Questions that are shared: whoever waits for an answer gets it, or is told that there will be none.
 */
import assert from "node:assert/strict"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { describe, it } from "vitest"
import { makeSharedQuestions } from "../../../src/app/library/shared-questions.ts"

/** Questions in a scope of their own; an answer is what `answer` gives. */
const questionsIn = Effect.fnUntraced(function* (answer: Effect.Effect<string>) {
  const scope = yield* Scope.make()
  const ask = yield* Effect.provideService(
    makeSharedQuestions({
      keyOf: (subject: string) => subject,
      pose: () => answer,
      settle: (_, given) => Effect.succeed(given),
      overtaken: "overtaken",
    }),
    Scope.Scope,
    scope,
  )
  return { ask, end: Scope.close(scope, Exit.void) }
})

const whyOf = (exit: Exit.Exit<string, { readonly why: string }>): string =>
  Exit.match(exit, {
    onSuccess: (answer) => `answered ${answer}`,
    onFailure: (cause) =>
      cause.reasons.map((reason) => (reason._tag === "Fail" ? reason.error.why : reason._tag)).join(),
  })

describe("shared questions", () => {
  for (const isShared of [true, false]) {
    const how = isShared ? "shared" : "of its own"
    it(`a question, ${how}, after the end is not answered`, () =>
      Effect.runPromise(
        Effect.gen(function* () {
          const { ask, end } = yield* questionsIn(Effect.succeed("yes"))
          assert.equal(yield* ask("a", isShared), "yes")
          yield* end
          assert.equal(whyOf(yield* Effect.exit(ask("a", isShared))), "stopping")
        }),
      ))

    it(`a question, ${how}, that is not posed yet when everything ends is not answered`, () =>
      Effect.runPromise(
        Effect.gen(function* () {
          const { ask, end } = yield* questionsIn(Effect.never)
          const asked = yield* Effect.forkChild(Effect.exit(ask("a", isShared)), { startImmediately: true })
          yield* end
          assert.equal(whyOf(yield* Fiber.join(asked)), "stopping")
        }),
      ))
  }

  it("all who wait for one answer get it", () =>
    Effect.runPromise(
      Effect.gen(function* () {
        const given = Deferred.makeUnsafe<string>()
        const { ask, end } = yield* questionsIn(Deferred.await(given))
        const askTwice = Effect.all([Effect.exit(ask("a", true)), Effect.exit(ask("a", true))], {
          concurrency: "unbounded",
        })
        const first = yield* Effect.forkChild(askTwice, { startImmediately: true })
        yield* Deferred.succeed(given, "yes")
        assert.deepEqual((yield* Fiber.join(first)).map(whyOf), ["answered yes", "answered yes"])
        yield* end
      }),
    ))
})
