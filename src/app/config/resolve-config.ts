/**
 * Everything that is derived from a configuration before anything is opened, and all errors in it.
 */
import { Clock, Effect } from "effect"
import { readPeers } from "../../adapters/sip/peers.ts"
import { allowedHostsFaults } from "../../adapters/webhooks/allowed.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { adviceOn } from "./advice.ts"
import { ConfigInvalid } from "./config.ts"
import type { Config } from "./config.ts"
import { extensionsConflicts, withExtensions } from "./extensions.ts"
import { adminText, isLoopback } from "./host-port.ts"
import { packagesOf } from "./packages.ts"
import { policyFaults, policyOf } from "./request-policy.ts"
import { termsOf } from "./retention-terms.ts"
import { rulesFaults } from "./rules-settings.ts"
import { sealKeyOf } from "./signing-key.ts"
import { certificateAdvice, originFaults, readTls } from "./tls-settings.ts"
import { readTokens } from "./tokens.ts"
import { peerDomainFaults } from "./trusted-peers.ts"
import { accountsByRealm, readUsers } from "./users.ts"
import { watchFaults } from "./watch-policies.ts"

/**
 * Derives everything from a configuration before anything is opened, so that nothing is opened when it is invalid.
 *
 * @param onFault receives a line for each later fault of an operator's own code
 */
export const resolveConfig = Effect.fnUntraced(function* (given: Config, onFault: (line: string) => void) {
  const loaded = yield* Effect.result(withExtensions(given))
  const complete = loaded._tag === "Success" ? loaded.success : { ...given, extensions: null }
  const conflicts = extensionsConflicts(given, complete)
  const isUsable = loaded._tag === "Success" && conflicts.length === 0
  const config = isUsable ? complete : { ...complete, extensions: null }
  const faults = [
    ...(loaded._tag === "Failure" ? loaded.failure.faults : []),
    ...conflicts,
    ...rulesFaults(config),
    ...tagFaults(config),
    ...adminFaults(config),
    ...readPeers(config.trusted_peers).faults.map(
      ({ entry, why }) => `trusted_peers = ${entry} (${config.sources.trusted_peers}): ${why}`,
    ),
    ...peerDomainFaults(config),
    ...webhookFaults(config),
    ...termsOf(config.retention).faults.map(
      (fault) => `retention = ${config.retention.join(" ")} (${config.sources.retention}): ${fault}`,
    ),
  ]
  const tls = readTls(config)
  faults.push(...tls.faults, ...originFaults(config))
  const sealKey = sealKeyOf(config)
  if (sealKey !== null && "fault" in sealKey) faults.push(sealKey.fault)
  const passed = passThroughFaults(config)
  faults.push(...passed.faults)
  const packages = passed.packages
  // nothing can be said about packages that a module would have brought
  if (isUsable)
    faults.push(
      ...[
        ...policyFaults(config, packages),
        ...sharedPackageFaults(config, packages),
        ...retentionFaults(config, packages),
        ...watchFaults(config, packages),
      ].filter((fault) => !passed.names.some((name) => isAbout(fault, name))),
    )
  const policy = yield* Effect.result(policyOf(config, onFault))
  if (policy._tag === "Failure") faults.push(...policy.failure.faults)
  const users = config.users_file === null ? null : yield* Effect.result(readUsers(config.users_file))
  if (users?._tag === "Failure") faults.push(...users.failure.faults)
  const { notify_credentials_file: accountsFile } = config
  const accounts =
    accountsFile === null ? null : yield* Effect.result(readUsers(accountsFile, "notify_credentials_file"))
  if (accounts?._tag === "Failure") faults.push(...accounts.failure.faults)
  if (config.admin !== null && config.admin_tokens_file !== null) {
    const tokens = yield* Effect.result(readTokens(config.admin_tokens_file))
    if (tokens._tag === "Failure") faults.push(...tokens.failure.faults)
  }
  if (faults.length > 0 || policy._tag === "Failure") {
    return yield* new ConfigInvalid({ faults })
  }
  return {
    /** With the module that it names loaded. */
    config,
    packages,
    policy: policy.success,
    users: users?._tag === "Success" ? users.success : null,
    /** With which NOTIFYs that are challenged are answered for, by realm; null: with none. */
    accountOf: accounts?._tag === "Success" ? accountsByRealm(accounts.success) : null,
    /** Certificates and keys. */
    tls,
    /** Settings in force that cannot be what was meant. */
    advice: [
      ...adviceOn(config, users?._tag === "Success" ? users.success : null),
      ...certificateAdvice(tls.credentials, yield* Clock.currentTimeMillis),
    ],
    sealKey: sealKey !== null && "key" in sealKey ? sealKey.key : null,
  }
})

