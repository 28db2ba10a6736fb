/**
 * Flags that client commands share: the server, the transport, and the user's own address.
 */
import type { Option } from "effect"
import { Argument, Flag } from "effect/cli"
import { clientTransportNames } from "../../adapters/sip/transports/names.ts"
import type { ClientTransportName } from "../../adapters/sip/transports/names.ts"
import { placeFlags } from "./server-place.ts"
import type { ServerPlace } from "./server-place.ts"

export const toDefault = "127.0.0.1:5060"

export const toFlag = Flag.String("to").pipe(
  Flag.withMetavar("HOST:PORT"),
  Flag.withDescription("where the server listens"),
  Flag.optional,
)

export const agentFlags = {
  to: toFlag.pipe(
    Flag.withDescription(
      `where the server listens; default: where presently dev in this folder does, else ${toDefault}`,
    ),
  ),
  ...placeFlags,
  transport: Flag.Literals("transport", clientTransportNames).pipe(
    Flag.withDescription("default: what the URI says with ;transport=tcp or its scheme sips, else udp"),
    Flag.optional,
  ),
  ca: Flag.String("ca").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "PEM file of the authority, or the certificate, that the server proves itself with; default: authorities of Node.js",
    ),
    Flag.optional,
  ),
  user: Flag.String("user").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("who you are, for a server that asks"),
    Flag.optional,
  ),
  passwordFile: Flag.String("password-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("file whose first line is the password of --user"),
    Flag.optional,
  ),
}

export interface AgentInput extends ServerPlace {
  readonly to: Option.Option<string>
  readonly transport: Option.Option<ClientTransportName>
  readonly ca: Option.Option<string>
  readonly user: Option.Option<string>
  readonly passwordFile: Option.Option<string>
}

export const eventFlag = Flag.String("event").pipe(
  Flag.withMetavar("PACKAGE"),
  Flag.withDefault("presence"),
  Flag.withDescription("event package"),
)

export const uriArgument = Argument.String("URI").pipe(
  Argument.withDescription("the presentity, for example sip:alice@example.com"),
)
