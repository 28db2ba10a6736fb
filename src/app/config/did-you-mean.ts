/**
 * What somebody meant who wrote a name that there is not.
 */

/** `; did you mean listen?`, or nothing when no known name is near. */
export const didYouMean = (word: string, known: Iterable<string>): string => {
  const nearest = [...known]
    .map((candidate) => [distance(word, candidate), candidate] as const)
    .sort(([left], [right]) => left - right)[0]
  const most = Math.min(4, Math.ceil(word.length / 3))
  return nearest !== undefined && nearest[0] <= most ? `; did you mean ${nearest[1]}?` : ""
}

/** What is said to somebody who names an event package that there is not: the one that was meant perhaps, and those there are. */
export const noSuchPackage = (word: string, known: readonly string[]): string => {
  const plain = known.filter((name) => !name.endsWith(".winfo"))
  const hint = didYouMean(word, known) || ";"
  return `there is no event package ${word}${hint} there are ${plain.join(", ")}, and NAME.winfo of each`
}

/** Edits that make one word of the other. */
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
