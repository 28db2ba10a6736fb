/**
 * Management commands over HTTP: JSON-RPC 2.0 at `POST /mi` under all names the seed's commands have had, and the same as
 * plain resources under `/v1`.
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { ExposeDesk } from "./expose.ts"
import { exposed } from "./expose.ts"
import { ifOwnHost, problem } from "./problems.ts"

export interface Refused {
  readonly code: number
  readonly message: string
}

/** Rows have the seed's fields first, under its names; times are seconds since 1970. */
export type Row = Readonly<Record<string, string | number>>

export interface Management {
  /** `refresh_type` 0: rules have changed; any other: everybody is told the present state. Null: done. */
  readonly refreshWatchers: (presentity: string, event: string, type: number) => Effect.Effect<Refused | null>
  /** Decides everything that has fallen due; nothing is ever left for it to do. */
  readonly cleanup: Effect.Effect<{ readonly decided: number }>
  readonly presentities: (event: string | null) => readonly Row[]
  /** Both are shell wildcards over whole URIs; null: any. */
  readonly subscriptions: (from: string | null, to: string | null) => readonly Row[]
}

interface Call {
  readonly names: readonly string[]
  /** In the seed's order; those in brackets may be left out. */
  readonly parameters: readonly string[]
  readonly run: (values: readonly (string | null)[]) => Effect.Effect<Result>
}

type Result = { readonly result: unknown } | { readonly error: Refused }

const invalidParams = -32_602

const callsOf = (management: Management, expose: ExposeDesk): readonly Call[] => [
  {
    names: ["refreshWatchers", "refresh_watchers", "presence:refresh_watchers"],
    parameters: ["presentity_uri", "event", "refresh_type"],
    run: ([presentity, event, type]) => {
      if (!/^\d+$/.test(type ?? "")) {
        const message = `refresh_type = ${type}: expected 0 (rules changed) or another whole number`
        return Effect.succeed({ error: { code: invalidParams, message } })
      }
      return Effect.map(management.refreshWatchers(presentity ?? "", event ?? "", Number(type)), done)
    },
  },
  {
    names: ["cleanup", "presence:cleanup"],
    parameters: [],
    run: () => Effect.map(management.cleanup, () => ({ result: "OK" })),
  },
  {
    names: ["pres_phtable_list", "presence:phtable_list"],
    parameters: ["[event]"],
    run: ([event]) => Effect.sync(() => ({ result: management.presentities(event ?? null) })),
  },
  {
    names: ["subs_phtable_list", "presence:subs_phtable_list"],
    parameters: ["[from]", "[to]"],
    run: ([from, to]) => {
      // the seed takes none or both
      if ((from == null) !== (to == null)) {
        return Effect.succeed({
          error: { code: invalidParams, message: "give both from and to, or neither" },
        })
      }
      return Effect.sync(() => ({ result: management.subscriptions(from ?? null, to ?? null) }))
    },
  },
  {
    names: ["pres_expose", "presence:expose"],
    parameters: ["event", "[filter]"],
    run: ([event, filter]) =>
      Effect.sync(() => {
        const found = exposed(expose, event ?? "", filter ?? null)
        return "why" in found ? { error: { code: found.status, message: found.why } } : { result: found.rows }
      }),
  },
]

const done = (refusal: Refused | null): Result => (refusal === null ? { result: "OK" } : { error: refusal })

export const managementRoutes = (management: Management, expose: ExposeDesk) => {
  const calls = new Map(callsOf(management, expose).flatMap((call) => call.names.map((name) => [name, call])))
  return Layer.mergeAll(
    HttpRouter.add(
      "POST",
      "/mi",
      Effect.gen(function* () {
        const request = yield* HttpServerRequest.HttpServerRequest
        return ifOwnHost(request) ?? (yield* rpc(calls, yield* Effect.orElseSucceed(request.text, () => "")))
      }),
    ),
    resource("GET", "/v1/presentities", ({ query }) =>
      Effect.succeed(json({ items: management.presentities(query.get("event")) })),
    ),
    resource("GET", "/v1/subscriptions", ({ query }) =>
      Effect.succeed(json({ items: management.subscriptions(query.get("from"), query.get("to")) })),
    ),
    resource("POST", "/v1/maintenance/cleanup", () => Effect.map(management.cleanup, json)),
    resource("POST", "/v1/presentities/:uri/refresh", ({ path, body }) => {
      const { event = "presence", kind = "rules" } = body as { event?: unknown; kind?: unknown }
      if (typeof event !== "string" || (kind !== "rules" && kind !== "state")) {
        return Effect.succeed(problem(400, 'expected {"event": "presence", "kind": "rules" or "state"}'))
      }
      return Effect.map(
        management.refreshWatchers(decodeURIComponent(path[3] ?? ""), event, kind === "rules" ? 0 : 1),
        (refusal) =>
          refusal === null
            ? HttpServerResponse.empty({ status: 204 })
            : problem(refusal.code >= 400 && refusal.code < 600 ? refusal.code : 400, refusal.message),
      )
    }),
  )
}

