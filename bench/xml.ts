/**
 * What reading XML costs: microseconds of processor time for one document of each package, by the reader in one pass and by the one
 * on fast-xml-parser, in turn, with the ratio of each pair; and how that time grows when a document gets twice as long.
 *
 *   node bench/xml.ts [--runs 9] [--other DIR]
 *
 * --other: another checkout, whose codec is measured in place of the reader on fast-xml-parser.
 */
import { join } from "node:path"
import { parseArgs } from "node:util"
import { makeXmlCodec } from "../src/adapters/xml/codec.ts"
import type * as codec from "../src/adapters/xml/codec.ts"
import type { XmlCodec } from "../src/domain/packages/element.ts"
import { published } from "../test/support/xml-mutants.ts"

const { values } = parseArgs({
  options: { other: { type: "string" }, runs: { type: "string", default: "9" } },
})
const runs = Number(values.runs)
const large = { bytesMax: 10_000_000, elementsMax: 1_000_000 }
const compared = (limits: Partial<codec.XmlLimits>, of: typeof codec | null): XmlCodec =>
  of === null ? makeXmlCodec(limits, "fast-xml-parser") : of.makeXmlCodec(limits)
const other =
  values.other === undefined
    ? null
    : ((await import(join(values.other, "src/adapters/xml/codec.ts"))) as typeof codec)

const median = (sorted: readonly number[]): number =>
  sorted.toSorted((left, right) => left - right)[sorted.length >> 1]!

/** Microseconds of processor for one call, over at least 50 ms. */
const costOf = (work: () => void): number => {
  for (let times = 16; ; times *= 2) {
    const before = process.cpuUsage()
    for (let time = 0; time < times; time++) work()
    const { user, system } = process.cpuUsage(before)
    if (user + system >= 50_000) return (user + system) / times
  }
}

const inTurn = (first: () => void, second: () => void): readonly (readonly [number, number])[] => {
  costOf(first)
  costOf(second)
  return Array.from({ length: runs }, () => [costOf(first), costOf(second)] as const)
}

const [before, after] = [compared({}, other), makeXmlCodec()]
console.log("document: µs before, µs in one pass, ratio (least, most)")
for (const [what, text] of published) {
  const pairs = inTurn(
    () => void before.parse(text),
    () => void after.parse(text),
  )
  const ratios = pairs.map(([first, second]) => first / second)
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(1))
  const [first, second] = [median(pairs.map(([cost]) => cost)), median(pairs.map(([, cost]) => cost))]
  console.log(
    `${what} (${text.length} octets): ${first.toFixed(1)}, ${second.toFixed(1)}, ${median(ratios).toFixed(1)} (${least}, ${most})`,
  )
}

console.log("time of twice as much, as a multiple (least, most): must stay below 2.5")
const growing: readonly (readonly [what: string, document: (items: number) => string])[] = [
  [
    "tuples",
    (items) => `<presence>${'<tuple id="t"><note a="1">x &amp; y</note></tuple>'.repeat(items)}</presence>`,
  ],
  ["text", (items) => `<a>${"Lorem ipsum &lt;dolor&gt; sit amet. ".repeat(items)}</a>`],
  ["comments", (items) => `<a>${"x<!-- a comment -->".repeat(items)}<![CDATA[]]></a>`],
  ["namespaces", (items) => `<a xmlns:p="u">${'<p:b xmlns:q="v" q:c="1" p:c="2"/>'.repeat(items)}</a>`],
]
const reader = makeXmlCodec(large)
for (const [what, document] of growing) {
  const [small, twice] = [document(1_000), document(2_000)]
  const ratios = inTurn(
    () => void reader.parse(twice),
    () => void reader.parse(small),
  ).map(([first, second]) => first / second)
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(2))
  console.log(`${what}: ${median(ratios).toFixed(2)} (${least}, ${most})`)
}
