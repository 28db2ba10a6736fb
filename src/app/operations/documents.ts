/**
 * Rules and hard state of a package as documents: an operator reads, replaces and tests them.
 */
import { Effect } from "effect"
import type { Packages } from "../../domain/packages/event-package.ts"
import { rulesFor } from "../../domain/packages/event-package.ts"
import type { Answer, Reply } from "../../domain/presentity/commands.ts"
import type { IsUnread } from "../../domain/presentity/context.ts"
import { get } from "../../domain/table.ts"
import type { Body, PackageName, Uri } from "../../domain/vocabulary.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { Operations, DocumentKind } from "../../ports/operations.ts"
import { noSuchPackage } from "../config/did-you-mean.ts"
import { refusal } from "../node/documents/source.ts"
import type { Pump } from "../node/pump.ts"
import { makePresentityCommands, rulesType } from "./presentity-commands.ts"
import { uriOf } from "./uri-arguments.ts"

type DocumentOperations = Pick<Operations, "document" | "replaceDocument" | "testRules">

/** Why documents of a kind cannot be changed here, and what to do instead; null: they can. */
export type KeptElsewhere = Readonly<
  Record<DocumentKind, (packageName: PackageName, presentity: Uri, isRemoval: boolean) => string | null>
>

export const makeDocumentOperations = (
  pump: Pump,
  packages: Packages,
  keptElsewhere: KeptElsewhere,
  isUnread: IsUnread,
  now: () => number,
): DocumentOperations => {
  const present = (kind: DocumentKind, presentity: Uri, event: PackageName): Body | null => {
    const state = pump.engine.state(presentity)
    if (state === undefined) return null
    return (kind === "rules" ? get(state.rules, event)?.body : get(state.hardState, event)) ?? null
  }
  const known = (event: string, status: 404 | 409): Effect.Effect<void, Refused> =>
    packages.find(event) === null
      ? Effect.fail(new Refused({ status, why: noSuchPackage(event, packages.names()) }))
      : Effect.void
  const commands = makePresentityCommands(packages, (presentity, command, origin) =>
    Effect.flatMap(pump.ask(presentity, command, origin), accepted),
  )
  return {
    document: (kind, uri, event) =>
      Effect.andThen(
        known(event, 404),
        Effect.map(uriOf(uri), (presentity) => present(kind, presentity, event)),
      ),
    replaceDocument: (origin, kind, uri, event, document) =>
      Effect.gen(function* () {
        const presentity = yield* uriOf(uri)
        yield* known(event, 409)
        const why = keptElsewhere[kind](event, presentity, document === null)
        if (why !== null) return yield* new Refused({ status: 409, why })
        if (kind === "rules")
          return yield* commands.replaceRules(origin, presentity, event, document?.text ?? null)
        yield* commands.setHardState(
          origin,
          presentity,
          event,
          yield* hardStateBody(packages, event, document),
        )
      }),
    testRules: (uri, event, watcher, text) =>
      Effect.gen(function* () {
        const presentity = yield* uriOf(uri)
        const watcherUri = yield* uriOf(watcher)
        yield* known(event, 404)
        const eventPackage = packages.find(event)
        const rules = eventPackage === null ? undefined : rulesFor(eventPackage, packages)
        if (rules === undefined) return yield* new Refused({ status: 404, why: `${event} has no rules` })
        const source = text ?? present("rules", presentity, event)?.text ?? null
        if (source === null)
          return { handling: isUnread(presentity, event) ? "rules not read yet" : "no rules", matched: [] }
        const read = rules.read({ contentType: rulesType, text: source })
        if (read._tag === "Unreadable") return yield* new Refused({ status: 409, why: read.why })
        const { handling, matched } = rules.judge(read.rules, {
          uris: [watcherUri],
          sphere: null,
          now: now(),
        })
        return { handling: handling ?? "no rule matches", matched }
      }),
  }
}

type Given = Parameters<Operations["replaceDocument"]>[4]

/** The content type counts when it is one of the package's: clients that send a file often give none, or that of a form. */
const hardStateBody = (
  packages: Packages,
  packageName: PackageName,
  document: Given,
): Effect.Effect<Body | null, Refused> => {
  const types = packages.find(packageName)?.accepts ?? []
  const [usual] = types
  if (usual === undefined) {
    const why = `event = ${packageName}: nothing can be published for it`
    return Effect.fail(new Refused({ status: 409, why }))
  }
  if (document === null) return Effect.succeed(null)
  const { contentType, text } = document
  const isKnown = contentType !== null && types.includes(contentType)
  return Effect.succeed({ contentType: isKnown ? contentType : usual, text })
}

const accepted = (answer: Answer): Effect.Effect<Reply, Refused> =>
  answer._tag === "Accepted"
    ? Effect.succeed(answer.reply)
    : Effect.fail(new Refused({ status: 409, why: refusal(answer) ?? answer.rejection._tag }))
