/**
 * `presently token`: makes a token for the management port, and its line for the file of tokens.
 */
import { randomBytes } from "node:crypto"
import { Console, Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { isTokenName, scopes, tokenLine } from "../../adapters/admin/tokens.ts"
import { UsageInvalid } from "../client/failures.ts"
import { narrowOutput } from "./secret-output.ts"

export const token = Command.make(
  "token",
  {
    name: Argument.String("NAME").pipe(Argument.withDescription("whose token, for the log: for example ops")),
    scope: Flag.Literals("scope", scopes).pipe(
      Flag.withDefault("read"),
      Flag.withDescription(
        "read looks, documents also sees documents, events and history, operate acts on presentities and watchers, admin acts on the server",
      ),
    ),
  },
  Effect.fn(function* ({ name, scope }) {
    if (!isTokenName(name)) {
      return yield* new UsageInvalid({
        why: `NAME ${JSON.stringify(name)}: expected up to 64 letters, digits, dots, dashes and underscores`,
      })
    }
    const secret = randomBytes(32).toString("base64url")
    yield* Console.error(`token of ${name}, shown this once: ${secret}`)
    const advice = narrowOutput()
    if (advice !== null) yield* Console.error(`presently: ${advice}`)
    yield* Console.log(tokenLine(name, scope, secret))
  }),
).pipe(
  Command.withDescription(
    "Make a token: the line for --admin-tokens-file on standard output, the token on standard error",
  ),
  Command.withExamples([{ command: "presently token ops --scope operate >> tokens.txt" }]),
)
