/**
 * Tables in documents that are made from lists in the source: between `<!-- generated: NAME -->` and `<!-- /generated -->`.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { settingGroups } from "../../src/app/config/settings.ts"
import type { Setting } from "../../src/app/config/settings.ts"
import { seedNames } from "./parity-names.ts"
import type { Kind, SeedName, SeedParameter } from "./parity-names.ts"
import { proofsOf } from "./proofs.ts"
import { root } from "./titles.ts"

/** Documents that have such tables. */
export const generatedPages = ["docs/configuration.md", "docs/from-opensips.md"]

/** The page as it should be. */
export const generatedPage = (page: string): string =>
  readFileSync(join(root, page), "utf8").replaceAll(
    /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- \/generated -->)/g,
    (_, begin: string, what: string, end: string) => `${begin}\n${tableOf(what)}\n\n${end}`,
  )

const tableOf = (what: string): string => (what === "settings" ? settingsTables() : seedTable(what as Kind))

const rows = (head: readonly string[], cells: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...cells]
    .map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`)
    .join("\n")

const settingsTables = (): string =>
  settingGroups
    .map(([title, group]) => {
      const cells = (Object.entries(group) as [string, Setting][]).map(([name, setting]) => [
        `\`${name}\``,
        valueText(setting.default),
        allowed(setting),
        setting.about + (setting.idle === undefined ? "" : `; changes nothing: ${setting.idle}`),
      ])
      return `### ${title}\n\n${rows(["Setting", "Default", "Values", "Means"], cells)}`
    })
    .join("\n\n")

const valueText = (value: unknown): string => {
  if (value === null || (Array.isArray(value) && value.length === 0)) return "none"
  if (Array.isArray(value)) return value.map((one) => `\`${String(one)}\``).join(" ")
  if (typeof value === "boolean") return value ? "1" : "0"
  return typeof value === "string" ? `\`${value}\`` : JSON.stringify(value)
}

const allowed = (setting: Setting): string => {
  switch (setting.kind) {
    case "int":
      return `${setting.min} to ${setting.max}`
    case "flag":
      return "0, 1"
    case "choice":
      return setting.choices.map((one) => `\`${one}\``).join(" ")
    case "list":
      return "list"
    case "peers":
      return "entries"
    case "rules":
      return "rules"
    case "hook":
    case "module":
      return "file"
    case "text":
      return "text"
  }
}

const isParameter = (seed: SeedName): seed is SeedParameter => seed.kind === "parameter"

const seedTable = (kind: Kind): string => {
  const names = seedNames.filter((seed) => seed.kind === kind)
  const cells = proofsOf(names).map(({ seed, tests }) => {
    const [first] = tests
    const proof = first === undefined ? "none yet" : `[${seed.id}](../test/${first.file})`
    const what = seed.difference === "" ? "The same." : seed.difference
    return isParameter(seed)
      ? [`\`${seed.name}\``, seed.modules.join(", "), valueText(seed.fallback), what, proof]
      : [`\`${seed.name}\``, seed.here, what, proof]
  })
  return kind === "parameter"
    ? rows(["Parameter", "Module", "Default here", "What is different", "Test"], cells)
    : rows(["There", "Here", "What is different", "Test"], cells)
}
