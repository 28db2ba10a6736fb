/**
 * Rules and hard state as HTTP resources: read, replaced and removed, on condition of what is there (RFC 9110 §13.1).
 */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import type { DocumentKind, Operations } from "../../ports/operations.ts"
import { bodyText, refusable } from "./answers.ts"
import { Principal } from "./api.ts"
import { Changed, NotFound } from "./problems.ts"

const tagOf = (text: string): string =>
  `"${createHash("sha256").update(text).digest("base64url").slice(0, 22)}"`

export const readDocument = (operations: Operations, kind: DocumentKind, uri: string, event: string) =>
  Effect.flatMap(refusable(operations.document(kind, uri, event)), (document) =>
    document === null
      ? Effect.fail(new NotFound({ detail: `${uri} has no ${kindNames[kind]} for ${event}` }))
      : Effect.succeed(
          HttpServerResponse.text(document.text, {
            contentType: document.contentType,
            headers: { etag: tagOf(document.text) },
          }),
        ),
  )

const kindNames = { rules: "rules", "hard-state": "hard state" } as const

export const replaceDocument = (operations: Operations, kind: DocumentKind, uri: string, event: string) =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { name } = yield* Principal
    const text = yield* bodyText
    yield* ifUnchanged(operations, kind, uri, event)
    const contentType = (request.headers["content-type"] ?? "").split(";", 1)[0]?.trim().toLowerCase()
    yield* refusable(
      operations.replaceDocument(name, kind, uri, event, { contentType: contentType ?? null, text }),
    )
    return HttpServerResponse.empty({ status: 204, headers: { etag: tagOf(text) } })
  })

export const removeDocument = (operations: Operations, kind: DocumentKind, uri: string, event: string) =>
  Effect.gen(function* () {
    const { name } = yield* Principal
    yield* ifUnchanged(operations, kind, uri, event)
    yield* refusable(operations.replaceDocument(name, kind, uri, event, null))
  })

/** @source RFC 9110 §13.1.1, §13.1.2 */
const ifUnchanged = (operations: Operations, kind: DocumentKind, uri: string, event: string) =>
  Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const [match, noneMatch] = [headers["if-match"], headers["if-none-match"]]
    if (match === undefined && noneMatch === undefined) return
    const document = yield* refusable(operations.document(kind, uri, event))
    const tag = document === null ? null : tagOf(document.text)
    const names = (list: string): boolean =>
      tag !== null && (list.trim() === "*" || list.split(",").some((one) => one.trim() === tag))
    if ((match !== undefined && !names(match)) || (noneMatch !== undefined && names(noneMatch))) {
      yield* new Changed({
        detail: `somebody has changed the ${kindNames[kind]} of ${uri} since: read before you write`,
      })
    }
  })
