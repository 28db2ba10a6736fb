/**
 * Asking a running server over its management port.
 */
import { Data, Effect } from "effect"
import { Flag } from "effect/cli"
import { UsageInvalid } from "../client/failures.ts"
import { parseHostPort } from "../config.ts"
import { exitCodes } from "./exit.ts"

export class ServerSaidNo extends Data.TaggedError("ServerSaidNo")<{
  readonly why: string
  readonly exitCode: number
}> {
  override get message(): string {
    return this.why
  }
}

export const adminFlag = Flag.String("admin").pipe(
  Flag.withMetavar("HOST:PORT"),
  Flag.withDefault("127.0.0.1:5080"),
  Flag.withDescription("the server's management port"),
)

/** The text of a 2xx answer; what else it answers is a failure with the reason it gives. */
export const askAdmin = Effect.fnUntraced(function* (
  method: "GET" | "PUT" | "DELETE" | "POST",
  admin: string,
  path: string,
  body: string | null,
) {
  const address = parseHostPort(admin)
  if (address === null) {
    return yield* new UsageInvalid({
      why: `--admin ${JSON.stringify(admin)}: expected HOST:PORT, for example 127.0.0.1:5080`,
    })
  }
  const host = address.host.includes(":") ? `[${address.host}]` : address.host
  const response = yield* Effect.tryPromise({
    try: async () => {
      const answer = await fetch(`http://${host}:${address.port}${path}`, {
        method,
        ...(body === null ? {} : { body }),
      })
      return { status: answer.status, text: await answer.text() }
    },
    catch: () =>
      new ServerSaidNo({
        why: `nobody answers at ${admin}: start a server there, or name its management port with --admin`,
        exitCode: exitCodes.unavailable,
      }),
  })
  if (response.status < 300) return response.text
  return yield* new ServerSaidNo({
    why: detailOf(response.text) ?? `the server answered ${response.status}`,
    exitCode: response.status === 404 && method === "GET" ? exitCodes.finding : exitCodes.refused,
  })
})

const detailOf = (text: string): string | null => {
  try {
    const parsed = JSON.parse(text) as { readonly detail?: unknown }
    return typeof parsed.detail === "string" ? parsed.detail : null
  } catch {
    return null
  }
}