interface Asked {
  readonly path: readonly string[]
  readonly query: URLSearchParams
  readonly body: unknown
}

const resource = (
  method: "GET" | "POST",
  path: `/${string}`,
  answer: (asked: Asked) => Effect.Effect<HttpServerResponse.HttpServerResponse>,
) =>
  HttpRouter.add(
    method,
    path,
    Effect.gen(function* () {
      const request = yield* HttpServerRequest.HttpServerRequest
      const refusal = ifOwnHost(request)
      if (refusal !== null) return refusal
      const url = new URL(request.url, "http://localhost")
      const text = yield* Effect.orElseSucceed(request.text, () => "")
      const body = text === "" ? {} : parsed(text)
      if (typeof body !== "object" || body === null || Array.isArray(body)) {
        return problem(400, "the body is no JSON object")
      }
      return yield* answer({ path: url.pathname.split("/"), query: url.searchParams, body })
    }),
  )

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

const json = (value: unknown): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(`${JSON.stringify(value)}\n`, { contentType: "application/json" })

/** @source JSON-RPC 2.0: one call or a batch; one without id is not answered */
const rpc = (
  calls: ReadonlyMap<string, Call>,
  text: string,
): Effect.Effect<HttpServerResponse.HttpServerResponse> => {
  const asked = parsed(text)
  if (asked === undefined) return Effect.succeed(json(failure(null, -32_700, "the body is no JSON")))
  if (!Array.isArray(asked)) {
    return Effect.map(one(calls, asked), (answer) =>
      answer === null ? HttpServerResponse.empty({ status: 204 }) : json(answer),
    )
  }
  if (asked.length === 0) return Effect.succeed(json(failure(null, -32_600, "the batch is empty")))
  return Effect.map(
    Effect.forEach(asked as readonly unknown[], (call) => one(calls, call)),
    (answers) => {
      const given = answers.filter((answer) => answer !== null)
      return given.length === 0 ? HttpServerResponse.empty({ status: 204 }) : json(given)
    },
  )
}

type Id = string | number | null

const failure = (id: Id, code: number, message: string) => ({ jsonrpc: "2.0", id, error: { code, message } })

const one = (calls: ReadonlyMap<string, Call>, asked: unknown): Effect.Effect<object | null> => {
  const isObject = typeof asked === "object" && asked !== null && !Array.isArray(asked)
  const { jsonrpc, method, params, id } = (isObject ? asked : {}) as Readonly<Record<string, unknown>>
  const name = typeof id === "string" || typeof id === "number" ? id : null
  if (jsonrpc !== "2.0" || typeof method !== "string") {
    return Effect.succeed(
      failure(name, -32_600, 'no call: expected {"jsonrpc": "2.0", "method": …, "id": …}'),
    )
  }
  const answered = (result: Result): object | null => {
    if (id === undefined) return null
    return "error" in result
      ? failure(name, result.error.code, result.error.message)
      : { jsonrpc: "2.0", id: name, result: result.result }
  }
  const call = calls.get(method)
  if (call === undefined) {
    return Effect.succeed(
      answered({ error: { code: -32_601, message: `${method}: there is no such command` } }),
    )
  }
  const values = valuesOf(call, params)
  return typeof values === "string"
    ? Effect.succeed(answered({ error: { code: invalidParams, message: values } }))
    : Effect.map(call.run(values), answered)
}

/** In the call's order, by position or by name; what is wrong in words. */
const valuesOf = ({ parameters }: Call, params: unknown): readonly (string | null)[] | string => {
  const names = parameters.map((name) => name.replace(/^\[|\]$/g, ""))
  const usage = `expected ${parameters.length === 0 ? "no parameters" : parameters.join(", ")}`
  let given: readonly unknown[]
  if (params === undefined || params === null) given = []
  else if (Array.isArray(params)) given = params
  else if (typeof params === "object") {
    const unknown = Object.keys(params).find((name) => !names.includes(name))
    if (unknown !== undefined) return `${unknown}: there is no such parameter; ${usage}`
    given = names.map((name) => (params as Readonly<Record<string, unknown>>)[name])
  } else return usage
  if (given.length > names.length) return `too many parameters; ${usage}`
  const values: (string | null)[] = []
  for (const [index, parameter] of parameters.entries()) {
    const value = given[index]
    if (value === undefined || value === null) {
      if (!parameter.startsWith("[")) return `${names[index]} is missing; ${usage}`
      values.push(null)
    } else if (typeof value === "string" || typeof value === "number") values.push(`${value}`)
    else return `${names[index]} is neither text nor a number; ${usage}`
  }
  return values
}
