/**
 * What is made of a configuration before anything is opened, and everything that is wrong with it.
 */
import { Effect } from "effect"
import type { Packages } from "../domain/packages/event-package.ts"
import { readPeers } from "../adapters/sip/peers.ts"
import { allowedHostsFaults } from "../adapters/webhooks/allowed.ts"
import { adviceOn } from "./advice.ts"
import { ConfigInvalid, isLoopback } from "./config.ts"
import type { Config } from "./config.ts"
import { packagesOf } from "./configured-packages.ts"
import { policyFaults, policyOf } from "./request-policy.ts"
import { rulesFaults } from "./rules.ts"
import { termsOf } from "./retention/terms.ts"
import { sealKeyOf } from "./seal-keys.ts"
import { readUsers } from "./users.ts"
import { watchFaults } from "./watching.ts"

/**
 * What is made of a configuration before anything is opened; so nothing is opened when it is wrong.
 *
 * @param onFault told of what an operator's own code does wrong later
 */
export const preparations = Effect.fnUntraced(function* (config: Config, onFault: (line: string) => void) {
  const faults = [
    ...rulesFaults(config),
    ...tagFaults(config),
    ...adminFaults(config),
    ...readPeers(config.trusted_peers).faults.map(
      ({ entry, why }) => `trusted_peers = ${entry} (${config.sources.trusted_peers}): ${why}`,
    ),
    ...webhookFaults(config),
    ...termsOf(config.retention).faults.map(
      (fault) => `retention = ${config.retention.join(" ")} (${config.sources.retention}): ${fault}`,
    ),
  ]
  const sealKey = sealKeyOf(config)
  if (sealKey !== null && "fault" in sealKey) faults.push(sealKey.fault)
  let packages: Packages | null = null
  try {
    packages = packagesOf(config)
    faults.push(
      ...policyFaults(config, packages),
      ...sharedPackageFaults(config, packages),
      ...retentionFaults(config, packages),
      ...watchFaults(config, packages),
    )
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    faults.push(`pass_through = ${config.pass_through.join()}: ${why}`)
  }
  const policy = yield* Effect.result(policyOf(config, onFault))
  if (policy._tag === "Failure") faults.push(...policy.failure.faults)
  const users = config.users_file === null ? null : yield* Effect.result(readUsers(config.users_file))
  if (users?._tag === "Failure") faults.push(...users.failure.faults)
  if (faults.length > 0 || packages === null || policy._tag === "Failure") {
    return yield* new ConfigInvalid({ faults })
  }
  return {
    packages,
    policy: policy.success,
    users: users?._tag === "Success" ? users.success : null,
    /** What is in force and cannot be meant. */
    advice: adviceOn(config, users?._tag === "Success" ? users.success : null),
    sealKey: sealKey !== null && "key" in sealKey ? sealKey.key : null,
  }
})

const tagFaults = (config: Config): readonly string[] => [
  ...config.cluster_sharing_tags
    .filter((pair) => !/^[A-Za-z0-9_.-]{1,32}=(?:active|backup)$/.test(pair))
    .map(
      (pair) =>
        `cluster_sharing_tags = ${pair} (${config.sources.cluster_sharing_tags}): expected NAME=active or NAME=backup`,
    ),
  ...(config.cluster_be_active_shtag === null || initialTags(config).has(config.cluster_be_active_shtag)
    ? []
    : [
        `cluster_be_active_shtag = ${config.cluster_be_active_shtag} (${config.sources.cluster_be_active_shtag}): ` +
          "no such tag in cluster_sharing_tags",
      ]),
]

const sharedPackageFaults = (
  { cluster_pres_events, sources }: Config,
  packages: Packages,
): readonly string[] =>
  cluster_pres_events
    .filter((name) => packages.find(name) === null)
    .map(
      (name) =>
        `cluster_pres_events = ${name} (${sources.cluster_pres_events}): expected one of ${packages.names().join(" ")}`,
    )

const retentionFaults = ({ retention, sources }: Config, packages: Packages): readonly string[] =>
  [...termsOf(retention).terms.documents.keys()]
    .filter((name) => packages.find(name) === null)
    .map(
      (name) =>
        `retention = ${retention.join(" ")} (${sources.retention}): ${name}: expected one of ${packages.names().join(" ")}`,
    )

const webhookFaults = ({ webhook_hosts, sources }: Config): readonly string[] =>
  allowedHostsFaults(webhook_hosts).map(
    (entry) =>
      `webhook_hosts = ${entry} (${sources.webhook_hosts}): expected a host name, *.example.com, an address or a network`,
  )

/** Everything can be read and changed there: other hosts need tokens, as on the SIP side they need passwords. */
const adminFaults = ({ admin, admin_tokens_file, insecure_no_auth, sources }: Config): readonly string[] =>
  admin === null || isLoopback(admin.host) || admin_tokens_file !== null || insecure_no_auth
    ? []
    : [
        `admin = ${admin.host}:${admin.port} (${sources.admin}): the management port without tokens is for loopback ` +
          "addresses only: give --admin-tokens-file FILE (see `presently token`)",
      ]

/** What the tags are when nobody has switched any. */
export const initialTags = (config: Config): ReadonlyMap<string, "active" | "backup"> =>
  new Map(
    config.cluster_sharing_tags.map((pair) => {
      const [tag = "", role] = pair.split("=")
      return [tag, role === "backup" ? "backup" : "active"]
    }),
  )
