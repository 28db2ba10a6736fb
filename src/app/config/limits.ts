/**
 * The settings that decisions depend on.
 */
import type { DigestAlgorithm } from "../../adapters/sip/options.ts"
import { defaultLimits } from "../../domain/presentity/context.ts"
import type { Limits } from "../../domain/presentity/context.ts"
import type { SubHandling } from "../../domain/vocabulary.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
import type { Config } from "./config.ts"
import { watchingOf } from "./watch-policies.ts"

/** Whether rules decide about watchers, or everybody who may send requests may watch. */
export const asksRules = (config: Config): boolean =>
  config.policy === "rules" ||
  (config.policy === "auto" &&
    (config.rules_dir !== null ||
      config.static_rules.length > 0 ||
      config.integrated_xcap_server ||
      loadedExtensions(config)?.rules !== undefined ||
      isAuthenticated(config)))

/** Whether requesters are identified: by digest authentication, by trusted peers, or by certificates. */
export const isAuthenticated = ({
  users_file,
  trusted_peers,
  tls_client_certificates,
}: Pick<Config, "users_file" | "trusted_peers" | "tls_client_certificates">): boolean =>
  users_file !== null || trusted_peers.length > 0 || tls_client_certificates !== "off"

/** The realm in challenges. */
export const realmOf = ({ realm, domain }: Pick<Config, "realm" | "domain">): string =>
  realm ?? domain[0] ?? "presently"

/** The algorithms of digest authentication that are offered, the preferred one first (RFC 8760 §2.3). */
export const digestAlgorithms = ({
  digest_md5,
  digest_md5_only,
}: Pick<Config, "digest_md5" | "digest_md5_only">): readonly DigestAlgorithm[] =>
  digest_md5_only ? ["MD5"] : digest_md5 ? ["SHA-256", "MD5"] : ["SHA-256"]

export const limitsOf = (config: Config): Limits => ({
  ...defaultLimits,
  maxExpiresPublish: config.max_expires_publish,
  maxExpiresSubscribe: config.max_expires_subscribe,
  minExpiresPublish: config.min_expires_publish,
  minExpiresSubscribe: config.min_expires_subscribe,
  expiresOffset: config.expires_offset,
  notifyIntervalMillis: config.notify_min_interval === null ? null : config.notify_min_interval * 1000,
  endSubOnTimeout: config.end_sub_on_timeout,
  probeSeconds: config.notify_probe_interval,
  profile: config.event_framework === "6665" ? "6665" : "3265",
  noRules: config.no_rules as SubHandling,
  noMatch: config.no_match as SubHandling,
  ...(asksRules(config) ? { watching: watchingOf(config) } : {}),
  waitingDays: config.waiting_subs_daysno === 0 ? 3 : config.waiting_subs_daysno,
  sphereCheck: config.enable_sphere_check,
  rateControl: config.rate_control,
  conditionalNotify: config.conditional_notify,
  publicationsMax: config.publications_max,
  subscriptionsMax: config.subscriptions_max,
})
