/**
 * An operator's code for single requests, from a file (`request_policy`) or from the program that starts the server, followed by
 * the rules of the configuration.
 *
 * Whatever that code does, the request gets a response: an exception, an unknown outcome, or no outcome within two seconds is
 * answered 500 and logged. Only a function that never returns cannot be helped.
 */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import type { PolicyDecision, Policy, PolicyRequest } from "../../adapters/sip/policy.ts"
import { attention } from "../clock/attention.ts"
import { didYouMean } from "./did-you-mean.ts"
import { isRecord, outcomes, readOutcome } from "./request-policy-rules.ts"
import type { PolicyKind, PolicyRule, PublishOutcome, SubscribeOutcome } from "./request-policy-rules.ts"

type Said<Outcome> = Outcome | null | undefined | void
type Answered<Outcome> = Said<Outcome> | Promise<Said<Outcome>>

/** Functions that are asked about each request; no outcome leaves the request to the rules, and then to the server. */
export interface RequestPolicy {
  readonly handlePublish?: (request: PolicyRequest) => Answered<PublishOutcome>
  readonly handleSubscribe?: (request: PolicyRequest) => Answered<SubscribeOutcome>
}

/** How long an outcome may take. */
export const policyMillisMax = 2_000

const functionNames = ["handlePublish", "handleSubscribe"]

/** What is wrong with the policy; null: nothing. */
export const policyFault = (policy: unknown): string | null => {
  const example = "for example export default { handleSubscribe: (request) => ({ force_active: true }) }"
  if (!isRecord(policy)) return `its default export is no object of functions, ${example}`
  for (const [name, value] of Object.entries(policy)) {
    if (!functionNames.includes(name)) return `there is no ${name}${didYouMean(name, functionNames)}`
    if (typeof value !== "function") return `${name} is no function`
  }
  return Object.keys(policy).length === 0 ? `it has no function, ${example}` : null
}

/** @throws Error that says why the file cannot be used */
export const loadPolicy = async (file: string): Promise<RequestPolicy> => {
  const loaded = (await import(/* @vite-ignore */ pathToFileURL(resolve(file)).href)) as {
    readonly default?: unknown
  }
  const fault = policyFault(loaded.default)
  if (fault !== null) throw new Error(fault)
  return loaded.default as RequestPolicy
}

export interface PolicyParts {
  readonly publish: readonly PolicyRule[]
  readonly subscribe: readonly PolicyRule[]
  readonly code: RequestPolicy | null
  /** Receives one line for each fault of the operator's code. */
  readonly onFault: (line: string) => void
}

/** Null: there is no policy for any request. */
export const makePolicy = ({ publish, subscribe, code, onFault }: PolicyParts): Policy | null => {
  if (publish.length === 0 && subscribe.length === 0 && code === null) return null
  const byRules = (request: PolicyRequest): PolicyDecision | null =>
    (request.method === "PUBLISH" ? publish : subscribe).find(({ fits }) => fits(request))?.grant ?? null

  const failed = (request: PolicyRequest, what: string): PolicyDecision => {
    onFault(
      `request_policy: ${nameOf(request)} ${what} for ${request.method} of ${request.presentity}; answered 500`,
    )
    return { _tag: "Refused", status: 500, reason: null }
  }
  const granted = (request: PolicyRequest, said: unknown): PolicyDecision | null => {
    if (said === undefined || said === null) return byRules(request)
    const faults: string[] = []
    const grant = grantOf(request.method === "PUBLISH" ? "publish" : "subscribe", said, faults)
    return faults.length === 0 ? grant : failed(request, `gave ${faults.join("; ")}`)
  }
  const askCode = (request: PolicyRequest): PolicyDecision | null | Promise<PolicyDecision | null> => {
    try {
      const said: unknown =
        request.method === "PUBLISH" ? code?.handlePublish?.(request) : code?.handleSubscribe?.(request)
      if (!isThenable(said)) return granted(request, said)
      return inTime(said)
        .then((value) =>
          value === late ? failed(request, `took more than ${policyMillisMax} ms`) : granted(request, value),
        )
        .catch((error: unknown) => failed(request, `failed (${oneLine(error)})`))
    } catch (error) {
      return failed(request, `failed (${oneLine(error)})`)
    }
  }
  const named = publish.flatMap(({ grant }) =>
    grant._tag === "Granted" && grant.sender?._tag === "Header" ? [grant.sender.name.toLowerCase()] : [],
  )
  return { ask: code === null ? byRules : askCode, headers: code === null ? new Set(named) : null }
}

const nameOf = ({ method }: PolicyRequest): string =>
  method === "PUBLISH" ? "handlePublish" : "handleSubscribe"

const grantOf = (kind: PolicyKind, said: unknown, faults: string[]): PolicyDecision | null => {
  if (!isRecord(said)) {
    faults.push("no object")
    return null
  }
  for (const key of Object.keys(said)) {
    if (!outcomes[kind].includes(key))
      faults.push(`${key}, which is no outcome${didYouMean(key, outcomes[kind])}`)
  }
  const { sender, refuse } = said
  // a URI derived from the request: if it is wrong, the request is at fault, as in the OpenSIPS module
  if (
    kind === "publish" &&
    refuse === undefined &&
    typeof sender === "string" &&
    /^(?!header )[^ ]*[:@]/.test(sender)
  ) {
    return { _tag: "Granted", sender: { _tag: "Uri", uri: sender } }
  }
  return readOutcome(kind, said, (key, allowed) => faults.push(`${key} = ${String(said[key])}: ${allowed}`))
}

const late = Symbol("late")

const inTime = (said: PromiseLike<unknown>): Promise<unknown> => {
  let callOff = (): void => {}
  const limit = new Promise<typeof late>((done) => {
    callOff = attention.after(policyMillisMax, () => done(late))
  })
  return Promise.race([said, limit]).finally(() => callOff())
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

const oneLine = (error: unknown): string =>
  (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split("\n")[0] ?? ""
