/**
 * Two texts, line by line: what both have, what only one has.
 */

export interface Line {
  readonly mark: " " | "-" | "+"
  readonly text: string
}

/** Beyond so many pairs of lines what differs in the middle is not looked at any closer. */
const pairsMax = 4_000_000

/**
 * The lines of both in order, by a longest common part. O(before × after) of what differs between first and last
 * common lines.
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
  /** Lines in common from these two on. */
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

/** A document cut where a reader looks for a new line: XML is written without any. */
export const linesOf = (text: string): readonly string[] =>
  text
    .trim()
    .replaceAll(/>\s*</g, ">\n<")
    .split(/\r\n|\r|\n/)
