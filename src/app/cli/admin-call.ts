/**
 * Requests to a running server over its management port.
 */
import { Data, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { UsageInvalid } from "../client/failures.ts"
import { parseHostPort, withoutScheme, withoutSecureScheme } from "../config/host-port.ts"
import { exitCodes } from "../exit-codes.ts"
import { noAnswerInWords, requestAdmin } from "./admin-request.ts"

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
      `the server's management port, https://HOST:PORT where it speaks HTTPS; default: that of presently dev in this folder, else ${defaultAdmin}; PRESENTLY_ADMIN in the environment does as well`,
    ),
  ),
  token: Flag.String("token").pipe(
    Flag.withMetavar("TOKEN"),
    Flag.optional,
    Flag.withDescription(
      "for a server with --admin-tokens-file; PRESENTLY_TOKEN in the environment does as well",
    ),
  ),
  ca: Flag.String("ca").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription(
      "for https: PEM file of the authority, or the certificate, that the server proves itself with; default: authorities of Node.js; PRESENTLY_CA in the environment does as well",
    ),
  ),
  certificate: Flag.String("certificate").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription(
      "for https: PEM file with a certificate and its key, for a server with admin_client_certificates; PRESENTLY_CERTIFICATE in the environment does as well",
    ),
  ),
}

export interface AdminInput {
  readonly admin: string
  readonly token: Option.Option<string>
  readonly ca?: Option.Option<string>
  readonly certificate?: Option.Option<string>
}

/** What a flag gives, or else the environment. */
const givenBy = (flag: Option.Option<string> | undefined, variable: string): string | undefined =>
  Option.getOrUndefined(flag ?? Option.none()) ?? process.env[variable]

/** The management port of `presently dev` in this folder; null: none runs here, or it has none. */
export const adminHere = Effect.promise(async () => {
  const { devFolder, noteIn } = await import("../server-note.ts")
  return noteIn(devFolder)?.admin ?? null
})

/** The text of a 2xx response; any other response is a failure with the reason that it gives. */
export const askAdmin = Effect.fnUntraced(function* (
  method: "GET" | "PUT" | "DELETE" | "POST",
  { admin: named, token, ca, certificate }: AdminInput,
  path: string,
  body: string | null,
) {
  const admin = isNamed(named) ? named : ((yield* adminHere) ?? defaultAdmin)
  const isSecure = /^https:/i.test(admin)
  const parsed = parseHostPort(isSecure ? withoutSecureScheme(admin) : withoutScheme(admin))
  if (parsed === null) {
    return yield* new UsageInvalid({
      why: `--admin ${JSON.stringify(admin)}: expected HOST:PORT or https://HOST:PORT, for example 127.0.0.1:5080`,
    })
  }
  const address = { ...parsed, isSecure }
  const asked = {
    method,
    path,
    body,
    bearer: givenBy(token, "PRESENTLY_TOKEN"),
    ca: givenBy(ca, "PRESENTLY_CA"),
    certificate: givenBy(certificate, "PRESENTLY_CERTIFICATE"),
  }
  const response = yield* Effect.tryPromise({
    try: () => requestAdmin(address, asked),
    catch: (cause) =>
      new ServerSaidNo({ why: noAnswerInWords(cause, admin, address), exitCode: exitCodes.unavailable }),
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
