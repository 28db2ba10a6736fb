/**
 * Management commands as JSON-RPC 2.0 under all names the commands of the OpenSIPS module have had, parameters by name or
 * in the module's order.
 */
import { Effect } from "effect"
import type { Operations } from "../../ports/operations.ts"
import type { Refused } from "./problems.ts"
import { includes } from "./tokens.ts"
import type { Scope } from "./tokens.ts"

interface Call {
  readonly names: readonly string[]
  readonly needs: Scope
  /** In the module's order; those in brackets may be left out. */
  readonly parameters: readonly string[]
  readonly run: (values: readonly (string | null)[], by: string) => Effect.Effect<unknown, Fault>
}

interface Fault {
  readonly code: number
  readonly message: string
}

const invalidParams = -32_602
const everything = { after: "", limit: Number.POSITIVE_INFINITY }

const callsOf = (desk: Operations): readonly Call[] => [
  {
    names: ["refreshWatchers", "refresh_watchers", "presence:refresh_watchers"],
    needs: "operate",
    parameters: ["presentity_uri", "event", "refresh_type"],
    run: ([presentity, event, type], by) => {
      if (!/^\d+$/.test(type ?? "")) {
        const message = `refresh_type = ${type}: expected 0 (rules changed) or another whole number`
        return Effect.fail({ code: invalidParams, message })
      }
      if (presentity === "") return Effect.fail({ code: 404, message: "Empty presentity URI" })
      if (event === "") return Effect.fail({ code: 400, message: "Empty event" })
      const kind = Number(type) === 0 ? "rules" : "state"
      return said(Effect.as(desk.refresh(by, presentity ?? "", event ?? "", kind), "OK"))
    },
  },
  {
    names: ["cleanup", "presence:cleanup"],
    needs: "operate",
    parameters: [],
    run: () => Effect.as(desk.cleanup, "OK"),
  },
  {
    names: ["pres_phtable_list", "presence:phtable_list"],
    needs: "read",
    parameters: ["[event]"],
    run: ([event]) => Effect.sync(() => desk.publications(event ?? null, everything).items),
  },
  {
    names: ["subs_phtable_list", "presence:subs_phtable_list"],
    needs: "read",
    parameters: ["[from]", "[to]"],
    run: ([from, to]) =>
      // the module takes none or both
      (from == null) !== (to == null)
        ? Effect.fail({ code: invalidParams, message: "give both from and to, or neither" })
        : Effect.sync(() => desk.subscriptions(from ?? null, to ?? null, everything).items),
  },
  {
    names: ["pres_expose", "presence:expose"],
    needs: "operate",
    parameters: ["event", "[filter]"],
    run: ([event, filter]) => said(desk.expose(event ?? "", filter ?? null)),
  },
  {
    names: ["pres_set_sharing_tag_active", "clusterer_shtag_set_active", "clusterer:shtag_set_active"],
    needs: "admin",
    parameters: ["tag"],
    // the newer ones name the tag with its cluster: `vip/1`
    run: ([tag], by) =>
      said(Effect.as(desk.setSharingTag(by, (tag ?? "").replace(/\/\d+$/, ""), "active"), "OK")),
  },
  {
    names: ["pres_list_sharing_tags", "clusterer_list_shtags", "clusterer:list_shtags"],
    needs: "read",
    parameters: [],
    run: () =>
      Effect.sync(() =>
        desk.sharingTags().map(({ tag, state, epoch }) => ({ Tag: tag, State: state, Epoch: epoch })),
      ),
  },
]

const said = <A>(effect: Effect.Effect<A, Refused>): Effect.Effect<A, Fault> =>
  Effect.mapError(effect, ({ status, why }) => ({ code: status, message: why }))

interface By {
  readonly name: string
  readonly scope: Scope
}

/** Null: nobody waits for an answer. */
export const answerCalls = (desk: Operations, by: By, text: string): Effect.Effect<unknown> => {
  const calls = new Map(callsOf(desk).flatMap((call) => call.names.map((name) => [name, call])))
  let asked: unknown
  try {
    asked = JSON.parse(text)
  } catch {
    return Effect.succeed(failure(null, -32_700, "the body is no JSON"))
  }
  if (!Array.isArray(asked)) return one(calls, by, asked)
  if (asked.length === 0) return Effect.succeed(failure(null, -32_600, "the batch is empty"))
  return Effect.map(
    Effect.forEach(asked as readonly unknown[], (call) => one(calls, by, call)),
    (answers) => {
      const given = answers.filter((answer) => answer !== null)
      return given.length === 0 ? null : given
    },
  )
}

type Id = string | number | null

const failure = (id: Id, code: number, message: string) => ({ jsonrpc: "2.0", id, error: { code, message } })

/** @source JSON-RPC 2.0 §4 and §5: a call without id is not answered */
const one = (calls: ReadonlyMap<string, Call>, by: By, asked: unknown): Effect.Effect<object | null> => {
  const isObject = typeof asked === "object" && asked !== null && !Array.isArray(asked)
  const { jsonrpc, method, params, id } = (isObject ? asked : {}) as Readonly<Record<string, unknown>>
  const name = typeof id === "string" || typeof id === "number" ? id : null
  if (jsonrpc !== "2.0" || typeof method !== "string") {
    return Effect.succeed(
      failure(name, -32_600, 'no call: expected {"jsonrpc": "2.0", "method": …, "id": …}'),
    )
  }
  const failed = ({ code, message }: Fault): object | null =>
    id === undefined ? null : failure(name, code, message)
  const call = calls.get(method)
  if (call === undefined) {
    return Effect.succeed(failed({ code: -32_601, message: `${method}: there is no such command` }))
  }
  if (!includes(by.scope, call.needs)) {
    const message = `${method} needs a token of scope ${call.needs}; ${by.name} has ${by.scope}`
    return Effect.succeed(failed({ code: 403, message }))
  }
  const values = valuesOf(call, params)
  if (typeof values === "string") return Effect.succeed(failed({ code: invalidParams, message: values }))
  return Effect.match(call.run(values, by.name), {
    onFailure: failed,
    onSuccess: (result): object | null => (id === undefined ? null : { jsonrpc: "2.0", id: name, result }),
  })
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
