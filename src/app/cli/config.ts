/**
 * `presently init` and `presently config print|check|import`: what a server would run with, before it is started.
 */
import { Argument, Command, Flag } from "effect/cli"
import { onDemand } from "./on-demand.ts"
import { serverFlags } from "./server-flags.ts"

const print = Command.make(
  "print",
  {
    ...serverFlags,
    json: Flag.Boolean("json").pipe(Flag.withDefault(false), Flag.withDescription("one JSON object a line")),
  },
  onDemand(async () => (await import("./run/config.ts")).printSettings),
).pipe(Command.withDescription("Print every setting with its value and where that comes from; no passwords"))

const check = Command.make(
  "check",
  serverFlags,
  onDemand(async () => (await import("./run/config.ts")).checkSettings),
).pipe(Command.withDescription("Say everything that would keep presently serve from starting; opens nothing"))

export const init = Command.make(
  "init",
  {
    ...serverFlags,
    file: Argument.String("FILE").pipe(
      Argument.withDescription("what to write; presently.yaml unless said otherwise"),
      Argument.optional,
    ),
  },
  onDemand(async () => (await import("./run/config.ts")).writeSettings),
).pipe(Command.withDescription("Write a commented file of all settings, with those that are given set"))

const importing = Command.make(
  "import",
  {
    source: Argument.String("FILE").pipe(Argument.withDescription("opensips.cfg or kamailio.cfg")),
    output: Flag.String("output").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("FILE"),
      Flag.withDescription("what to write; standard output unless said otherwise"),
      Flag.optional,
    ),
  },
  onDemand(async () => (await import("./run/config.ts")).importScript),
).pipe(Command.withDescription("Make a file of settings from the presence parameters of an OpenSIPS script"))

export const config = Command.make("config").pipe(
  Command.withDescription("Settings of a server: what is in force, what is wrong, what another server had"),
  Command.withSubcommands([print, check, importing]),
)
