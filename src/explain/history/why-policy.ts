/**
 * The settings and rules that influenced what a watcher was sent.
 */
import type { DecisionContext } from "../../domain/history/findings.ts"
import type { Knowledge } from "../../domain/history/ledger.ts"
import type { Case } from "../../domain/history/why.ts"
import type { Authorization } from "../../domain/presentity/authorize.ts"
import { policyKey } from "../../domain/presentity/watching.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { Clock } from "../event-text.ts"

/**
 * The context for the sentences of one answer: the settings and rules in force for a presentity, and how instants are
 * written.
 */
export interface WhyContext extends DecisionContext {
  readonly presentity: Uri
  /** Names of the rules in force, in document order. */
  readonly ruleNames: readonly string[]
  readonly clock: Clock
  readonly known: Knowledge
}

/** What stands for settings, where only the log is known. */
export const settingsUnknown =
  "settings of the server, which are not known here: give --config FILE, or ask it with --admin"

export const policyOf = ({ finding, sent, life }: Case, context: WhyContext): readonly string[] => {
  const { limits, isUndescribed } = context
  if (sent?.failed?.how.outcome === "flow-lost") return []
  if (sent?.failed != null) return [failurePolicy(context)]
  switch (finding._tag) {
    case "Paced":
      if (finding.isOwnPace) return ["rate_control = 1, and the watcher asked for max-rate (RFC 6446)"]
      return isUndescribed === true
        ? [settingsUnknown]
        : [
            limits.notifyIntervalMillis === null
              ? "notify_min_interval is not set: the package's own interval"
              : `notify_min_interval = ${limits.notifyIntervalMillis / 1000}`,
          ]
    case "Retried":
      if (isUndescribed === true) return [settingsUnknown]
      return [
        `notify_probe_interval = ${limits.probeSeconds}, end_sub_on_timeout = ${limits.endSubOnTimeout ? 1 : 0}`,
      ]
    case "Pending":
    case "PoliteBlock":
      return rulingInWords(finding.judgement, life.packageName, context)
    case "Hidden":
      return [rulesInWords(finding.matched, context.ruleNames)]
    case "Ended":
      return finding.ending.because === "failure" ? [failurePolicy(context)] : []
    default:
      return []
  }
}

export const failurePolicy = ({ limits, isUndescribed }: WhyContext): string =>
  isUndescribed === true
    ? settingsUnknown
    : `end_sub_on_timeout = ${limits.endSubOnTimeout ? 1 : 0}, notify_probe_interval = ${limits.probeSeconds}, event_framework = ${limits.profile}`

export const rulingInWords = (
  { by, handling, matched }: Authorization,
  packageName: string,
  context: WhyContext,
): readonly string[] => {
  const { limits, ruleNames, isUndescribed } = context
  const prefix = limits.watching === undefined ? "" : `the policy rules of package ${packageName} asks them: `
  switch (by) {
    case "operator":
      return [`the operator decided on this watcher: ${handling}`]
    case "hook":
      return handling === "allow" ? [] : [`request_policy or a hook says ${handling}`]
    case "members":
      return [`the list of the line does not name this watcher (line_members)`]
    case "owner":
    case "domain":
      return handling === "allow" ? [] : [policySentence(by, packageName, context)]
    case "everybody":
      return []
    case "default":
      return [`${prefix}the presentity has no rules: no_rules = ${limits.noRules}`]
    case "unknown":
      return [settingsUnknown]
    case "unread":
      return ["the source of rules had not been read yet, and none were in force: watchers wait until it has"]
    case "rules":
      return [
        matched === "" || matched === null
          ? `${prefix}no rule matches: no_match = ${isUndescribed === true ? handling : limits.noMatch}`
          : `${prefix}${rulesInWords(matched, ruleNames)}: ${handling}`,
      ]
  }
}

/** With the setting that determines it. */
const policySentence = (policy: "owner" | "domain", packageName: string, context: WhyContext): string => {
  const { presentity, packages, limits } = context
  const { watching } = limits
  const eventPackage = packages.find(packageName)
  const key =
    eventPackage === null || watching === undefined
      ? null
      : policyKey(eventPackage, presentity, watching).counts
  const isMailbox = /^message-summary(?:\.winfo)*$/.test(packageName)
  const mailboxOwners = isMailbox ? " and those that mailbox_owners lists with it" : ""
  const settings = [
    key === null ? "the package's own, watch_policy can say otherwise" : `watch_policy = ${key}=${policy}`,
    ...(isMailbox && watching !== undefined && Object.hasOwn(watching.mailboxOwners, presentity)
      ? [`mailbox_owners = ${presentity}=${watching.mailboxOwners[presentity]?.join("|")}`]
      : []),
  ].join("; ")
  const start = `the policy ${policy} of package ${packageName}`
  if (packageName.endsWith(".winfo") && policy === "owner")
    return `${start}: watcher information is for its owner alone${mailboxOwners} (RFC 3857 §4.6; ${settings})`
  const members =
    policy === "owner"
      ? `the presentity itself${mailboxOwners}`
      : `identities of the same domain${isMailbox ? " and those that mailbox_owners lists" : ""}`
  return `${start} is for ${members} (${settings})`
}

const rulesInWords = (matched: string, names: readonly string[]): string =>
  matched === ""
    ? "no rule matches"
    : `matching rules: ${matched
        .split(",")
        .map((ordinal) => names[Number(ordinal)] ?? ordinal)
        .join(", ")}`
