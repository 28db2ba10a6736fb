/**
 * Management commands as JSON-RPC 2.0, under every name that OpenSIPS has given them. Parameters are given by name, or in the
 * order of OpenSIPS. Names, parameters and scopes come from `operation-table.ts`.
 */
import { Effect } from "effect"
import type { Refused } from "../../ports/operation-refused.ts"
import { wholeList } from "../../ports/operations.ts"
import type { Operations } from "../../ports/operations.ts"
import { commandTable, operationTable } from "./operation-table.ts"
import type { OperationName } from "./operation-table.ts"
import { exposeMatching } from "./presentity-filter.ts"
import { includes } from "./tokens.ts"
import type { Scope } from "./tokens.ts"

/** @param values parameters in the order of the table; null where one was left out */
type Run = (values: readonly (string | null)[], by: string) => Effect.Effect<unknown, Fault>

interface Fault {
  readonly code: number
  readonly message: string
}

const invalidParams = -32_602
/** The operations of the table that have commands. */
type CommandOperation = {
  [Name in OperationName]: (typeof operationTable)[Name] extends { readonly commands: readonly string[] }
    ? Name
    : never
}[OperationName]

const runs = (operations: Operations): Readonly<Record<CommandOperation, Run>> => ({
  "presentities.refresh": ([presentity, event, type], by) => {
    if (!/^\d+$/.test(type ?? "")) {
      const message = `refresh_type = ${type}: expected 0 (rules changed) or another whole number`
      return Effect.fail({ code: invalidParams, message })
    }
    if (presentity === "") return Effect.fail({ code: 404, message: "Empty presentity URI" })
    if (event === "") return Effect.fail({ code: 400, message: "Empty event" })
    const kind = Number(type) === 0 ? "rules" : "state"
    return faulty(Effect.as(operations.refresh(by, presentity ?? "", event ?? "", kind), "OK"))
  },
  "server.cleanup": () => Effect.as(operations.cleanup, "OK"),
  "presentities.list": ([event]) =>
    Effect.sync(() => operations.publications(event ?? null, wholeList).items),
  "subscriptions.list": ([from = null, to = null]) =>
    // OpenSIPS takes both or neither
    (from === null) !== (to === null)
      ? Effect.fail({ code: invalidParams, message: "give both from and to, or neither" })
      : Effect.sync(() => operations.subscriptions(from, to, wholeList).items),
  "presentities.expose": ([event, filter]) => faulty(exposeMatching(operations, event ?? "", filter ?? null)),
  // the newer commands name the tag with its cluster: `vip/1`
  "sharingTags.set": ([tag], by) =>
    faulty(Effect.as(operations.setSharingTag(by, (tag ?? "").replace(/\/\d+$/, ""), "active"), "OK")),
  "sharingTags.list": () =>
    Effect.sync(() =>
      operations.sharingTags().map(({ tag, state, epoch }) => ({ Tag: tag, State: state, Epoch: epoch })),
    ),
})

/** One command as it can be called. */
interface Call {
  readonly scope: Scope
  /** In the order of OpenSIPS; those in brackets may be left out. */
  readonly parameters: readonly string[]
  readonly run: Run
}

/** Every command by each of its names. */
const callsOf = (operations: Operations): ReadonlyMap<string, Call> =>
  new Map(
    Object.entries(runs(operations)).flatMap(([name, run]) => {
      const { scope, commands, parameters } = operationTable[name as CommandOperation]
      return commands.map((command): [string, Call] => [command, { scope, parameters, run }])
    }),
  )

const faulty = <A>(effect: Effect.Effect<A, Refused>): Effect.Effect<A, Fault> =>
  Effect.mapError(effect, ({ status, why }) => ({ code: status, message: why }))

/** Who calls, as the token says. */
interface Caller {
  readonly name: string
  readonly scope: Scope
}

/**
 * Carries out a JSON-RPC call, or each of a batch, in order.
 *
 * @param text body of the request
 * @returns the response, or the responses of a batch; null: nobody waits for one
 */
export const answerCalls = (operations: Operations, caller: Caller, text: string): Effect.Effect<unknown> => {
  const calls = callsOf(operations)
  let asked: unknown
  try {
    asked = JSON.parse(text)
  } catch {
    return Effect.succeed(failure(null, -32_700, "the body is no JSON"))
  }
  if (!Array.isArray(asked)) return answerCall(calls, caller, asked)
  if (asked.length === 0) return Effect.succeed(failure(null, -32_600, "the batch is empty"))
  return Effect.map(
    Effect.forEach(asked as readonly unknown[], (call) => answerCall(calls, caller, call)),
    (answers) => {
      const given = answers.filter((answer) => answer !== null)
      return given.length === 0 ? null : given
    },
  )
}

/** Each command once, by the oldest of its names. */
const firstNames = commandTable.map(({ commands }) => commands[0]).join(", ")

type Id = string | number | null

const failure = (id: Id, code: number, message: string) => ({ jsonrpc: "2.0", id, error: { code, message } })

/** @source JSON-RPC 2.0 §4 and §5: a call without id is not answered */
const answerCall = (
  calls: ReadonlyMap<string, Call>,
  caller: Caller,
  asked: unknown,
): Effect.Effect<object | null> => {
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
    const message = `${method}: there is no such command; there are ${firstNames}`
    return Effect.succeed(failed({ code: -32_601, message }))
  }
  if (!includes(caller.scope, call.scope)) {
    const message = `${method} needs a token of scope ${call.scope}; ${caller.name} has ${caller.scope}`
    return Effect.succeed(failed({ code: 403, message }))
  }
  const values = valuesOf(call, params)
  if (typeof values === "string") return Effect.succeed(failed({ code: invalidParams, message: values }))
  return Effect.match(call.run(values, caller.name), {
    onFailure: failed,
    onSuccess: (result): object | null => (id === undefined ? null : { jsonrpc: "2.0", id: name, result }),
  })
}

/** Parameters in the order of the call, whether they were given by position or by name; or a text that says what is wrong. */
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
