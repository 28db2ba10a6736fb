/**
 * Errors that a program receives from presence.
 */
import { Data } from "effect"
import type { Rejection } from "../../domain/presentity/commands.ts"
import { shown, wordsOf } from "../extensions/words.ts"
import { nearNames, shownName, unknownName } from "./names.ts"

/** Names an argument that cannot be used, and what is expected instead. */
export interface BadArgument {
  readonly _tag: "BadArgument"
  /** The call and the path of the argument: `publish: headers[0][1]`. */
  readonly argument: string
  /** The value, abbreviated: `NaN`, `"60"`, `an object`. */
  readonly value: string
  /** What is accepted. */
  readonly expected: string
  /** A similar name, where the call has no argument of that name; absent: it has, and the value is wrong. */
  readonly unknown?: string
}

/**
 * A request that is refused, or an argument that cannot be used. `status` is the status code with which a SIP server would have
 * answered (RFC 3261 §21), such as 403, 412 or 489; `rejection` gives the same as a value of a union. `cause` is set where
 * another error is behind it: that of the store (503), or what a function or package of the program threw (500).
 */
export class PresenceRefused extends Data.TaggedError("PresenceRefused")<{
  readonly status: number
  readonly rejection: Rejection | { readonly _tag: "BadUri"; readonly uri: string } | BadArgument
  readonly cause?: unknown
}> {
  override get message(): string {
    const { rejection } = this
    if (rejection._tag === "BadUri")
      return `${rejection.uri} is no URI of a person: write sip:alice@example.com`
    if (rejection._tag === "BadArgument" && rejection.unknown !== undefined)
      return `${rejection.argument}: there is no such argument${rejection.unknown}`
    if (rejection._tag === "BadArgument")
      return `${rejection.argument} = ${rejection.value}: expected ${rejection.expected}`
    const words = rejection._tag.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase()
    const said = "why" in rejection && rejection.why !== "" ? `${words}: ${rejection.why}` : words
    return this.cause === undefined ? said : `${said} (${wordsOf(this.cause)})`
  }
}

/** @throws PresenceRefused */
export const refuseArgument = (
  argument: string,
  value: unknown,
  expected: string,
  status: 400 | 413 = 400,
): never => {
  throw new PresenceRefused({
    status,
    rejection: { _tag: "BadArgument", argument, value: shown(value), expected },
  })
}

/** @throws PresenceRefused when an object has a name that the call does not know. @param path of the object: `publish: ` */
export const refuseUnknownNames = (path: string, fields: object, known: ReadonlySet<string>): void => {
  const name = unknownName(fields, known)
  if (name === null) return
  const names = [...known]
  const rejection = {
    _tag: "BadArgument",
    argument: `${path}${shownName(name)}`,
    value: "a name that is not known",
    expected: names.join(", "),
    unknown: nearNames(name, names),
  } as const
  throw new PresenceRefused({ status: 400, rejection })
}

/** Options, or a store, that cannot be used: nothing was started. */
export class OptionsInvalid extends Data.TaggedError("OptionsInvalid")<{
  /** One line for each, naming option, value and what is expected. */
  readonly faults: readonly string[]
}> {
  override get message(): string {
    return this.faults.join("\n")
  }
}

/** The store failed, did not answer in time, or gave an impossible answer. */
export class StoreFault extends Data.TaggedError("StoreFault")<{
  /** The operation: `append`, `load`, `read`, `history` …, or `open`. */
  readonly operation: string
  readonly why: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `the event store: ${this.operation}: ${this.why}`
  }
}

/** A function of the program threw, or returned something invalid. */
export class CallbackFault extends Data.TaggedError("CallbackFault")<{
  /** `authorize`, `now`, `onRulesFault` … */
  readonly callback: string
  readonly why: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `${this.callback} ${this.why}`
  }
}

/** The iteration was too slow: more happened than is kept for it. Everything kept before that was delivered. */
export class FellBehind extends Data.TaggedError("FellBehind")<{
  readonly queue: "notifications" | "decisions" | "feed"
  /** `queueMax`: how many items are kept. */
  readonly max: number
}> {
  override get message(): string {
    return `${this.queue}: more than ${this.max} were waiting to be taken (option queueMax), and what came after is not told`
  }
}
