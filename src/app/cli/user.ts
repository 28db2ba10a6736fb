/**
 * `presently user`: makes a line for the file of users from a name, a realm and the password on standard input.
 */
import { text } from "node:stream/consumers"
import { Console, Effect, Option, Redacted } from "effect"
import { Argument, Command, Flag, Prompt } from "effect/cli"
import { LocalFailure, UsageInvalid } from "../client/failures.ts"
import { narrowOutput } from "./secret-output.ts"

export const user = Command.make(
  "user",
  {
    name: Argument.String("NAME").pipe(Argument.withDescription("user name, for example alice")),
    realm: Flag.String("realm").pipe(
      Flag.withMetavar("REALM"),
      Flag.withDescription(
        "the server's realm; by default that is its first domain, also for accounts of its other domains: these have an --address",
      ),
    ),
    md5: Flag.Boolean("md5").pipe(
      Flag.withDefault(false),
      Flag.withDescription("hash for phones that know MD5 only; needs digest_md5 on the server"),
    ),
    address: Flag.String("address").pipe(
      Flag.withMetavar("URI"),
      Flag.withDescription("address of the account, where it is not NAME at REALM"),
      Flag.optional,
    ),
  },
  Effect.fn(function* ({ name, realm, md5, address }) {
    for (const [what, value] of [
      ["NAME", name],
      ["--realm", realm],
    ] as const) {
      if (!/^[^:\s"\\]+$/.test(value)) {
        return yield* new UsageInvalid({
          why: `${what} ${JSON.stringify(value)}: expected a word without colon, blank or quote`,
        })
      }
    }
    const { accountAddress, userLine } = yield* Effect.promise(() => import("../config/users.ts"))
    const written = Option.getOrNull(address)
    const uri = written === null ? null : accountAddress(written)
    if (written !== null && uri === null) {
      return yield* new UsageInvalid({
        why: `--address ${JSON.stringify(written)}: expected a URI such as sip:alice@example.com`,
      })
    }
    const password = yield* readPassword(name)
    if (password === "") {
      return yield* new UsageInvalid({ why: "no password: give it on standard input, one line" })
    }
    const advice = narrowOutput()
    if (advice !== null) yield* Console.error(`presently: ${advice}`)
    yield* Console.log(userLine(name, realm, password, md5 ? "MD5" : "SHA-256", uri))
  }),
).pipe(
  Command.withDescription("Print a line for --users-file; the password comes from standard input"),
  Command.withExamples([
    { command: "presently user alice --realm example.com < password.txt >> users.txt" },
    { command: "presently user alice --realm example.com --md5 < password.txt >> users.txt" },
    {
      command:
        "presently user bob --realm example.com --address sip:bob@example.org < password.txt >> users.txt",
    },
    {
      command: "presently user 4711 --realm pbx --address sip:alice@example.com < password.txt >> users.txt",
    },
  ]),
)

const readPassword = Effect.fnUntraced(function* (name: string) {
  if (process.stdin.isTTY) {
    return Redacted.value(yield* Prompt.run(Prompt.Hidden({ message: `password of ${name}` })))
  }
  const given = yield* Effect.tryPromise({
    try: () => text(process.stdin),
    catch: (cause) => new LocalFailure({ what: "standard input cannot be read", cause }),
  })
  return given.split(/\r?\n/)[0] ?? ""
})
