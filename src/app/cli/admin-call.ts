/**
 * Requests to a running server over its management port.
 */
import { once } from "node:events"
import { request } from "node:http"
import type { IncomingMessage } from "node:http"
import { text as textOf } from "node:stream/consumers"
import { Data, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { UsageInvalid } from "../client/failures.ts"
import { parseHostPort, withoutScheme } from "../config/host-port.ts"
import { exitCodes } from "../exit-codes.ts"

export class ServerSaidNo extends Data.TaggedError("ServerSaidNo")<{
  readonly why: string
  readonly exitCode: number
}> {
  override get message(): string {
    return this.why
  }
}

export const defaultAdmin = "127.0.0.1:5080"

/** Whether a management port was named by its flag or in the environment. */
export const isNamed = (admin: string): boolean => admin !== ""

export const adminFlags = {
  admin: Flag.String("admin").pipe(
    Flag.withMetavar("HOST:PORT"),
    Flag.withDefault(process.env["PRESENTLY_ADMIN"] ?? ""),
    Flag.withDescription(
      `the server's management port; default: that of presently dev in this folder, else ${defaultAdmin}; PRESENTLY_ADMIN in the environment does as well`,
    ),
  ),
  token: Flag.String("token").pipe(
    Flag.withMetavar("TOKEN"),
    Flag.optional,
    Flag.withDescription(
      "for a server with --admin-tokens-file; PRESENTLY_TOKEN in the environment does as well",
    ),
  ),
}

export interface AdminInput {
  readonly admin: string
  readonly token: Option.Option<string>
}

/** The management port of `presently dev` in this folder; null: none runs here, or it has none. */
export const adminHere = Effect.promise(async () => {
  const { devFolder, noteIn } = await import("../server-note.ts")
  return noteIn(devFolder)?.admin ?? null
})

/** The text of a 2xx response; any other response is a failure with the reason that it gives. */
export const askAdmin = Effect.fnUntraced(function* (
  method: "GET" | "PUT" | "DELETE" | "POST",
  { admin: named, token }: AdminInput,
  path: string,
  body: string | null,
) {
  const admin = isNamed(named) ? named : ((yield* adminHere) ?? defaultAdmin)
  const address = parseHostPort(withoutScheme(admin))
  if (address === null) {
    const why = /^https:/i.test(admin)
      ? "the management port speaks no TLS: name HOST:PORT of whatever forwards to it"
      : "expected HOST:PORT, for example 127.0.0.1:5080"
    return yield* new UsageInvalid({ why: `--admin ${JSON.stringify(admin)}: ${why}` })
  }
  const bearer = Option.getOrUndefined(token) ?? process.env["PRESENTLY_TOKEN"]
  const response = yield* Effect.tryPromise({
    try: async () => {
      // some responses take minutes, and fetch would time out
      const asked = request({
        ...address,
        method,
        path,
        agent: false,
        ...(bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
      })
      asked.end(body ?? undefined)
      const [answer] = (await once(asked, "response")) as [IncomingMessage]
      return { status: answer.statusCode ?? 0, text: await textOf(answer) }
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
    exitCode:
      response.status === 401 || response.status === 403
        ? exitCodes.notAllowed
        : response.status === 404 && method === "GET"
          ? exitCodes.finding
          : exitCodes.refused,
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
