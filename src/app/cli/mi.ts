/**
 * `presently mi METHOD ARG…`: a management command under any of its names, with the arguments in OpenSIPS's order.
 */
import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { exitCodes } from "../exit-codes.ts"
import { ServerSaidNo, adminFlags, askAdmin } from "./admin-call.ts"

export const mi = Command.make(
  "mi",
  {
    ...adminFlags,
    method: Argument.String("METHOD").pipe(
      Argument.withDescription("for example refreshWatchers or presence:expose"),
    ),
    args: Argument.String("ARG").pipe(Argument.withDescription("in order"), Argument.variadic()),
  },
  Effect.fn(function* ({ method, args, ...input }) {
    const call = { jsonrpc: "2.0", method, ...(args.length === 0 ? {} : { params: args }), id: 1 }
    const answer = JSON.parse(yield* askAdmin("POST", input, "/mi", JSON.stringify(call))) as {
      readonly result?: unknown
      readonly error?: { readonly code: number; readonly message: string }
    }
    if (answer.error !== undefined) {
      const why = `${method}: ${answer.error.message} (${answer.error.code})`
      return yield* new ServerSaidNo({ why, exitCode: exitCodes.refused })
    }
    const { result } = answer
    yield* Console.log(typeof result === "string" ? result : JSON.stringify(result, null, 2))
  }),
).pipe(Command.withDescription("Call a management command of a running server by its OpenSIPS name"))
