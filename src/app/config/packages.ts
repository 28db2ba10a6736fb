/**
 * The event packages a server runs with, as the settings have them.
 */
import { xmlCodec } from "../../adapters/xml/codec.ts"
import { callInfo } from "../../domain/packages/call-info.ts"
import { conference } from "../../domain/packages/conference.ts"
import { dialogInfo } from "../../domain/packages/dialog-info.ts"
import { dialogsInPresence } from "../../domain/packages/dialog-presence.ts"
import { sharedLine } from "../../domain/packages/dialog-sla.ts"
import type { EventPackage, Packages } from "../../domain/packages/event-package.ts"
import { lineSeize } from "../../domain/packages/line-seize.ts"
import { messageSummary } from "../../domain/packages/message-summary.ts"
import { passThrough } from "../../domain/packages/pass-through.ts"
import { commonRules } from "../../domain/packages/pidf-rules.ts"
import { presence } from "../../domain/packages/pidf.ts"
import { makeRegistry } from "../../domain/packages/registry.ts"
import { reg } from "../../domain/packages/reg.ts"
import { watcherInfo } from "../../domain/packages/watcher-info.ts"
import { checkedPackage } from "../extensions/checked-package.ts"
import { loadedExtensions } from "../extensions/loaded.ts"
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
> &
  Partial<Pick<Config, "extensions">>

const asksOma = (config: PackageSettings): boolean =>
  config.oma_rules || config.pres_rules_auid === "org.openmobilealliance.pres-rules"

/** @throws Error that says which package cannot be made, and why */
export const packagesOf = (config: PackageSettings): Packages => {
  const dialogs = dialogInfo({ xml: xmlCodec, forceSingleDialog: config.force_single_dialog })
  const rules = { legacyPermissive: config.legacy_permissive, oma: asksOma(config) }
  const bundled: readonly EventPackage[] = [
    presence({
      xml: xmlCodec,
      // whoever is shown on the phone has to be shown off it as well
      notifyOfflineBody: config.notify_offline_body || config.mix_dialog_presence,
      generateOfflineBody: config.generate_offline_body,
      idCollision: config.id_collision === "rename" ? "rename" : "newest",
      rules,
      ...(config.mix_dialog_presence ? { mixes: dialogsInPresence(dialogs) } : {}),
    }),
    dialogs,
    sharedLine({ xml: xmlCodec, fixRemoteTarget: config.bla_fix_remote_target }),
    messageSummary({ emptySummary: config.empty_message_summary }),
    reg({ xml: xmlCodec, defaultExpires: config.default_expires }),
    conference({ xml: xmlCodec }),
    callInfo({ timeoutNotification: config.call_info_timeout_notification }),
    lineSeize({ timeoutNotification: config.line_seize_timeout_notification }),
    ...config.pass_through.map(passThroughOf),
    ...(loadedExtensions(config)?.packages ?? []).map(checkedPackage),
  ]
  return makeRegistry(bundled, (of) => watcherInfo(of, { xml: xmlCodec }), commonRules(xmlCodec, rules))
}
