/**
 * `presently rules get|put|delete|test`: authorization rules of a running server, over its management port.
 */
import { readFileSync } from "node:fs"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { LocalFailure } from "../client/failures.ts"
import { askAdmin, liveFlags } from "./admin-call.ts"
import type { AdminInput } from "./admin-call.ts"

const shared = {
  ...liveFlags,
  event: Flag.String("package").pipe(
    Flag.withAlias("event"),
    Flag.withMetavar("PACKAGE"),
    Flag.withDefault("presence"),
    Flag.withDescription("event package"),
  ),
  presentity: Argument.String("URI").pipe(
    Argument.withDescription("whose rules, for example sip:alice@example.com"),
  ),
}

const file = Argument.String("FILE").pipe(Argument.withDescription("rules document"))

const get = Command.make(
  "get",
  shared,
  Effect.fn(function* (input) {
    yield* Console.log((yield* call("GET", input, "", null)).trimEnd())
  }),
).pipe(Command.withDescription("Print the document in force; exit code 1 when there is none"))

const put = Command.make(
  "put",
  { ...shared, file },
  Effect.fn(function* (input) {
    yield* call("PUT", input, "", yield* read(input.file))
    yield* Console.log(
      input.event === "presence"
        ? `rules of ${input.presentity} are in force`
        : `rules of ${input.presentity} for ${input.event} are in force, and asked where watch_policy says ${input.event}=rules`,
    )
  }),
).pipe(Command.withDescription("Put a document in force, at once and for those who watch already"))

const remove = Command.make(
  "delete",
  shared,
  Effect.fn(function* (input) {
    yield* call("DELETE", input, "", null)
    yield* Console.log(`${input.presentity} has no rules`)
  }),
).pipe(Command.withDescription("Remove the document"))

const test = Command.make(
  "test",
  {
    ...shared,
    watcher: Flag.String("watcher").pipe(
      Flag.withMetavar("URI"),
      Flag.withDescription("who would like to watch"),
    ),
    file: file.pipe(Argument.optional),
  },
  Effect.fn(function* (input) {
    const text = Option.isSome(input.file) ? yield* read(input.file.value) : ""
    const answer = yield* call("POST", input, `/test?watcher=${encodeURIComponent(input.watcher)}`, text)
    const { handling, matched } = JSON.parse(answer) as { handling: string; matched: readonly number[] }
    const which =
      matched.length === 0 ? "" : ` (rules ${matched.map((index) => index + 1).join(", ")} of the document)`
    yield* Console.log(`${input.watcher}: ${handling}${which}`)
  }),
).pipe(Command.withDescription("Say how a watcher would be treated, by FILE or by the document in force"))

export const rules = Command.make("rules").pipe(
  Command.withDescription("Authorization rules of a running server, of presence or of any other package"),
  Command.withSubcommands([get, put, remove, test]),
)

const read = (path: string) =>
  Effect.try({
    try: () => readFileSync(path, "utf8"),
    catch: (cause) => new LocalFailure({ what: `${path} cannot be read`, cause }),
  })

const call = (
  method: "GET" | "PUT" | "DELETE" | "POST",
  input: AdminInput & { readonly presentity: string; readonly event: string },
  suffix: string,
  body: string | null,
) => {
  const path = `/v1/presentities/${encodeURIComponent(input.presentity)}/rules${suffix}`
  const event = `${suffix.includes("?") ? "&" : "?"}event=${encodeURIComponent(input.event)}`
  return askAdmin(method, input, `${path}${event}`, body)
}
