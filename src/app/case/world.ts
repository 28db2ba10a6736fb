/**
 * What shapes decisions besides the log: bounds, packages as they are set, and whether rules are asked. A case carries it,
 * so that it can be decided again where the server's settings are not known. No secret, address or file is among it.
 */
import { Schema } from "effect"
import { allowEveryone, askTheRules, defaultLimits } from "../../domain/presentity/context.ts"
import type { Authorize, Limits } from "../../domain/presentity/context.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import type { Watching } from "../../domain/presentity/watching.ts"
import { domainOf } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Config } from "../config/config.ts"
import { packagesOf } from "../config/packages.ts"
import type { PackageSettings } from "../config/packages.ts"
import { asksRules, limitsOf } from "../config/limits.ts"

export interface CaseWorld {
  /** `rules`: each presentity's own; `everyone`: nobody is asked. */
  readonly authorize: "rules" | "everyone"
  readonly limits: Limits
  readonly packages: PackageSettings
}

/** What decisions are made with. */
export interface DecisionWorld {
  readonly packages: Packages
  readonly limits: Limits
  readonly authorize: Authorize
}

export const caseWorldOf = (config: Config): CaseWorld => ({
  authorize: asksRules(config) ? "rules" : "everyone",
  limits: limitsOf(config),
  packages: {
    force_single_dialog: config.force_single_dialog,
    notify_offline_body: config.notify_offline_body,
    mix_dialog_presence: config.mix_dialog_presence,
    generate_offline_body: config.generate_offline_body,
    id_collision: config.id_collision,
    legacy_permissive: config.legacy_permissive,
    oma_rules: config.oma_rules,
    pres_rules_auid: config.pres_rules_auid,
    bla_fix_remote_target: config.bla_fix_remote_target,
    empty_message_summary: config.empty_message_summary,
    default_expires: config.default_expires,
    call_info_timeout_notification: config.call_info_timeout_notification,
    line_seize_timeout_notification: config.line_seize_timeout_notification,
    pass_through: config.pass_through,
  },
})

/** Without the lists of presentities that a case is not about: they name people. */
export const worldAbout = (world: CaseWorld, matches: (presentity: string) => boolean): CaseWorld => {
  const { watching } = world.limits
  if (watching === undefined) return world
  const meant = (lists: Watching["lineMembers"]): Watching["lineMembers"] =>
    Object.fromEntries(Object.entries(lists).filter(([of]) => matches(of)))
  const kept: Watching = {
    policies: watching.policies,
    lineMembers: meant(watching.lineMembers),
    mailboxOwners: meant(watching.mailboxOwners),
  }
  return { ...world, limits: { ...world.limits, watching: kept } }
}

/** With other names: of domains in what is asked of packages, of people in lists. */
export const worldRenamed = (world: CaseWorld, name: (text: string) => string): CaseWorld => {
  const { watching } = world.limits
  if (watching === undefined) return world
  const listed = (lists: Watching["lineMembers"]): Watching["lineMembers"] =>
    Object.fromEntries(
      Object.entries(lists).map(([of, others]) => [name(of), others.map((one) => name(one) as Uri)]),
    )
  const policies = Object.entries(watching.policies).map(([key, policy]) => {
    const at = key.indexOf("@")
    const domain = at < 0 ? null : domainOf(name(`sip:somebody@${key.slice(at + 1)}`))
    return [domain === null ? key : `${key.slice(0, at)}@${domain}`, policy] as const
  })
  const renamed: Watching = {
    policies: Object.fromEntries(policies),
    lineMembers: listed(watching.lineMembers),
    mailboxOwners: listed(watching.mailboxOwners),
  }
  return { ...world, limits: { ...world.limits, watching: renamed } }
}

/** @throws Error that says which package cannot be made */
export const worldOf = ({ authorize, limits, packages }: CaseWorld): DecisionWorld => ({
  packages: packagesOf(packages),
  limits: { ...defaultLimits, ...limits },
  authorize: authorize === "rules" ? askTheRules : allowEveryone,
})

const { Boolean, Int, Finite, NullOr, String } = Schema
const Handling = Schema.Literals(["block", "confirm", "polite-block", "allow"])

const Policy = Schema.Literals(["owner", "domain", "everybody", "rules"])
const Lists = Schema.Record(String, Schema.Array(String))
/** Absent: the case is older than policies, or nobody was asked. */
const WatchingSchema = Schema.Struct({
  policies: Schema.Record(String, Policy),
  lineMembers: Lists,
  mailboxOwners: Lists,
})

/** As it stands in a case. */
export const CaseWorldSchema = Schema.Struct({
  authorize: Schema.Literals(["rules", "everyone"]),
  limits: Schema.Struct({
    maxExpiresPublish: Int,
    maxExpiresSubscribe: Int,
    minExpiresPublish: Int,
    minExpiresSubscribe: Int,
    expiresOffset: Int,
    notifyIntervalMillis: NullOr(Finite),
    endSubOnTimeout: Boolean,
    probeSeconds: Int,
    profile: Schema.Literals(["3265", "6665"]),
    noRules: Handling,
    noMatch: Handling,
    watching: Schema.optionalKey(WatchingSchema),
    waitingDays: Finite,
    sphereCheck: Boolean,
    rateControl: Boolean,
    conditionalNotify: Boolean,
    publicationsMax: Int,
    subscriptionsMax: Int,
    retryAfter: Int,
  }),
  packages: Schema.Struct({
    force_single_dialog: Boolean,
    notify_offline_body: Boolean,
    mix_dialog_presence: Boolean,
    generate_offline_body: Boolean,
    id_collision: String,
    legacy_permissive: Boolean,
    oma_rules: Boolean,
    pres_rules_auid: NullOr(String),
    bla_fix_remote_target: Boolean,
    empty_message_summary: Boolean,
    default_expires: Int,
    call_info_timeout_notification: Boolean,
    line_seize_timeout_notification: Boolean,
    pass_through: Schema.Array(String),
  }),
})
