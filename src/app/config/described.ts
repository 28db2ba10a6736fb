/**
 * Whether the settings of a command describe the server whose log it reads, or say no more than where that is.
 */
import type { Config } from "./config.ts"
import type { SettingName } from "./settings.ts"

/** Settings that say who may send requests and who may watch. */
const telling: readonly SettingName[] = [
  "users_file",
  "trusted_peers",
  "insecure_no_auth",
  "force_active",
  "policy",
  "rules_dir",
  "static_rules",
  "integrated_xcap_server",
  "watch_policy",
  "line_members",
  "mailbox_owners",
  "no_rules",
  "no_match",
  "request_policy",
  "extensions",
]

/** There is a configuration file, or something says who may watch. Otherwise defaults say nothing about that server. */
export const isDescribed = ({ sources }: Pick<Config, "sources">): boolean =>
  Object.values(sources).some((source) => source.startsWith("file ")) ||
  telling.some((name) => sources[name] !== "default")
