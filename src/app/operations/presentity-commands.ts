/**
 * Commands about one presentity, for people and programs: the management port and the library build every command here, and
 * differ only in how they read arguments and what a rejection becomes.
 */
import { Effect } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { About } from "../../domain/presentity/about.ts"
import type { Command, Reply } from "../../domain/presentity/commands.ts"
import type { Body, Header, PackageName, Seconds, SubHandling, Uri } from "../../domain/vocabulary.ts"

export interface Publication {
  readonly presentity: Uri
  readonly event: PackageName
  /** Text without a type has the first type of the package; null: a refresh or a removal. */
  readonly body: string | Body | null
  /** Headers that the package carries, each by name and value. */
  readonly headers?: readonly Header[]
  /** The publication to refresh, modify or remove; null: a new one. */
  readonly entityTag: string | null
  /** Lifetime in seconds, 0 removes; null: the package's default. */
  readonly expires: Seconds | null
  /** The device that made the change, which is not notified of it; null: none. */
  readonly device: string | null
  /** The person who asked for it; absent: the presentity, as far as is known. */
  readonly askedBy?: Uri
}

export interface Published {
  /** Empty: the publication was removed. */
  readonly entityTag: string
  readonly expires: Seconds
}

export type TerminationReason = "deactivated" | "probation" | "noresource"

/** `origin` is who asked, for the log; `E` is what a rejection becomes. */
export interface PresentityCommands<E> {
  /** As PUBLISH (RFC 3903 §4): creates, refreshes, modifies or removes, depending on the fields given. */
  readonly publish: (origin: string, publication: Publication) => Effect.Effect<Published, E>
  /** Ends the subscriptions of one watcher, or of all of them (null). */
  readonly terminate: (
    origin: string,
    presentity: Uri,
    packageName: PackageName,
    watcher: Uri | null,
    ending: { readonly reason: TerminationReason; readonly askedBy?: Uri },
  ) => Effect.Effect<void, E>
  /** Approves or denies a watcher, whatever the rules say; null revokes the decision. */
  readonly decideWatcher: (
    origin: string,
    presentity: Uri,
    packageName: PackageName,
    watcher: Uri,
    handling: SubHandling | null,
  ) => Effect.Effect<void, E>
  /** `rules`: every watcher is authorized again; `state`: every watcher is notified of the present state. */
  readonly refreshWatchers: (
    origin: string,
    presentity: Uri,
    packageName: PackageName,
    kind: "rules" | "state",
  ) => Effect.Effect<void, E>
  /** Puts an authorization document (RFC 5025) in force; null: there is none. */
  readonly replaceRules: (
    origin: string,
    presentity: Uri,
    packageName: PackageName,
    text: string | null,
  ) => Effect.Effect<void, E>
  /** Sets the document shown while nobody publishes (RFC 4827); null: none. */
  readonly setHardState: (
    origin: string,
    presentity: Uri,
    packageName: PackageName,
    body: string | Body | null,
  ) => Effect.Effect<void, E>
}

/** The media type of authorization documents (RFC 4745 §13). */
export const rulesType = "application/auth-policy+xml"

/** @param ask has a command decided and stored, and gives the reply */
export const makePresentityCommands = <E>(
  packages: Packages,
  ask: (presentity: Uri, command: Command, origin: string, about?: About) => Effect.Effect<Reply, E>,
): PresentityCommands<E> => {
  const typed = (packageName: PackageName, body: string | Body | null): Body | null => {
    if (typeof body !== "string") return body
    const [contentType = ""] = packages.find(packageName)?.accepts ?? []
    return { contentType, text: body }
  }
  const decide = (presentity: Uri, command: Command, origin: string, askedBy?: Uri): Effect.Effect<void, E> =>
    Effect.asVoid(ask(presentity, command, origin, asking(presentity, askedBy)))
  return {
    publish: (
      origin,
      { presentity, event: packageName, body, headers, entityTag, expires, device, askedBy },
    ) => {
      const command: Command = {
        _tag: "Publish",
        packageName,
        ifMatch: entityTag === null ? [] : [entityTag],
        expires,
        body: typed(packageName, body),
        bodyFault: null,
        sender: device,
        ...(headers === undefined ? {} : { headers }),
      }
      return Effect.map(ask(presentity, command, origin, asking(presentity, askedBy)), publishedIn)
    },
    terminate: (origin, presentity, packageName, watcher, { reason, askedBy }) =>
      decide(presentity, { _tag: "Terminate", packageName, watcher, reason }, origin, askedBy),
    decideWatcher: (origin, presentity, packageName, watcher, handling) =>
      decide(presentity, { _tag: "DecideWatcher", packageName, watcher, handling }, origin),
    refreshWatchers: (origin, presentity, packageName, kind) =>
      decide(presentity, { _tag: "RefreshWatchers", packageName, kind }, origin),
    replaceRules: (origin, presentity, packageName, text) => {
      const rules = text === null ? null : { contentType: rulesType, text }
      return decide(presentity, { _tag: "ReplaceRules", packageName, rules }, origin)
    },
    setHardState: (origin, presentity, packageName, body) =>
      decide(presentity, { _tag: "SetHardState", packageName, body: typed(packageName, body) }, origin),
  }
}

/** What is known of a request that a program makes for somebody. */
const asking = (presentity: Uri, askedBy: Uri | undefined): About | undefined =>
  askedBy === undefined || askedBy === presentity ? undefined : { by: { identity: askedBy } }

const publishedIn = (reply: Reply): Published =>
  reply._tag === "Published"
    ? { entityTag: reply.entityTag, expires: reply.expires }
    : { entityTag: "", expires: 0 }
