/**
 * What a page makes of a case file with `src/explain` alone; a test runs it in a browser.
 */
import {
  clockOf,
  differenceText,
  drawHead,
  drawStep,
  inOrder,
  ladderSteps,
  lanesOf,
  linesIn,
  pureSha256,
  readItems,
  renderWhy,
  replay,
  stepText,
  whyInCase,
} from "../../src/explain/index.ts"

export interface Wish {
  readonly text: string
  readonly presentity: string
  readonly watcher: string
  readonly at: number
  /** The position of a decision that is left out. */
  readonly without: number
}

export const explained = ({ text, presentity, watcher, at, without }: Wish) => {
  const items = [...readItems("page.case", linesIn(text), pureSha256)]
  const question = { presentity, watcher, packageName: "presence", at } as Parameters<typeof whyInCase>[1]
  const found = whyInCase(items, question, clockOf("UTC"))
  const whole = { stream: null, until: null, sha256: pureSha256 }
  const steps = inOrder([...ladderSteps(items, { ...whole, since: null })])
  const lanes = lanesOf(steps)
  const plain = (said: string): string => said
  const supposition = { without: new Set([without]), rules: null }
  const replayed = [...replay(items, { ...whole, drift: false, supposition: null })]
  const supposed = [...replay(items, { ...whole, drift: false, supposition })]
  return {
    why: found === null ? null : renderWhy(found.text),
    ladder: [drawHead(lanes, plain), ...steps.map((step) => drawStep(step, lanes, true, plain))],
    isUnequal: replayed.some(({ _tag }) => _tag === "Unequal"),
    replay: replayed.flatMap((one) =>
      one._tag === "Stream" ? [one.stream] : one._tag === "Step" ? [stepText(one.moment, { utc: true })] : [],
    ),
    whatIf: supposed.flatMap((one) =>
      one._tag === "Difference" ? [differenceText(one.difference, { utc: true })] : [],
    ),
  }
}
