/**
 * Compares two texts line by line.
 */

export interface Line {
  readonly mark: " " | "-" | "+"
  readonly text: string
}

/** Above this number of pairs of lines, the differing middle is not compared any further. */
const pairsMax = 4_000_000

/**
 * The lines of both texts in order, by a longest common subsequence. O(before × after) of what lies between the common
 * first and last lines.
 */
export const differenceOf = (before: readonly string[], after: readonly string[]): readonly Line[] => {
  let head = 0
  while (head < before.length && head < after.length && before[head] === after[head]) head += 1
  let tail = 0
  while (
    tail < before.length - head &&
    tail < after.length - head &&
    before[before.length - 1 - tail] === after[after.length - 1 - tail]
  ) {
    tail += 1
  }
  const [old, young] = [before.slice(head, before.length - tail), after.slice(head, after.length - tail)]
  return [
    ...before.slice(0, head).map(same),
    ...middle(old, young),
    ...before.slice(before.length - tail).map(same),
  ]
}

const same = (text: string): Line => ({ mark: " ", text })

const middle = (before: readonly string[], after: readonly string[]): readonly Line[] => {
  const gone = (text: string): Line => ({ mark: "-", text })
  const come = (text: string): Line => ({ mark: "+", text })
  if (before.length * after.length > pairsMax) return [...before.map(gone), ...after.map(come)]
  const width = after.length + 1
  /** The length of the longest common subsequence from these two lines on. */
  const common = new Uint32Array((before.length + 1) * width)
  for (let i = before.length - 1; i >= 0; i -= 1) {
    for (let j = after.length - 1; j >= 0; j -= 1) {
      common[i * width + j] =
        before[i] === after[j]
          ? common[(i + 1) * width + j + 1]! + 1
          : Math.max(common[(i + 1) * width + j]!, common[i * width + j + 1]!)
    }
  }
  const lines: Line[] = []
  let [i, j] = [0, 0]
  while (i < before.length && j < after.length) {
    if (before[i] === after[j]) {
      lines.push(same(before[i]!))
      i += 1
      j += 1
    } else if (common[(i + 1) * width + j]! >= common[i * width + j + 1]!) lines.push(gone(before[i++]!))
    else lines.push(come(after[j++]!))
  }
  return [...lines, ...before.slice(i).map(gone), ...after.slice(j).map(come)]
}

/** Splits a document where a reader expects a new line, because XML is usually written on one line. */
export const linesOf = (text: string): readonly string[] =>
  text
    .trim()
    .replaceAll(/>\s*</g, ">\n<")
    .split(/\r\n|\r|\n/)
