/**
 * The differences between two instants of a presentity.
 */
import type { Body, PackageName } from "../vocabulary.ts"
import type { PresentityAt } from "./at.ts"
import { differenceOf, linesOf } from "./lines.ts"
import type { Line } from "./lines.ts"

export type Difference =
  | {
      readonly _tag: "Publication"
      readonly event: PackageName
      readonly entityTag: string
      readonly mark: "-" | "+"
    }
  /** The composed document, hard state or rules; null: there was or is none. */
  | {
      readonly _tag: "Document"
      readonly what: "document" | "hard state" | "rules"
      readonly event: PackageName
      readonly lines: readonly Line[]
    }
  | {
      readonly _tag: "Watcher"
      readonly event: PackageName
      readonly watcher: string
      readonly before: string | null
      readonly after: string | null
    }

/** No differences for equal instants. Watchers are compared by identity and status, not by duration. */
export const compare = (before: PresentityAt, after: PresentityAt): readonly Difference[] => [
  ...publications(before, after),
  ...documents("document", textsOf(before.documents), textsOf(after.documents)),
  ...documents("hard state", textsOf(before.hardState), textsOf(after.hardState)),
  ...documents("rules", before.rules, after.rules),
  ...watchers(before, after),
]

type Texts = Readonly<Record<PackageName, string>>

const textsOf = (bodies: Readonly<Record<PackageName, Body>>): Texts =>
  Object.fromEntries(Object.entries(bodies).map(([event, { text }]) => [event, text]))

const publications = (before: PresentityAt, after: PresentityAt): readonly Difference[] => {
  const keyOf = ({ event, entityTag }: PresentityAt["publications"][number]): string =>
    `${event} ${entityTag}`
  const [had, has] = [before, after].map(
    ({ publications: all }) => new Map(all.map((publication) => [keyOf(publication), publication])),
  )
  const only = (left: typeof had, right: typeof had, mark: "-" | "+"): readonly Difference[] =>
    [...(left ?? [])].flatMap(([key, { event, entityTag }]) =>
      right?.has(key) === true ? [] : [{ _tag: "Publication", event, entityTag, mark }],
    )
  return [...only(had, has, "-"), ...only(has, had, "+")]
}

const documents = (
  what: "document" | "hard state" | "rules",
  before: Texts,
  after: Texts,
): readonly Difference[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((event): Difference[] => {
    const [textBefore = "", textAfter = ""] = [before[event], after[event]]
    if (textBefore === textAfter) return []
    const lines = differenceOf(
      textBefore === "" ? [] : linesOf(textBefore),
      textAfter === "" ? [] : linesOf(textAfter),
    )
    return [{ _tag: "Document", what, event, lines }]
  })

const watchers = (before: PresentityAt, after: PresentityAt): readonly Difference[] => {
  const standings = ({ watchers: all }: PresentityAt): ReadonlyMap<string, readonly string[]> => {
    const result = new Map<string, string[]>()
    for (const { event, watcher, status, private: isPrivate } of all) {
      const key = `${event} ${watcher}`
      const standing = isPrivate === true ? `${status}(private)` : status
      result.set(key, [...(result.get(key) ?? []), standing].sort())
    }
    return result
  }
  const [had, has] = [standings(before), standings(after)]
  return [...new Set([...had.keys(), ...has.keys()])].sort().flatMap((key): Difference[] => {
    const [standingBefore, standingAfter] = [had.get(key)?.join(" ") ?? null, has.get(key)?.join(" ") ?? null]
    if (standingBefore === standingAfter) return []
    const space = key.indexOf(" ")
    return [
      {
        _tag: "Watcher",
        event: key.slice(0, space),
        watcher: key.slice(space + 1),
        before: standingBefore,
        after: standingAfter,
      },
    ]
  })
}
