/**
 * Rules and hard state of a package, as documents that an operator reads, replaces and tries.
 */
import { Effect } from "effect"
import type { Operations, DocumentKind } from "../../ports/operations.ts"
import { Refused } from "../../ports/operation-refused.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Answer, Command } from "../../domain/presentity/commands.ts"
import type { IsUnread } from "../../domain/presentity/context.ts"
import { rulesFor } from "../../domain/packages/event-package.ts"
import { get } from "../../domain/table.ts"
import type { Body, PackageName, Uri } from "../../domain/vocabulary.ts"
import { uriOf } from "./uri-arguments.ts"
import type { Pump } from "../node/pump.ts"
import { refusal } from "../node/document-poller.ts"
import { noSuchPackage } from "../config/did-you-mean.ts"

const policyType = "application/auth-policy+xml"

export type DocumentDesk = Pick<Operations, "document" | "replaceDocument" | "testRules">

/** Why documents of a kind may not be put here, and what to do instead; null: they may. */
export type KeptElsewhere = Readonly<
  Record<DocumentKind, (packageName: PackageName, of: Uri, isRemoval: boolean) => string | null>
>

export const makeDocumentOperations = (
  pump: Pump,
  packages: Packages,
  keptElsewhere: KeptElsewhere,
  isUnread: IsUnread,
  now: () => number,
): DocumentDesk => {
  const present = (kind: DocumentKind, of: Uri, event: PackageName): Body | null => {
    const state = pump.engine.state(of)
    if (state == null) return null
    return (kind === "rules" ? get(state.rules, event)?.body : get(state.hardState, event)) ?? null
  }
  const known = (event: string, status: 404 | 409): Effect.Effect<void, Refused> =>
    packages.find(event) === null
      ? Effect.fail(new Refused({ status, why: noSuchPackage(event, packages.names()) }))
      : Effect.void
  return {
    document: (kind, uri, event) =>
      Effect.andThen(
        known(event, 404),
        Effect.map(uriOf(uri), (of) => present(kind, of, event)),
      ),
    replaceDocument: (by, kind, uri, event, document) =>
      Effect.gen(function* () {
        const of = yield* uriOf(uri)
        yield* known(event, 409)
        const why = keptElsewhere[kind](event, of, document === null)
        if (why !== null) return yield* new Refused({ status: 409, why })
        const command =
          kind === "rules" ? rules(event, document) : yield* hardState(packages, event, document)
        yield* accepted(yield* pump.ask(of, command, by))
      }),
    testRules: (uri, event, watcher, text) =>
      Effect.gen(function* () {
        const of = yield* uriOf(uri)
        const by = yield* uriOf(watcher)
        yield* known(event, 404)
        const eventPackage = packages.find(event)
        const rules = eventPackage === null ? undefined : rulesFor(eventPackage, packages)
        if (rules === undefined) return yield* new Refused({ status: 404, why: `${event} has no rules` })
        const source = text ?? present("rules", of, event)?.text ?? null
        if (source === null)
          return { handling: isUnread(of, event) ? "rules not read yet" : "no rules", matched: [] }
        const read = rules.read({ contentType: policyType, text: source })
        if (read._tag === "Unreadable") return yield* new Refused({ status: 409, why: read.why })
        const { handling, matched } = rules.judge(read.rules, { uris: [by], sphere: null, now: now() })
        return { handling: handling ?? "no rule matches", matched }
      }),
  }
}

type Given = Parameters<Operations["replaceDocument"]>[4]

const rules = (packageName: PackageName, document: Given): Command => ({
  _tag: "ReplaceRules",
  packageName,
  rules: document === null ? null : { contentType: policyType, text: document.text },
})

/** Its type counts when it is one of the package's: a client that sends a file often names none, or that of a form. */
const hardState = (
  packages: Packages,
  packageName: PackageName,
  document: Given,
): Effect.Effect<Command, Refused> => {
  const types = packages.find(packageName)?.accepts ?? []
  const [usual] = types
  if (usual === undefined) {
    const why = `event = ${packageName}: nothing can be published for it`
    return Effect.fail(new Refused({ status: 409, why }))
  }
  const given = document?.contentType ?? null
  const contentType = given !== null && types.includes(given) ? given : usual
  const body = document === null ? null : { contentType, text: document.text }
  return Effect.succeed({ _tag: "SetHardState", packageName, body })
}

const accepted = (answer: Answer): Effect.Effect<void, Refused> => {
  const why = refusal(answer)
  return why === null ? Effect.void : Effect.fail(new Refused({ status: 409, why }))
}
