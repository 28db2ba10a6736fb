/**
 * The policy for single requests that a configuration asks for: its rules checked against the event packages, its code loaded.
 */
import { Effect } from "effect"
import type { Policy } from "../../adapters/sip/policy.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { ConfigInvalid } from "./config.ts"
import type { Config } from "./config.ts"
import { didYouMean } from "./did-you-mean.ts"
import { loadPolicy, makePolicy } from "./request-policy-hook.ts"
import { readPolicyRules } from "./request-policy-rules.ts"

/** Rules for event packages that this server does not have, one line each. */
export const policyFaults = (config: Config, packages: Packages): readonly string[] =>
  (["publish", "subscribe"] as const).flatMap((kind) => {
    const name = `handle_${kind}` as const
    const at = `(${config.sources[name]})`
    return readPolicyRules(kind, config[name], () => "", []).flatMap(({ events }, index) =>
      events
        .filter((event) => packages.find(event) === null)
        .map((event) => {
          const hint = didYouMean(event, packages.names()) || `; there are ${packages.names().join(", ")}`
          return `${name} rule ${index + 1} event = ${event} ${at}: there is no such event package${hint}`
        }),
    )
  })

/** Null: there is no policy for any request. */
export const policyOf = (
  config: Config,
  onFault: (line: string) => void,
): Effect.Effect<Policy | null, ConfigInvalid> => {
  const given = config.request_policy
  const publish = readPolicyRules("publish", config.handle_publish, () => "", [])
  const subscribe = readPolicyRules("subscribe", config.handle_subscribe, () => "", [])
  if (typeof given !== "string")
    return Effect.succeed(makePolicy({ publish, subscribe, code: given, onFault }))
  return Effect.tryPromise({
    try: () => loadPolicy(given),
    catch: (cause) => {
      const why = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : String(cause)
      return new ConfigInvalid({
        faults: [`request_policy = ${given} (${config.sources.request_policy}): cannot be used: ${why}`],
      })
    },
  }).pipe(Effect.map((code) => makePolicy({ publish, subscribe, code, onFault })))
}
