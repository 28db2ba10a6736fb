/**
 * Man pages from the command's own help: `presently(1)`, and a page for each command with those below it.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Option } from "effect"
import type { HelpDoc } from "effect/cli"
import { exitCodes } from "../src/app/exit-codes.ts"
import { version } from "../src/app/version.ts"
import { commandPaths, helpOf } from "./texts.ts"

/** Text as roff takes it literally. */
export const plain = (text: string): string =>
  text
    .replaceAll("\\", String.raw`\e`)
    .replaceAll("-", String.raw`\-`)
    .replaceAll(/^(?=[.'])/gm, String.raw`\&`)
    .replaceAll(/[^\p{ASCII}]/gu, (character) => {
      const code = character.codePointAt(0) ?? 0
      return `\\[u${code.toString(16).toUpperCase().padStart(4, "0")}]`
    })

const bold = (text: string): string => `\\fB${plain(text)}\\fR`
const italic = (text: string): string => `\\fI${plain(text)}\\fR`
const tagged = (tag: string, text: string): readonly string[] => [".TP", tag, plain(text)]

const section = (title: string, lines: readonly string[]): readonly string[] =>
  lines.length === 0 ? [] : [`.SH ${title}`, ...lines]

const flagLines = (flags: readonly HelpDoc.FlagDoc[]): readonly string[] =>
  flags.flatMap(({ name, aliases, type, description }) => {
    const names = [`--${name}`, ...aliases].map(bold).join(", ")
    const value = type === "boolean" ? "" : ` ${italic(type)}`
    return tagged(
      names + value,
      Option.getOrElse(description, () => ""),
    )
  })

const argumentLines = ({ args = [] }: HelpDoc.HelpDoc): readonly string[] =>
  args.flatMap(({ name, description, required }) =>
    tagged(italic(name), Option.getOrElse(description, () => "") + (required ? "" : " (optional)")),
  )

const exampleLines = ({ examples = [] }: HelpDoc.HelpDoc): readonly string[] =>
  examples.flatMap(({ command, description }) => [
    ...(description === undefined ? [] : [".PP", plain(description)]),
    ".PP",
    ".nf",
    ".RS",
    plain(command),
    ".RE",
    ".fi",
  ])

const commandLines = ({ subcommands = [] }: HelpDoc.HelpDoc): readonly string[] =>
  subcommands.flatMap(({ commands }) =>
    commands.flatMap(({ name, description }) => tagged(bold(name), description)),
  )

const pageName = (path: readonly string[]): string => ["presently", ...path].join("-")

const head = (path: readonly string[], { description, usage }: HelpDoc.HelpDoc): readonly string[] => [
  `.TH ${pageName(path).toUpperCase()} 1 "" "presently ${version}" "User Commands"`,
  // neither hyphens nor stretched lines
  ".nh",
  ".ad l",
  ...section("NAME", [`${plain(pageName(path))} \\- ${plain(description)}`]),
  ...section("SYNOPSIS", [plain(usage)]),
]

/** What the variables and exit codes of all commands mean; docs/configuration.md has the settings. */
const shared = (related: readonly string[]): readonly string[] => [
  ...section(
    "EXIT STATUS",
    [
      ["0", "success"],
      ...Object.entries(exitCodes).map(([name, code]) => [String(code), meanings[name as Meant]]),
    ].flatMap(([code = "", meaning = ""]) => tagged(code, meaning)),
  ),
  ...section("ENVIRONMENT", [
    ...tagged(
      bold("PRESENTLY_ADMIN"),
      "HOST:PORT of the management port, for commands that ask a running server",
    ),
    ...tagged(bold("PRESENTLY_TOKEN"), "token for the management port"),
    ...tagged(bold("PRESENTLY_NAME"), "the setting NAME in capital letters, for commands that read settings"),
    ...tagged(
      bold("NODE_COMPILE_CACHE"),
      "folder for compiled code; otherwise CACHE_DIRECTORY, XDG_CACHE_HOME or ~/.cache",
    ),
  ]),
  ...section("SEE ALSO", [related.map((name) => `${bold(name)}(1)`).join(", ")]),
]

type Meant = keyof typeof exitCodes
const meanings: Readonly<Record<Meant, string>> = {
  finding: "a finding: what was waited for did not happen, or there are differences",
  refused: "the server refused the request",
  usage: "the arguments are wrong",
  unavailable: "no server answers at that address",
  software: "a defect of presently",
  io: "a file or socket of this machine could not be used",
  notAllowed: "the token is missing, unknown, or its scope is too small",
  config: "the configuration is wrong",
  interrupted: "interrupted",
}

/** Pages by the names of their files. */
export const manPages = async (): Promise<ReadonlyMap<string, string>> => {
  const top = commandPaths.filter(({ length }) => length === 1)
  const pages = new Map<string, string>()
  for (const path of [[], ...top]) {
    const help = await helpOf(path)
    const below = commandPaths.filter((inner) => inner.length > 1 && inner[0] === path[0])
    const lines = [
      ...head(path, help),
      ...section("ARGUMENTS", argumentLines(help)),
      ...section("OPTIONS", flagLines(help.flags)),
    ]
    if (below.length === 0) lines.push(...section("COMMANDS", commandLines(help)))
    for (const inner of below) {
      const about = await helpOf(inner)
      lines.push(
        `.SH ${inner.slice(1).join(" ").toUpperCase()}`,
        plain(about.description),
        ".PP",
        plain(about.usage),
        ...argumentLines(about),
        ...flagLines(about.flags),
        ...exampleLines(about),
      )
    }
    lines.push(
      ...section("GLOBAL OPTIONS", flagLines(help.globalFlags ?? [])),
      ...section("EXAMPLES", exampleLines(help)),
    )
    const related = path.length === 0 ? top.map(pageName) : ["presently"]
    pages.set(`${pageName(path)}.1`, [...lines, ...shared(related), ""].join("\n"))
  }
  return pages
}

export const writeManPages = async (folder: string): Promise<void> => {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of await manPages()) writeFileSync(join(folder, name), text)
}
