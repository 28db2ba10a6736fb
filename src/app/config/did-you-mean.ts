/**
 * Suggestions for an unknown name.
 */

/** `; did you mean listen?`, or an empty text when no known name is close. */
export const didYouMean = (word: string, known: Iterable<string>): string => {
  const nearest = [...known]
    .map((candidate) => [distance(word, candidate), candidate] as const)
    .sort(([left], [right]) => left - right)[0]
  const most = Math.min(4, Math.ceil(word.length / 3))
  return nearest !== undefined && nearest[0] <= most ? `; did you mean ${nearest[1]}?` : ""
}

/** The message for an unknown event package: a suggestion if there is one, and the packages there are. */
export const noSuchPackage = (word: string, known: readonly string[]): string => {
  const plain = known.filter((name) => !name.endsWith(".winfo"))
  const hint = didYouMean(word, known) || ";"
  return `there is no event package ${word}${hint} there are ${plain.join(", ")}, and NAME.winfo of each`
}

/** The edit distance between two words. */
const distance = (left: string, right: string): number => {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 1; i <= left.length; i++) {
    const next = [i]
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1] ? 0 : 1
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + same))
    }
    row = next
  }
  return row[right.length]!
}
