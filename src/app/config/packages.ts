/**
 * The event packages a server runs with, as the settings have them.
 */
import type { EventPackage, Packages } from "../../domain/packages/event-package.ts"
import { passThrough } from "../../domain/packages/pass-through.ts"
import { makeRegistry } from "../../domain/packages/registry.ts"
import { bundledPackages } from "../packages/bundled.ts"
import { commonRules, watcherInfo } from "../packages/index.ts"
import type { Config } from "./config.ts"

/** `NAME=TYPE|TYPE…`: a package whose documents nobody reads. */
const passThroughOf = (text: string): EventPackage => {
  const equals = text.lastIndexOf("=")
  const [name, types] = [text.slice(0, Math.max(0, equals)), text.slice(equals + 1)]
  return passThrough({ name, contentTypes: types.split("|") })
}

/** The settings that packages are made of; nothing else of a configuration reaches them. */
export type PackageSettings = Pick<
  Config,
  | "force_single_dialog"
  | "notify_offline_body"
  | "mix_dialog_presence"
  | "generate_offline_body"
  | "id_collision"
  | "legacy_permissive"
  | "oma_rules"
  | "pres_rules_auid"
  | "bla_fix_remote_target"
  | "empty_message_summary"
  | "default_expires"
  | "call_info_timeout_notification"
  | "line_seize_timeout_notification"
  | "pass_through"
>

const asksOma = (config: PackageSettings): boolean =>
  config.oma_rules || config.pres_rules_auid === "org.openmobilealliance.pres-rules"

/** @throws Error that says which package cannot be made, and why */
export const packagesOf = (config: PackageSettings): Packages => {
  const rules = { legacyPermissive: config.legacy_permissive, oma: asksOma(config) }
  const bundled = bundledPackages({
    presence: {
      // whoever is shown on the phone has to be shown off it as well
      notifyOfflineBody: config.notify_offline_body || config.mix_dialog_presence,
      generateOfflineBody: config.generate_offline_body,
      idCollision: config.id_collision === "rename" ? "rename" : "newest",
      rules,
    },
    mixDialogs: config.mix_dialog_presence,
    dialog: { forceSingleDialog: config.force_single_dialog },
    sharedLine: { fixRemoteTarget: config.bla_fix_remote_target },
    messageSummary: { emptySummary: config.empty_message_summary },
    reg: { defaultExpires: config.default_expires },
    callInfo: { timeoutNotification: config.call_info_timeout_notification },
    lineSeize: { timeoutNotification: config.line_seize_timeout_notification },
  })
  const all: readonly EventPackage[] = [...bundled, ...config.pass_through.map(passThroughOf)]
  return makeRegistry(all, (name) => watcherInfo(name), commonRules(rules))
}
