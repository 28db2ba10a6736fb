/**
 * How client commands fail: each error says in one line what happened and what to do about it, and carries its exit code.
 */
import { Data } from "effect"
import { exitCodes } from "../exit-codes.ts"
import type { Message } from "./wire.ts"

/** The command line cannot be understood. */
export class UsageInvalid extends Data.TaggedError("UsageInvalid")<{ readonly why: string }> {
  readonly exitCode = exitCodes.usage
  override get message(): string {
    return this.why
  }
}

/** A file or socket of this machine cannot be used. */
export class LocalFailure extends Data.TaggedError("LocalFailure")<{
  readonly what: string
  readonly cause: unknown
}> {
  readonly exitCode = exitCodes.io
  override get message(): string {
    return `${this.what}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** No response: nobody listens, the name is unknown, or the connection was refused or lost. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{
  /** `udp 127.0.0.1:5060` */
  readonly target: string
  readonly why: string
}> {
  readonly exitCode = exitCodes.unavailable
  override get message(): string {
    return `nobody answers at ${this.target} (${this.why}): start a server there, or say where one is with --to HOST:PORT, --data DIR or --config FILE`
  }
}

/** A final response other than 2xx. */
export class Refused extends Data.TaggedError("Refused")<{
  readonly method: string
  readonly response: Message
  /** Whether credentials were sent. */
  readonly wasAuthenticated: boolean
}> {
  readonly exitCode = exitCodes.refused
  override get message(): string {
    const { response, method } = this
    const said = `${method} was refused: ${response.raw.status} ${response.reason}`
    const advice = adviceFor(response, method, this.wasAuthenticated)
    return advice === null ? said : `${said} (${advice})`
  }
}

/** The server ended the subscription for good, unasked. */
export class SubscriptionEnded extends Data.TaggedError("SubscriptionEnded")<{ readonly reason: string }> {
  readonly exitCode = exitCodes.refused
  override get message(): string {
    return `the server ended the subscription: ${this.reason}`
  }
}

/** What the command waited for did not happen. */
export class WaitedInVain extends Data.TaggedError("WaitedInVain")<{ readonly what: string }> {
  readonly exitCode = exitCodes.finding
  override get message(): string {
    return this.what
  }
}

const adviceFor = (response: Message, method: string, wasAuthenticated: boolean): string | null => {
  const header = (name: string): string => response.header(name) ?? "?"
  switch (response.raw.status) {
    case 401:
    case 407:
      return wasAuthenticated
        ? "user or password is wrong"
        : "the server wants to know who you are: --user NAME --password-file FILE"
    case 403:
      return method === "PUBLISH" ? "users publish for their own URI only" : "watch as yourself: --as URI"
    case 404:
      return "the server does not serve that URI; is its domain right?"
    case 412:
      return "that entity-tag is gone: publish again without --etag"
    case 406:
    case 415:
      return response.header("accept") === null ? null : `the server takes ${header("accept")}`
    case 423:
      return `too short: --expires ${header("min-expires")} or more`
    case 489:
      return `the server knows the events ${header("allow-events")}`
    case 503:
      return response.header("retry-after") === null ? null : `try again in ${header("retry-after")} s`
    default:
      return null
  }
}
