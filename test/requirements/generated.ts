/**
 * Tables in documents that are made from lists in the source: between `<!-- generated: NAME -->` and `<!-- /generated -->`.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Setting } from "../../src/app/config/setting-kinds.ts"
import { settingGroups } from "../../src/app/config/settings.ts"
import { opensipsNames } from "./parity-names.ts"
import type { Kind, OpensipsName, OpensipsParameter } from "./parity-names.ts"
import { proofsOf } from "./proofs.ts"
import { root, titlesOfTests } from "./titles.ts"

/** Documents that have such tables. */
export const generatedPages = ["README.md", "docs/configuration.md", "docs/from-opensips.md"]

/** The page as it should be. */
export const generatedPage = (page: string): string =>
  readFileSync(join(root, page), "utf8").replaceAll(
    /(<!-- generated: (\w+) -->\n)[\s\S]*?(<!-- \/generated -->)/g,
    (_, begin: string, what: string, end: string) => `${begin}\n${tableOf(what)}\n\n${end}`,
  )

const tableOf = (what: string): string => {
  if (what === "settings") return settingsTables()
  return what === "rfcs" ? rfcTable() : opensipsTable(what as Kind)
}

const rfcTitles: Readonly<Record<string, string>> = {
  "3261": "SIP: transactions, dialogs, URIs",
  "3263": "Locating SIP servers",
  "3265": "SIP-specific event notification",
  "3323": "Privacy mechanism",
  "3325": "Asserted identity in trusted networks",
  "3581": "Symmetric response routing (rport)",
  "3680": "Event package for registrations",
  "3842": "Message summary and message waiting",
  "3856": "Event package for presence",
  "3857": "Watcher information: event template package",
  "3858": "Watcher information: document format",
  "3859": "Common profile for presence",
  "3863": "Presence Information Data Format (PIDF)",
  "3903": "Event state publication (PUBLISH)",
  "4235": "Event package for INVITE dialogs",
  "4320": "Non-INVITE transactions",
  "4475": "SIP torture tests",
  "4479": "Data model for presence",
  "4480": "Rich presence (RPID)",
  "4575": "Event package for conferences",
  "4745": "Common policy",
  "4827": "XCAP: manipulating presence documents (hard state)",
  "5025": "Presence authorization rules",
  "5057": "Multiple dialog usages",
  "5118": "SIP torture tests for IPv6",
  "5626": "Client-initiated connections (keep-alive)",
  "5839": "Subscriptions with entity-tags for conditional notification",
  "5952": "Text form of IPv6 addresses",
  "6446": "Event notification rate control",
  "6665": "SIP-specific event notification (by setting)",
  "7616": "HTTP digest access authentication",
  "8760": "Digest algorithms for SIP",
}

/** Of each RFC: requirements that are listed, and tests that carry an id of it. */
const rfcTable = (): string => {
  const listed = [
    ...readFileSync(join(root, "docs/requirements.md"), "utf8").matchAll(/^\| (\d{4})-\S+ \|/gm),
  ]
  const tests = titlesOfTests().map(({ title }) => new Set(title.match(/\b\d{4}(?=-\d)/g)))
  const cells = Object.entries(rfcTitles).map(([rfc, title]) => [
    `[${rfc}](https://www.rfc-editor.org/rfc/rfc${rfc})`,
    title,
    String(listed.filter(([, of]) => of === rfc).length || ""),
    String(tests.filter((ids) => ids.has(rfc)).length),
  ])
  return rows(["RFC", "About", "Requirements listed", "Tests"], cells)
}

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

const isParameter = (seed: OpensipsName): seed is OpensipsParameter => seed.kind === "parameter"

const opensipsTable = (kind: Kind): string => {
  const names = opensipsNames.filter((known) => known.kind === kind)
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