/**
 * All errors where something cannot be read: those found with defaults in its place as well, except for what only these defaults
 * would cause.
 */
export const faultsBeside = Effect.fnUntraced(function* ({ faults, rest }: ConfigInvalid) {
  if (rest === undefined) return faults
  const prepared = yield* Effect.result(resolveConfig(rest.config, () => {}))
  const furtherFaults = prepared._tag === "Failure" ? prepared.failure.faults : []
  const hasPackages = !rest.faulty.has("pass_through")
  const isOwn = (fault: string): boolean =>
    ![...rest.faulty].some((name) => fault.startsWith(`${name} `)) &&
    (hasPackages || !/no (?:such )?event package|expected one of/.test(fault))
  return [...new Set([...faults, ...furtherFaults.filter(isOwn)])]
})

/** Whether an error says nothing but that a package is missing. */
const isAbout = (fault: string, name: string): boolean =>
  fault.includes(`no event package ${name}`) ||
  fault.includes(`event = ${name} `) ||
  fault.includes(`= ${name} (`) ||
  fault.includes(`: ${name}: expected one of`)

/** One line for each entry of `pass_through` that makes no package, the packages without these, and the names of these. */
const passThroughFaults = (config: Config) => {
  const faults: string[] = []
  const names: string[] = []
  const good: string[] = []
  let packages = packagesOf({ ...config, pass_through: [] })
  for (const entry of config.pass_through) {
    try {
      packages = packagesOf({ ...config, pass_through: [...good, entry] })
      good.push(entry)
    } catch (cause) {
      const equals = entry.lastIndexOf("=")
      const [name, types] =
        equals < 0 ? [entry, "text/plain"] : [entry.slice(0, equals), entry.slice(equals + 1)]
      const why =
        equals <= 0 || types === ""
          ? "expected NAME=TYPE or NAME=TYPE|TYPE…"
          : `${cause instanceof Error ? cause.message : String(cause)}; expected NAME=TYPE or NAME=TYPE|TYPE…`
      names.push(name)
      faults.push(
        `pass_through = ${entry} (${config.sources.pass_through}): ${why}, for example note=text/plain`,
      )
    }
  }
  return { faults, names, packages }
}

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

/** Everything can be read and changed on the management port: other hosts need tokens there, as they need passwords for SIP. */
const adminFaults = ({ admin, admin_tokens_file, insecure_no_auth, sources }: Config): readonly string[] =>
  admin === null || isLoopback(admin.host) || admin_tokens_file !== null || insecure_no_auth
    ? []
    : [
        `admin = ${adminText(admin)} (${sources.admin}): the management port without tokens is for loopback ` +
          "addresses only: give --admin-tokens-file FILE (see `presently token`)",
      ]

/** The initial state of the tags, before anybody has switched one. */
export const initialTags = (config: Config): ReadonlyMap<string, "active" | "backup"> =>
  new Map(
    config.cluster_sharing_tags.map((pair) => {
      const [tag = "", role] = pair.split("=")
      return [tag, role === "backup" ? "backup" : "active"]
    }),
  )
