/**
 * Documents that somebody else keeps, on their way into the log: a place that is looked at again and again.
 *
 * A document that cannot be read is refused with the reason, and what was in force stays in force.
 */
import { Effect } from "effect"
import type { Answer, Command } from "../domain/presentity/commands.ts"
import type { State } from "../domain/presentity/state.ts"
import type { Uri } from "../domain/vocabulary.ts"
import type { Pump } from "./pump.ts"

/** What a place says of one presentity now; null text: there is nothing any more. */
export interface DocumentChange {
  readonly presentity: Uri
  readonly text: string | null
  /** For messages. */
  readonly file: string
}

/** A place that says which documents are in force. */
export interface DocumentSource {
  /** Everything that changed since the last look; the first look finds every document. */
  readonly look: Effect.Effect<readonly DocumentChange[], { readonly message: string }>
  readonly everySeconds: number
}

export interface DocumentKind {
  /** For messages. */
  readonly name: string
  readonly commandOf: (text: string | null) => Command
  readonly isInForce: (state: State) => boolean
}

export interface Follower {
  /** Puts in force whatever has changed since the last look. */
  readonly look: Effect.Effect<void>
  /** Looks now and every so often, until it is interrupted. */
  readonly follow: Effect.Effect<void>
}

/**
 * Puts what a source says in force.
 *
 * The source is the truth: what is in force when it is first looked at, and that it does not have, is removed.
 */
export const makeFollower = (source: DocumentSource | null, kind: DocumentKind, pump: Pump): Follower => {
  if (source === null) return { look: Effect.void, follow: Effect.void }
  let told = ""
  let isFirst = true
  let left: readonly DocumentChange[] = []
  const look = Effect.gen(function* () {
    const found = yield* source.look
    const changes = [...left, ...found, ...(isFirst ? missingFrom(found, kind, pump) : [])]
    isFirst = false
    const again: DocumentChange[] = []
    for (const change of changes) {
      const { presentity, text, file } = change
      const answer = yield* pump.ask(presentity, kind.commandOf(text), `${kind.name} source ${file}`)
      const why = refusal(answer)
      if (why === null) {
        yield* Effect.logInfo(
          `${kind.name} of ${presentity} ${text === null ? "removed" : "in force"}: ${file}`,
        )
      } else if (answer._tag === "Rejected" && answer.rejection._tag === "ServiceUnavailable")
        again.push(change)
      else {
        yield* Effect.logWarning(
          `${kind.name} of ${presentity} in ${file} refused, the old stays in force: ${why}`,
        )
      }
    }
    left = again
    told = ""
  }).pipe(
    Effect.catch((unusable) => {
      if (told === unusable.message) return Effect.void
      told = unusable.message
      return Effect.logError(unusable.message)
    }),
  )
  const wait = Effect.sleep(source.everySeconds * 1000)
  return { look, follow: look.pipe(Effect.andThen(wait), Effect.forever) }
}

const missingFrom = (
  found: readonly DocumentChange[],
  kind: DocumentKind,
  pump: Pump,
): readonly DocumentChange[] => {
  const present = new Set(found.map((one) => one.presentity))
  const missing: DocumentChange[] = []
  for (const presentity of pump.engine.presentities()) {
    const state = pump.engine.state(presentity)
    if (state === undefined || present.has(presentity) || !kind.isInForce(state)) continue
    missing.push({ presentity, text: null, file: "no longer there" })
  }
  return missing
}

/** Why a document is not in force; null when it is. */
export const refusal = (answer: Answer): string | null => {
  if (answer._tag === "Accepted") return null
  const { rejection } = answer
  if ("why" in rejection) return rejection.why
  return rejection._tag === "UnsupportedMediaType"
    ? `of another type than ${rejection.accept.join(" or ")}`
    : `${rejection.status}`
}
