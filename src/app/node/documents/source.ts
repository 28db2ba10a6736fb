/** Sources of documents that are maintained elsewhere, the kinds of documents, and their health. */
import type { Effect, Scope } from "effect"
import type { Answer, Command } from "../../../domain/presentity/commands.ts"
import type { IsUnread } from "../../../domain/presentity/context.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Millis, PackageName, Uri } from "../../../domain/vocabulary.ts"
import type { DocumentPlace, Trouble } from "../../../ports/document-source.ts"

/** A place to poll for documents. */
export interface DocumentSource extends DocumentPlace {
  readonly everySeconds: number
}

export interface DocumentKind {
  /** As used in messages. */
  readonly name: string
  /** Whether documents of this package come from the source. */
  readonly governs: (packageName: PackageName) => boolean
  readonly commandOf: (packageName: PackageName, text: string | null) => Command
  /** The documents in force, by package. */
  readonly inForce: (state: State) => Iterable<readonly [PackageName, string]>
  /** Whether watchers wait until the source has been read. */
  readonly decidesWhoWatches: boolean
}

/** A document that cannot be used. */
export interface Troubled extends Trouble {
  /** When that was first noticed. */
  readonly since: Millis
}

/** The health of a source. */
export interface SourceHealth {
  /** `rules` or `hard state`. */
  readonly kind: string
  /** `folder /etc/presently/rules` */
  readonly name: string
  /** `reading`: for the first time; `unreachable`: the last poll failed, or there has been no answer. */
  readonly state: "reading" | "read" | "unreachable"
  /** Why it is unreachable; null if it is not. */
  readonly why: string | null
  /** Since when it is unreachable; null if it is not. */
  readonly since: Millis | null
  /** Documents in the source, usable or not. */
  readonly documents: number
  readonly troubles: readonly Troubled[]
  /** Successful polls, and failed ones. */
  readonly looks: number
  readonly failures: number
}

export interface Follower {
  /**
   * Puts the documents of the source in force, then keeps polling. Completes when they are in force, or when
   * the source cannot be read in time; in that case watchers wait wherever the log has no document.
   */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
  /** Polls now; waits for a poll under way, but not indefinitely. */
  readonly poll: Effect.Effect<void>
  readonly isUnread: IsUnread
  /** Null if there is no source. */
  readonly health: () => SourceHealth | null
}

/** The owner of a document, for messages. */
export const nameOf = (document: { readonly presentity: Uri; readonly packageName: PackageName }): string =>
  document.packageName === "presence"
    ? document.presentity
    : `${document.presentity} for ${document.packageName}`

/** Why a document is not in force; null if it is. */
export const refusal = (answer: Answer): string | null => {
  if (answer._tag === "Accepted") return null
  const { rejection } = answer
  if ("why" in rejection) return rejection.why
  return rejection._tag === "UnsupportedMediaType"
    ? `of another type than ${rejection.accept.join(" or ")}`
    : `${rejection.status}`
}
