/**
 * The settings that a case file carries, taken from a server's configuration: reduced to the presentities of the case, and under
 * pseudonyms where the case is anonymized.
 */
import type { Watching } from "../../domain/presentity/watching.ts"
import { domainOf } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { CaseWorld } from "../../explain/case/world.ts"
import type { Config } from "../config/config.ts"
import { asksRules, limitsOf } from "../config/limits.ts"

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
    as_feature_event: config.as_feature_event,
    pass_through: config.pass_through,
  },
})

/** Without the lists of presentities outside the case, because they name people. */
export const worldAbout = (world: CaseWorld, matches: (presentity: string) => boolean): CaseWorld => {
  const { watching } = world.limits
  if (watching === undefined) return world
  const meant = (lists: Watching["lineMembers"]): Watching["lineMembers"] =>
    Object.fromEntries(Object.entries(lists).filter(([presentity]) => matches(presentity)))
  const kept: Watching = {
    policies: watching.policies,
    lineMembers: meant(watching.lineMembers),
    mailboxOwners: meant(watching.mailboxOwners),
  }
  return { ...world, limits: { ...world.limits, watching: kept } }
}

/** Under pseudonyms: domains in the policies of packages, and the people in the lists. */
export const worldRenamed = (world: CaseWorld, name: (text: string) => string): CaseWorld => {
  const { watching } = world.limits
  if (watching === undefined) return world
  const listed = (lists: Watching["lineMembers"]): Watching["lineMembers"] =>
    Object.fromEntries(
      Object.entries(lists).map(([presentity, uris]) => [
        name(presentity),
        uris.map((uri) => name(uri) as Uri),
      ]),
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
