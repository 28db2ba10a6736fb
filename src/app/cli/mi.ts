/**
 * `presently mi METHOD ARG…`: a management command under any of its names, with the arguments in OpenSIPS's order.
 */
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { exitCodes } from "../exit-codes.ts"
import { ServerSaidNo, askAdmin, liveFlags } from "./admin-call.ts"

export const mi = Command.make(
  "mi",
  {
    ...liveFlags,
    method: Argument.String("METHOD").pipe(
      Argument.withDescription("for example refreshWatchers or presence:expose; help lists all"),
    ),
    args: Argument.String("ARG").pipe(Argument.withDescription("in order"), Argument.variadic()),
  },
  Effect.fn(function* ({ method, args, ...input }) {
    if (method === "help") return yield* listCommands
    const call = { jsonrpc: "2.0", method, ...(args.length === 0 ? {} : { params: args }), id: 1 }
    const answer = JSON.parse(yield* askAdmin("POST", input, "/mi", JSON.stringify(call))) as {
      readonly result?: unknown
      readonly error?: { readonly code: number; readonly message: string }
    }
    if (answer.error !== undefined) {
      const { code, message } = answer.error
      const said = message.startsWith(method) ? message : `${method}: ${message}`
      return yield* new ServerSaidNo({ why: `${said} (${code})`, exitCode: exitCodes.refused })
    }
    const { result } = answer
    yield* Console.log(typeof result === "string" ? result : JSON.stringify(result, null, 2))
  }),
).pipe(
  Command.withDescription("Call a management command of a running server by its OpenSIPS name"),
  Command.withExamples([
    { command: "presently mi help", description: "All commands with their parameters; asks no server" },
  ]),
)

/** The commands of this version, which a server of the same version has. */
const listCommands = Effect.gen(function* () {
  const { commandTable } = yield* Effect.promise(() => import("../../adapters/admin/operation-table.ts"))
  for (const { commands, parameters, summary } of commandTable)
    yield* Console.log(
      `${[commands.join(" | "), ...parameters].join(" ")}\n    ${summary.replace(/ \(\w+\)$/, "")}`,
    )
})
