/**
 * Reads the flags of client commands; each error names its flag.
 */
import { readFileSync } from "node:fs"
import { Effect, Option } from "effect"
import {
  clientTransportNames,
  isClientTransportName,
  presumedName,
} from "../../../adapters/sip/transports/names.ts"
import type { ClientTransportName } from "../../../adapters/sip/transports/names.ts"
import { parseUri } from "../../../adapters/sip/uri.ts"
import { addressOfRecord } from "../../../domain/uris.ts"
import type { Credentials } from "../../client/credentials.ts"
import { LocalFailure, NoAnswer, UsageInvalid } from "../../client/failures.ts"
import type { Target } from "../../client/socket.ts"
import type { UserAgentOptions } from "../../client/user-agent.ts"
import type { ConfigInvalid } from "../../config/config.ts"
import { parseHostPort } from "../../config/host-port.ts"
import { toDefault } from "../client-flags.ts"
import type { AgentInput } from "../client-flags.ts"
import { isPlace, noteHere, placeText, serverAt } from "../server-place.ts"

/** How long a command waits for each response. */
export const answerMillis = 4_000

export interface Presentity {
  /** As it goes into the Request-URI. */
  readonly uri: string
  /** In canonical form. */
  readonly presentity: string
  readonly host: string
  readonly transport: ClientTransportName | null
}

/** `sip:alice@example.com`, or the same without its scheme. */
export const readPresentity = (text: string): Effect.Effect<Presentity, UsageInvalid> => {
  const written = /^[^:@]+@/.test(text) ? `sip:${text}` : text
  const uri = parseUri(written)
  if (uri === null || uri.scheme === "tel" || uri.user === null) {
    return Effect.fail(
      new UsageInvalid({ why: `${text} is not the URI of anybody: expected one like sip:alice@example.com` }),
    )
  }
  const parameter = uri.parameters.get("transport")?.toLowerCase() ?? null
  // RFC 3261 §26.2.2: over TCP means over TLS there
  const transport = uri.scheme === "sips" && (parameter ?? "tcp") === "tcp" ? "tls" : parameter
  if (transport !== null && !isClientTransportName(transport)) {
    return Effect.fail(
      new UsageInvalid({
        why: `transport=${transport} is not offered: expected ${clientTransportNames.join(" or ")}`,
      }),
    )
  }
  return Effect.succeed({ uri: written, presentity: addressOfRecord(uri), host: uri.host, transport })
}

const readTarget = (
  to: Option.Option<string>,
  transport: ClientTransportName,
): Effect.Effect<Target, UsageInvalid> => {
  const text = Option.getOrElse(to, () => toDefault)
  const hostPort = parseHostPort(text)
  return hostPort === null || hostPort.port === 0
    ? Effect.fail(new UsageInvalid({ why: `--to ${text}: expected HOST:PORT, for example ${toDefault}` }))
    : Effect.succeed({ ...hostPort, transport })
}

type Where = Pick<AgentInput, "to" | "config" | "data">

/** Where the flags or this folder say that a server listens; null: neither says anything. */
const listenOf = Effect.fnUntraced(function* (input: Where) {
  if (!isPlace(input)) return (yield* noteHere)?.listen ?? null
  const note = yield* serverAt(input)
  if (note !== null) return note.listen
  return yield* new NoAnswer({ target: placeText(input), why: "no server runs on that folder" })
})

/** What a client on the same machine sends to, where the server listens on every address. */
const reachable = (host: string): string => (host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host)

const addressesIn = (listen: readonly string[]): readonly Target[] =>
  listen.flatMap((entry): Target[] => {
    const transport = entry.slice(0, entry.indexOf(":"))
    const address = parseHostPort(entry.slice(transport.length + 1))
    if (address === null || !isClientTransportName(transport)) return []
    return [{ transport, host: reachable(address.host), port: address.port }]
  })

