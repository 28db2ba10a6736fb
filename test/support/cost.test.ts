/**
 * The measure of cost distinguishes linear work from other work.
 */
import { assert, describe, it } from "vitest"
import { assertLinear } from "./cost.ts"

/** Work of `steps` steps that no compiler removes. */
const steps = (count: number): number => {
  let sum = 0
  for (let step = 0; step < count; step++) sum = (sum * 31 + step) | 0
  return sum
}

describe("what work costs", () => {
  it(
    "work in proportion passes, also with something that is always done, and so does n log n",
    { tags: ["OPS-tests"] },
    () => {
      assertLinear("linear", (n) => () => void steps(n), 10_000)
      assertLinear("with a beginning", (n) => () => void steps(100_000 + n), 10_000)
      assertLinear("n log n", (n) => () => void steps(n * Math.log2(n)), 10_000)
    },
  )

  it("quadratic work is found, also when it is little at first", { tags: ["OPS-tests"] }, () => {
    assert.throws(
      () => assertLinear("square", (n) => () => void steps(n * n), 300),
      /square: 8 times as much takes/,
    )
    assert.throws(() => assertLinear("mixed", (n) => () => void steps(20 * n + n * n), 200))
  })
})
