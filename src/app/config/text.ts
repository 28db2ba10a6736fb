/**
 * A configuration as text: each value with its source, and a commented file of all settings.
 */
import { stringify } from "yaml"
import type { Config } from "./config.ts"
import { adminText, hostPort } from "./host-port.ts"
import { masked } from "./masked-url.ts"
import type { Setting } from "./setting-kinds.ts"
import { settingGroups, settings } from "./settings.ts"
import type { SettingName } from "./settings.ts"

/** A setting as it would be given. */
export interface EffectiveSetting {
  readonly name: SettingName
  /** With its password, if it has one. */
  readonly value: unknown
  readonly source: string
  readonly isSecret: boolean
}

export const effectiveSettings = (config: Config): readonly EffectiveSetting[] =>
  (Object.entries(settings) as [SettingName, Setting][]).map(([name, setting]) => ({
    name,
    value: valueOf(config, name),
    source: config.sources[name],
    isSecret: setting.secret === true,
  }))

const valueOf = (config: Config, name: SettingName): unknown => {
  if (name === "listen") {
    return config.listen.map(({ transport, host, port }) => `${transport}:${hostPort(host, port)}`)
  }
  if (name === "admin") return config.admin === null ? "off" : adminText(config.admin)
  return config[name]
}

/** Without any password. */
export const shownValue = ({ value, isSecret }: EffectiveSetting): unknown =>
  isSecret && typeof value === "string" ? masked(value) : value

/** Lines that form a configuration file again, except for passwords. */
export const printConfig = (config: Config): string =>
  effectiveSettings(config)
    .map((setting) => `${settingLine(setting.name, shownValue(setting))}  # ${setting.source}`)
    .join("\n")

/** `name: value` in YAML on one line; null is a name without value, which counts as not given. */
export const settingLine = (name: string, value: unknown): string =>
  value === null ? `${name}:` : `${name}: ${onOneLine(value)}`

const onOneLine = (value: unknown): string =>
  stringify(value, { collectionStyle: "flow", flowCollectionPadding: false, lineWidth: 0 }).trimEnd()

/**
 * A file of all settings in groups, each with its description; settings that were not chosen are commented out and show the
 * default.
 *
 * @param chosen values by name
 */
export const writeConfigFile = (chosen: ReadonlyMap<SettingName, unknown>): string => {
  const groups = settingGroups.map(([title, group]) => {
    const each = (Object.entries(group) as [SettingName, Setting][]).map(([name, setting]) => {
      const value = chosen.has(name)
        ? settingLine(name, chosen.get(name))
        : `# ${settingLine(name, setting.default)}`
      return `# ${aboutLine(setting)}\n${value}\n`
    })
    return `# ---- ${title} ----\n\n${each.join("\n")}`
  })
  return `${head}\n${groups.join("\n\n")}`
}

const head = `# Settings of presently serve. What is commented out stands at its default.
# After a change: presently config check --config FILE. What is in force, and why: presently config print --config FILE.
`

const aboutLine = (setting: Setting): string => {
  const { about, idle } = setting
  const allowed =
    setting.kind === "int"
      ? ` (${setting.min} to ${setting.max})`
      : setting.kind === "choice"
        ? ` (${setting.choices.join(", ")})`
        : ""
  return `${about}${allowed}${idle === undefined ? "" : `; changes nothing: ${idle}`}`
}