/**
 * Where the requests go: as `--to` says, else where the server that the other flags name listens, else that of this folder.
 *
 * @param wanted null: any transport will do
 */
export const findTarget = Effect.fnUntraced(function* (
  input: Where,
  wanted: ClientTransportName | null,
): Effect.fn.Return<Target, UsageInvalid | NoAnswer | ConfigInvalid> {
  const listen = Option.isSome(input.to) ? null : yield* listenOf(input)
  if (listen === null) return yield* readTarget(input.to, wanted ?? presumedName)
  const addresses = addressesIn(listen)
  const find = (name: ClientTransportName): Target | undefined =>
    addresses.find(({ transport }) => transport === name)
  const found = wanted === null ? (find(presumedName) ?? addresses[0]) : find(wanted)
  if (found !== undefined && found.port !== 0) return found
  const transport = wanted === null ? "" : `${wanted}: `
  const spoken = listen.filter((entry) => addressesIn([entry]).length > 0)
  return yield* new UsageInvalid({
    why:
      spoken.length > 0
        ? `${transport}the server listens on ${spoken.join(", ")}: give --transport or the URI one of these, or --to HOST:PORT`
        : `the server listens on ${listen.join(", ")}, and this command speaks ${clientTransportNames.join(", ")}: give --to HOST:PORT`,
  })
})

/** The options of a user agent, from the flags; reads the password file. */
export const agentOptions = Effect.fnUntraced(function* (
  input: AgentInput,
  uriTransport: ClientTransportName | null,
): Effect.fn.Return<UserAgentOptions, UsageInvalid | LocalFailure | NoAnswer | ConfigInvalid> {
  const authorities = yield* readAuthorities(input.ca)
  const found = yield* findTarget(
    input,
    Option.getOrElse(input.transport, () => uriTransport),
  )
  const target = authorities === null ? found : { ...found, authorities }
  const credentials = yield* readCredentials(input)
  return { target, credentials, timers: { transactionMs: answerMillis } }
})

const readAuthorities = (file: Option.Option<string>): Effect.Effect<string | null, LocalFailure> =>
  Option.isNone(file)
    ? Effect.succeed(null)
    : Effect.try({
        try: () => readFileSync(file.value, "utf8"),
        catch: (cause) => new LocalFailure({ what: "the file of --ca cannot be read", cause }),
      })

const readCredentials = Effect.fnUntraced(function* (
  input: AgentInput,
): Effect.fn.Return<Credentials | null, UsageInvalid | LocalFailure> {
  const user = Option.getOrNull(input.user)
  const file = Option.getOrNull(input.passwordFile)
  if (user === null && file === null) return null
  if (user === null || file === null) {
    return yield* new UsageInvalid({ why: "--user NAME and --password-file FILE go together" })
  }
  const text = yield* Effect.try({
    try: () => readFileSync(file, "utf8"),
    catch: (cause) => new LocalFailure({ what: "the password file cannot be read", cause }),
  })
  return { user, password: text.split(/\r?\n/)[0] ?? "" }
})

/** Seconds as given; null when the flag was left out. */
export const readSeconds = (
  flag: string,
  value: Option.Option<number>,
): Effect.Effect<number | null, UsageInvalid> => {
  const seconds = Option.getOrNull(value)
  return seconds !== null && (seconds < 0 || seconds > 0xff_ff_ff_ff)
    ? Effect.fail(new UsageInvalid({ why: `--${flag} ${seconds}: expected seconds, 0 or more` }))
    : Effect.succeed(seconds)
}

/** A header value from the command line, which must be one line of printable ASCII. */
export const readToken = (flag: string, text: string): Effect.Effect<string, UsageInvalid> =>
  /^[\x21-\x7e]+$/.test(text)
    ? Effect.succeed(text)
    : Effect.fail(new UsageInvalid({ why: `--${flag} ${JSON.stringify(text)}: expected one word` }))
