/**
 * Documents that somebody else keeps: where they come from, what they are, and how it stands with them.
 */
import type { Effect, Scope } from "effect"
import type { Answer, Command } from "../../../domain/presentity/commands.ts"
import type { IsUnread } from "../../../domain/presentity/context.ts"
import type { State } from "../../../domain/presentity/state.ts"
import type { Millis, PackageName, Uri } from "../../../domain/vocabulary.ts"
import type { DocumentPlace, Trouble } from "../../../ports/document-source.ts"

/** A place that says which documents are in force. */
export interface DocumentSource extends DocumentPlace {
  readonly everySeconds: number
}

export interface DocumentKind {
  /** For messages. */
  readonly name: string
  /** Whether documents of this package come from the source. */
  readonly governs: (packageName: PackageName) => boolean
  readonly commandOf: (packageName: PackageName, text: string | null) => Command
  /** What is in force, by package. */
  readonly inForce: (state: State) => Iterable<readonly [PackageName, string]>
  /** Whether watchers wait while their source has not been read. */
  readonly decidesWhoWatches: boolean
}

/** A document that cannot be used. */
export interface Troubled extends Trouble {
  /** When it was found so. */
  readonly since: Millis
}

/** How it stands with a source. */
export interface SourceHealth {
  /** `rules` or `hard state`. */
  readonly kind: string
  /** `folder /etc/presently/rules` */
  readonly name: string
  /** `reading`: for the first time; `unreachable`: it could not be read when it was last looked at, or has not answered yet. */
  readonly state: "reading" | "read" | "unreachable"
  /** Why it is unreachable; null: it is not. */
  readonly why: string | null
  /** Since when it is unreachable; null: it is not. */
  readonly since: Millis | null
  /** Documents there are, usable or not. */
  readonly documents: number
  readonly troubles: readonly Troubled[]
  /** Looks that read it, and looks that could not. */
  readonly looks: number
  readonly failures: number
}

export interface Follower {
  /**
   * Puts in force what the source has, and follows it from then on. Succeeds when that is done, or when the source cannot be
   * read in time; then all that the log knows nothing of waits.
   */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
  /** Puts in force whatever has changed since the last look; waits for one that is under way, but not for ever. */
  readonly poll: Effect.Effect<void>
  readonly isUnread: IsUnread
  /** Null: there is no source. */
  readonly health: () => SourceHealth | null
}

/** Whose document it is, in words. */
export const nameOf = (of: { readonly presentity: Uri; readonly packageName: PackageName }): string =>
  of.packageName === "presence" ? of.presentity : `${of.presentity} for ${of.packageName}`

/** Why a document is not in force; null when it is. */
export const refusal = (answer: Answer): string | null => {
  if (answer._tag === "Accepted") return null
  const { rejection } = answer
  if ("why" in rejection) return rejection.why
  return rejection._tag === "UnsupportedMediaType"
    ? `of another type than ${rejection.accept.join(" or ")}`
    : `${rejection.status}`
}
