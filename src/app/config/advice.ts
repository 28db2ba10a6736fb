/**
 * Settings that are in force but cannot be what was meant, although a server starts with them: settings without effect, accounts
 * that nobody can use.
 */
import type { Config } from "./config.ts"
import { asksRules, digestAlgorithms, isAuthenticated, realmOf } from "./limits.ts"
import type { Account, Users } from "./users.ts"

/** One piece of advice, with what to do. */
export interface Advice {
  readonly what: string
  readonly fix: string
}

export const adviceText = ({ what, fix }: Advice): string => `${what}; ${fix}`

/** @param users null: there is no file of users */
export const adviceOn = (config: Config, users: Users | null): readonly Advice[] => [
  ...idleSettings(config),
  ...(users === null ? [] : uselessAccounts(config, users)),
]

/** Why everybody may watch; null: not everybody may. */
export const openBecause = (config: Config): string | null => {
  if (asksRules(config)) return null
  return config.policy === "open"
    ? `policy = open (${config.sources.policy})`
    : isAuthenticated(config)
      ? "watchers are not judged"
      : "there is no authentication and no source of rules"
}

/** Settings that do nothing but say who may watch. */
const watchSettings = ["watch_policy", "line_members", "mailbox_owners", "no_rules", "no_match"] as const

/** The advice while everybody may watch. */
const idleSettings = (config: Config): readonly Advice[] => {
  const because = openBecause(config)
  if (because === null) return []
  const names = [
    ...watchSettings,
    ...(["rules_dir", "static_rules"] as const),
    // the table may hold hard state as well
    ...(config.pidf_manipulation ? [] : (["integrated_xcap_server"] as const)),
  ]
  const fix =
    config.policy === "open"
      ? "leave it out, or leave policy out"
      : "leave it out, or give users_file, trusted_peers or policy = rules"
  return names
    .filter((name) => config.sources[name] !== "default" && isGiven(config[name]))
    .map((name) => ({
      what: `${name} (${config.sources[name]}) changes nothing: everybody may watch, since ${because}`,
      fix,
    }))
}

const isGiven = (value: unknown): boolean =>
  value !== null && value !== false && !(Array.isArray(value) && value.length === 0)

const namesMax = 3

/** Accounts of a realm other than the one in challenges, and accounts with MD5 hashes only where MD5 is not accepted. */
const uselessAccounts = (config: Config, { accounts }: Users): readonly Advice[] => {
  const realm = realmOf(config)
  const byRealm = Map.groupBy(accounts, (account) => account.realm)
  const otherRealms = [...byRealm].filter(([name]) => name !== realm)
  const found = otherRealms.map(([name, accounts]): Advice => {
    const { user, address } = accounts[0]!
    const anew = `presently user ${user} --realm ${realm} --address ${address ?? `sip:${user}@${name}`} makes a line that is`
    return {
      what: `${placeOf(config, accounts)} of realm ${name} ${accounts.length === 1 ? "is" : "are"} never asked for: the realm of this server is ${realm}`,
      fix: byRealm.size === 1 ? `${anew}, or set realm = ${name}` : anew,
    }
  })
  const offered = digestAlgorithms(config)
  const unusable = (byRealm.get(realm) ?? []).filter(
    ({ algorithms }) => !algorithms.some((algorithm) => offered.includes(algorithm)),
  )
  if (unusable.length === 0) return found
  const anew = `presently user ${unusable[0]!.user} --realm ${realm}`
  const place = placeOf(config, unusable)
  return [
    ...found,
    config.digest_md5_only
      ? {
          what: `${place} with SHA-256 only cannot be used: digest_md5_only is on`,
          fix: `${anew} --md5 makes a line for MD5, or set digest_md5_only = 0`,
        }
      : {
          what: `${place} with MD5 only cannot be used: digest_md5 is off`,
          fix: `${anew} makes a line for SHA-256, or set digest_md5 = 1`,
        },
  ]
}

/** `users_file users.txt:3: 12 accounts (bob, carol, dave and 9 more)` */
const placeOf = ({ users_file: file }: Config, accounts: readonly Account[]): string => {
  const named = accounts.slice(0, namesMax).map(({ user }) => user)
  const left = accounts.length - named.length
  const names = left === 0 ? named.join(", ") : `${named.join(", ")} and ${left} more`
  const count = accounts.length === 1 ? "1 account" : `${accounts.length} accounts`
  return `users_file ${file}:${accounts[0]!.line}: ${count} (${names})`
}
