/**
 * Which tests prove a name: those whose title contains its id.
 */
import type { OpensipsName } from "./parity-names.ts"
import { titlesOfTests } from "./titles.ts"
import type { TitleOfTest } from "./titles.ts"

/** `OPS-clean_period`, `OPS-pres_ev.name`: the whole id, not the beginning of another one. */
const idPattern = /\bOPS-\w+(?:[.-]\w+)*/g

export interface Proven {
  readonly seed: OpensipsName
  /** Those that see it as a client or an operator does come first. */
  readonly tests: readonly TitleOfTest[]
}

export const proofsOf = (names: readonly OpensipsName[]): readonly Proven[] => {
  const byId = new Map<string, TitleOfTest[]>()
  for (const one of titlesOfTests()) {
    for (const id of new Set(one.title.match(idPattern))) byId.set(id, [...(byId.get(id) ?? []), one])
  }
  return names.map((seed) => ({
    seed,
    tests: (byId.get(seed.id) ?? []).toSorted((one, other) => closeness(other.file) - closeness(one.file)),
  }))
}

const closeness = (file: string): number =>
  file.startsWith("requirements/") ? 2 : file.endsWith(".e2e.test.ts") ? 1 : 0
