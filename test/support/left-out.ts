/**
 * Says at the end of a run what was left out for want of what, in one line each; nothing when all is there.
 *
 * A test that finds something missing says so itself (`context.skip("strace is not installed")`). For those that are
 * defined with `skipIf`, the condition in the source says it: `wants` has a sentence for each.
 */
import { readFileSync } from "node:fs"
import type { Reporter, TestCase, TestModule, Vitest } from "vitest/node"

/** What a condition of `skipIf` means. The first that fits counts. */
const wants: readonly (readonly [condition: RegExp, sentence: string])[] = [
  [/"psql"/, "psql is not installed"],
  [/"pg_dump"/, "pg_dump is not installed"],
  [/^cluster === null \|\| !hasClients$/, "no PostgreSQL 14 or newer with psql and pg_dump is here"],
  [/^(?:cluster|binaries) === null$|^postgresBinaries\(\) === null$/, "no PostgreSQL 14 or newer is here"],
  [/mariaDb === null/, "MariaDB is not installed"],
  [
    /noFrontKamailio !== null \|\| noNattedNetwork/,
    "Kamailio with its SQLite and TLS modules is not installed, or no NAT can be made here",
  ],
  [/noFrontKamailio !== null/, "Kamailio with its SQLite and TLS modules is not installed"],
  [/noOpensips !== null \|\|/, "OpenSIPS is not installed, or no NAT can be made here"],
  [/noOpensips !== null/, "OpenSIPS with its SQLite and TLS modules is not installed"],
  [/noKamailio(?:Proxy)? !== null/, "Kamailio with its presence and SQLite modules is not installed"],
  [/auth_db-create\.sql/, "kamailio-sqlite-modules or sqlite3 is not installed"],
  [/isInstalled\("sipp"\)/, "sipp is not installed"],
  [/baresip/i, "baresip with its modules is not installed"],
  [/!hasTshark/, "tshark is not installed"],
  [/!hasCurl/, "curl is not installed"],
  [/!hasScript/, "script (util-linux) is not installed"],
  [/!hasSystemd/, "systemd-analyze is not installed"],
  [/!hasParser/, "python3-prometheus-client is not installed"],
  [/!canUnshare|!canConfine/, "name spaces cannot be made here (unshare)"],
  [/^chromium === undefined$/, "Chromium is not installed"],
  [
    /noNattedNetwork !== null/,
    "no NAT can be made here: that takes Linux, root, network name spaces, and the programs ip, nft and conntrack",
  ],
  [/!isRoot/, "this is not root"],
  [/platform !== "linux"/, "this is not Linux"],
  [/platform === "win32"/, "this is Windows, where there is no private server"],
  [/getuid === undefined/, "the system has no user ids"],
  [/\/proc\/self\/stat|identity === ""/, "the system has no /proc"],
]

/** The sentence for a condition; null: `wants` has none. */
export const sentenceFor = (condition: string): string | null =>
  wants.find(([pattern]) => pattern.test(condition))?.[1] ?? null

/** A suite or test that is left out on a condition. */
export interface Conditional {
  readonly condition: string
  readonly title: string
}

/** Every `skipIf(condition)("title"` of a source. */
export const conditionalsIn = (source: string): readonly Conditional[] => {
  const found: Conditional[] = []
  for (const { index, 0: call } of source.matchAll(/\.skipIf\(/g)) {
    const from = index + call.length
    let depth = 1
    let end = from
    for (; depth > 0 && end < source.length; end++) {
      if (source[end] === "(") depth++
      else if (source[end] === ")") depth--
    }
    const condition = source
      .slice(from, end - 1)
      .replaceAll(/\s+/g, " ")
      .replace(/,? $/, "")
      .trim()
    const [, , title = ""] = /^\(\s*(["'`])((?:\\.|(?!\1)[^\\])*)\1/s.exec(source.slice(end)) ?? []
    found.push({ condition, title })
  }
  return found
}

/** A test that was left out. */
export interface LeftOut {
  readonly file: string
  /** Its own, and those of the suites around it. */
  readonly titles: readonly string[]
  /** What it said itself. */
  readonly note: string | undefined
}

/** @param conditionalsOf those of a file */
export const linesOf = (
  tests: readonly LeftOut[],
  conditionalsOf: (file: string) => readonly Conditional[],
): readonly string[] => {
  const byReason = new Map<string, { count: number; readonly files: Set<string> }>()
  for (const { file, titles, note } of tests) {
    const conditional = conditionalsOf(file).find(({ title }) => titles.includes(title))
    const said =
      conditional === undefined ? null : (sentenceFor(conditional.condition) ?? conditional.condition)
    const reason = note ?? said ?? "no reason is given"
    const entry = byReason.get(reason) ?? { count: 0, files: new Set<string>() }
    entry.count++
    entry.files.add(file)
    byReason.set(reason, entry)
  }
  return [...byReason]
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([reason, { count, files }]) => {
      const [first = "", ...others] = [...files].sort()
      const where = others.length === 0 ? first : `${first} and ${others.length} more`
      return `left out ${count} ${count === 1 ? "test" : "tests"}: ${reason} (${where})`
    })
}

const titlesOf = (test: TestCase): readonly string[] => {
  const titles = [test.name]
  for (let parent = test.parent; parent.type === "suite"; parent = parent.parent) titles.push(parent.name)
  return titles
}

/** The reporter for vitest. */
export const leftOut = (): Reporter => {
  let isWhole = true
  return {
    onInit: ({ config }: Vitest) => {
      // what a filter leaves out is not wanting anything
      isWhole = config.testNamePattern === undefined && (config.tagsFilter ?? []).length === 0
    },
    onTestRunEnd: (modules: readonly TestModule[]) => {
      if (!isWhole) return
      const tests = modules.flatMap((module) =>
        [...module.children.allTests("skipped")].map((test) => {
          const result = test.result()
          const note = result.state === "skipped" ? result.note : undefined
          return { file: module.moduleId, titles: titlesOf(test), note }
        }),
      )
      const sources = new Map<string, readonly Conditional[]>()
      const conditionalsOf = (file: string): readonly Conditional[] => {
        const known = sources.get(file) ?? conditionalsIn(readFileSync(file, "utf8"))
        sources.set(file, known)
        return known
      }
      const lines = linesOf(tests, conditionalsOf)
      for (const line of lines) console.log(line.replace(`${process.cwd()}/`, ""))
    },
  }
}
