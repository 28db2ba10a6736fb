/**
 * The answer to the question that was asked last: what one decision asks for each of its watchers, it works out once.
 *
 * For functions of values that never change, so that what is kept changes no answer. One answer is kept, and what it hangs on.
 */

/** The same function; it is not asked again while its two arguments stay the same. */
export const rememberingLast = <First, Second, Answer>(
  ask: (first: First, second: Second) => Answer,
): ((first: First, second: Second) => Answer) => {
  let last: { readonly first: First; readonly second: Second; readonly answer: Answer } | null = null
  return (first, second) => {
    if (last === null || last.first !== first || last.second !== second) {
      last = { first, second, answer: ask(first, second) }
    }
    return last.answer
  }
}
