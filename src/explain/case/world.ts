/**
 * What decisions depend on besides the log: limits, the settings of event packages, and whether presence rules are
 * consulted. A case file contains it, so that decisions can be repeated where the configuration of the server is not
 * known. It contains no secrets, addresses or file names.
 */
import { Schema } from "effect"
import { parserCodec, xmlCodec } from "../../adapters/xml/codec.ts"
import { bundledPackages } from "../../domain/packages/bundled.ts"
import type { PackageSettings } from "../../domain/packages/bundled.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { allowEveryone, askTheRules, defaultLimits } from "../../domain/presentity/context.ts"
import type { Authorize, Limits } from "../../domain/presentity/context.ts"

export interface CaseWorld {
  /** `rules`: those of each presentity; `everyone`: no rules are consulted. */
  readonly authorize: "rules" | "everyone"
  readonly limits: Limits
  readonly packages: PackageSettings
}

/** The context in which decisions are made. */
export interface DecisionWorld {
  readonly packages: Packages
  readonly limits: Limits
  readonly authorize: Authorize
}

/** @throws Error naming the package that cannot be created */
export const worldOf = ({ authorize, limits, packages }: CaseWorld): DecisionWorld => ({
  packages: bundledPackages(packages, xmlCodec, [], parserCodec),
  limits: { ...defaultLimits, ...limits },
  authorize: authorize === "rules" ? askTheRules : allowEveryone,
})

const { Boolean, Int, Finite, NullOr, String } = Schema
const Handling = Schema.Literals(["block", "confirm", "polite-block", "allow"])

const Policy = Schema.Literals(["owner", "domain", "everybody", "rules"])
const Lists = Schema.Record(String, Schema.Array(String))
/** Absent: the case is older than policies, or rules are not consulted. */
const WatchingSchema = Schema.Struct({
  policies: Schema.Record(String, Policy),
  lineMembers: Lists,
  mailboxOwners: Lists,
})

/** The form in a case file. */
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
    as_feature_event: Schema.optionalKey(Schema.Boolean),
    pass_through: Schema.Array(String),
  }),
})
