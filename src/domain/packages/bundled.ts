/**
 * The event packages included in presently, created according to a server's settings. A case file carries these
 * settings, so that its decisions can be repeated where the configuration of the server is not known.
 */
import { callInfo } from "./call-info.ts"
import type { CallInfoOptions } from "./call-info.ts"
import { conference } from "./conference.ts"
import { dialogInfo } from "./dialog-info.ts"
import type { DialogInfoOptions } from "./dialog-info.ts"
import { dialogsInPresence } from "./dialog-presence.ts"
import { sharedLine } from "./dialog-sla.ts"
import type { SharedLineOptions, SharedLineSource } from "./dialog-sla.ts"
import type { XmlCodec } from "./element.ts"
import type { EventPackage, Packages } from "./event-package.ts"
import { featureEvent } from "./feature-event.ts"
import { lineSeize } from "./line-seize.ts"
import type { LineSeizeOptions } from "./line-seize.ts"
import { messageSummary } from "./message-summary.ts"
import type { MessageSummaryOptions } from "./message-summary.ts"
import { passThrough } from "./pass-through.ts"
import { commonRules } from "./pidf-rules.ts"
import { presence } from "./pidf.ts"
import type { PresenceOptions } from "./pidf.ts"
import { reg } from "./reg.ts"
import type { RegOptions } from "./reg.ts"
import { makeRegistry } from "./registry.ts"
import { watcherInfo } from "./watcher-info.ts"

/** Named as in the configuration and in case files; docs/configuration.md describes the settings. */
export interface PackageSettings {
  readonly force_single_dialog: boolean
  readonly notify_offline_body: boolean
  readonly mix_dialog_presence: boolean
  readonly generate_offline_body: boolean
  /** `rename` gives colliding ids new names; with any other value the newest element replaces the previous one. */
  readonly id_collision: string
  readonly legacy_permissive: boolean
  readonly oma_rules: boolean
  readonly pres_rules_auid: string | null
  readonly bla_fix_remote_target: boolean
  /**
   * `contact`, `$ru`, `$tu` or `$fu`; default `contact`. Only the SIP adapter needs it, so it is absent where decisions
   * are repeated.
   */
  readonly bla_presentity_spec?: string
  readonly empty_message_summary: boolean
  /** In seconds. */
  readonly default_expires: number
  readonly call_info_timeout_notification: boolean
  readonly line_seize_timeout_notification: boolean
  /** Serves `as-feature-event`. Absent: it is not served. */
  readonly as_feature_event?: boolean
  /** Each entry is `NAME=TYPE|TYPE…`: a package whose documents are passed on without being parsed. */
  readonly pass_through: readonly string[]
}

/** `NAME=TYPE|TYPE…`: a package whose documents are not parsed. */
const passThroughOf = (text: string): EventPackage => {
  const equals = text.lastIndexOf("=")
  const [name, types] = [text.slice(0, Math.max(0, equals)), text.slice(equals + 1)]
  return passThrough({ name, contentTypes: types.split("|") })
}

/** By the values of `bla_presentity_spec`. */
const sharedLineSources: Readonly<Record<string, SharedLineSource>> = {
  contact: "contact",
  $ru: "request-uri",
  $tu: "to",
  $fu: "from",
}

const asksOma = (settings: PackageSettings): boolean =>
  settings.oma_rules || settings.pres_rules_auid === "org.openmobilealliance.pres-rules"

/** Options of the included event packages; each has a default. */
export interface BundledOptions {
  readonly presence?: Omit<PresenceOptions, "mixes" | "xml" | "rulesXml">
  /** Whether presence shows that the presentity is on the phone. */
  readonly mixDialogs?: boolean
  readonly dialog?: Omit<DialogInfoOptions, "xml">
  readonly sharedLine?: Omit<SharedLineOptions, "xml">
  readonly messageSummary?: MessageSummaryOptions
  readonly reg?: Omit<RegOptions, "xml">
  readonly callInfo?: CallInfoOptions
  readonly lineSeize?: LineSeizeOptions
}

/**
 * All included event packages, once each.
 *
 * @param rulesXml reads authorization documents, which change seldom
 */
export const bundledWith = (options: BundledOptions, xml: XmlCodec, rulesXml: XmlCodec = xml) => {
  const dialogs = dialogInfo({ ...options.dialog, xml })
  return [
    presence({
      rules: {},
      ...options.presence,
      xml,
      rulesXml,
      ...(options.mixDialogs === true ? { mixes: dialogsInPresence(dialogs) } : {}),
    }),
    dialogs,
    sharedLine({ ...options.sharedLine, xml }),
    messageSummary(options.messageSummary),
    reg({ ...options.reg, xml }),
    conference({ xml }),
    callInfo(options.callInfo),
    lineSeize(options.lineSeize),
  ] as const
}

/** Names of the included event packages. */
export type BundledName = ReturnType<typeof bundledWith>[number]["name"]

/**
 * @param own further packages, after the included ones
 * @param rulesXml reads authorization documents, which change seldom
 * @throws Error naming the package that cannot be created, and the reason
 */
export const bundledPackages = (
  settings: PackageSettings,
  xml: XmlCodec,
  own: readonly EventPackage[] = [],
  rulesXml: XmlCodec = xml,
): Packages => {
  const rules = { legacyPermissive: settings.legacy_permissive, oma: asksOma(settings) }
  const bundled = bundledWith(
    {
      presence: {
        // a person who is shown as on the phone must also be shown as off the phone again
        notifyOfflineBody: settings.notify_offline_body || settings.mix_dialog_presence,
        generateOfflineBody: settings.generate_offline_body,
        idCollision: settings.id_collision === "rename" ? "rename" : "newest",
        rules,
      },
      mixDialogs: settings.mix_dialog_presence,
      dialog: { forceSingleDialog: settings.force_single_dialog },
      sharedLine: {
        fixRemoteTarget: settings.bla_fix_remote_target,
        presentityFrom: sharedLineSources[settings.bla_presentity_spec ?? "contact"] ?? "contact",
      },
      messageSummary: { emptySummary: settings.empty_message_summary },
      reg: { defaultExpires: settings.default_expires },
      callInfo: { timeoutNotification: settings.call_info_timeout_notification },
      lineSeize: { timeoutNotification: settings.line_seize_timeout_notification },
    },
    xml,
    rulesXml,
  )
  const features = settings.as_feature_event === true ? [featureEvent({ xml })] : []
  const all: readonly EventPackage[] = [
    ...bundled,
    ...features,
    ...settings.pass_through.map(passThroughOf),
    ...own,
  ]
  return makeRegistry(all, (packageName) => watcherInfo(packageName, { xml }), commonRules(rulesXml, rules))
}
