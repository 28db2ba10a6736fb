/**
 * Requests to a running server over its management port.
 */
import { Data, Effect, Option } from "effect"
import { Flag } from "effect/cli"
import { UsageInvalid } from "../client/failures.ts"
import { parseHostPort, withoutScheme, withoutSecureScheme } from "../config/host-port.ts"
import { exitCodes } from "../exit-codes.ts"
import { noAnswerInWords, requestAdmin } from "./admin-request.ts"
import { isPlace, noteHere, placeFlags, placeText, serverAt } from "./server-place.ts"
import type { ServerPlace } from "./server-place.ts"

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

/** The flags of commands that only a running server can carry out. */
export const liveFlags = { ...adminFlags, ...placeFlags }

/** With a place, the flags that name one say where the management port is, unless `--admin` does. */
export interface AdminInput extends Partial<ServerPlace> {
  readonly admin: string
  readonly token: Option.Option<string>
  /** With the flags of a store the command writes to that of a stopped server, without them it asks a running one. */
  readonly mayBeStopped?: true
  readonly ca?: Option.Option<string>
  readonly certificate?: Option.Option<string>
}

/** What a flag gives, or else the environment. */
const givenBy = (flag: Option.Option<string> | undefined, variable: string): string | undefined =>
  Option.getOrUndefined(flag ?? Option.none()) ?? process.env[variable]

/** The management port of `presently dev` in this folder; null: none runs here, or it has none. */
export const adminHere = Effect.map(noteHere, (note) => note?.admin ?? null)

/** HOST:PORT of the management port that the flags, the environment or this folder name. */
const portOf = Effect.fnUntraced(function* ({ admin, config = [], data = [] }: AdminInput) {
  const isFlag = isNamed(admin) && admin !== process.env["PRESENTLY_ADMIN"]
  if (!isFlag && isPlace({ config, data })) {
    const note = yield* serverAt({ config, data })
    const what = placeText({ config, data })
    const { unavailable } = exitCodes
    if (note === null) {
      const why = `${what}: no server runs on that folder; start one, or name the one that is meant with --admin`
      return yield* new ServerSaidNo({ why, exitCode: unavailable })
    }
    if (note.admin !== null) return note.admin
    return yield* new ServerSaidNo({
      why: `${what}: that server has no management port (admin = off)`,
      exitCode: unavailable,
    })
  }
  return isNamed(admin) ? admin : ((yield* adminHere) ?? defaultAdmin)
})

/** What to do when nobody answers, in the flags that the command has. */
const whereElse = ({ data, mayBeStopped }: AdminInput): string =>
  mayBeStopped === true
    ? "name its management port with --admin; or name the store of a stopped server with --data, --database-url or --config"
    : data === undefined
      ? "name its management port with --admin"
      : "say where one is with --admin HOST:PORT, --data DIR or --config FILE"

/** The text of a 2xx response; any other response is a failure with the reason that it gives. */
export const askAdmin = Effect.fnUntraced(function* (
  method: "GET" | "PUT" | "DELETE" | "POST",
  input: AdminInput,
  path: string,
  body: string | null,
) {
  const { token, ca, certificate } = input
  const admin = yield* portOf(input)
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
      new ServerSaidNo({
        why: noAnswerInWords(cause, admin, address, whereElse(input)),
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
