/**
 * What the command prints without having to run: help of each command, version, completions; and the same help as data,
 * for man pages. All of it is asked of the command itself.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect } from "effect"
import { CliOutput, Command } from "effect/cli"
import type { HelpDoc } from "effect/cli"
import { presently } from "../src/app/cli/commands.ts"
import { version } from "../src/app/version.ts"

/** Names of shells, as `--completions` takes them. */
const shells = ["bash", "zsh", "fish", "powershell", "sh", "pwsh"]

interface Node {
  readonly name: string
  readonly subcommands: readonly { readonly commands: readonly Node[] }[]
}

const pathsBelow = ({ subcommands }: Node, path: readonly string[] = []): readonly (readonly string[])[] => [
  path,
  ...subcommands
    .flatMap(({ commands }) => commands)
    .flatMap((command) => pathsBelow(command, [...path, command.name])),
]

/** Words after `presently`, of every command, itself included. */
export const commandPaths: readonly (readonly string[])[] = pathsBelow(presently)

interface Printed {
  readonly text: string
  readonly help: HelpDoc.HelpDoc | null
}

const printedBy = async (args: readonly string[]): Promise<Printed> => {
  const lines: string[] = []
  const console = Object.assign(Object.create(globalThis.console) as Console.Console, {
    log: (line: string) => void lines.push(line),
  })
  let help: HelpDoc.HelpDoc | null = null
  const formatter = CliOutput.defaultFormatter({ colors: true })
  const taking = Object.assign(Object.create(formatter) as CliOutput.Formatter, {
    formatHelpDoc: (doc: HelpDoc.HelpDoc) => {
      help = doc
      return formatter.formatHelpDoc(doc)
    },
  })
  await Effect.runPromise(
    Command.runWith(presently, { version })(args).pipe(
      Effect.provideService(Console.Console, console),
      Effect.provide(CliOutput.layer(taking)),
      Effect.provide(NodeServices.layer),
    ),
  )
  return { text: lines.map((line) => `${line}\n`).join(""), help }
}

/** Texts with the arguments that ask for them; coloured as for a terminal. */
export const readyTexts = async (): Promise<
  readonly (readonly [args: readonly string[], text: string])[]
> => {
  const asked = [
    ...commandPaths.map((path) => [...path, "--help"]),
    ["--version"],
    ...shells.map((shell) => ["--completions", shell]),
  ]
  const texts: (readonly [readonly string[], string])[] = []
  for (const args of asked) texts.push([args, (await printedBy(args)).text])
  return texts
}

/** The help of a command as data. */
export const helpOf = async (path: readonly string[]): Promise<HelpDoc.HelpDoc> => {
  const { help } = await printedBy([...path, "--help"])
  if (help === null) throw new Error(`presently ${path.join(" ")} has no help`)
  return help
}
