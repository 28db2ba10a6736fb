/** The result of a reload. */
import type { SettingName } from "../config/settings.ts"

export interface Reloaded {
  /** `2 users more`, `log level info → debug` …; empty if nothing has changed. */
  readonly changes: readonly string[]
  /** Names of settings that differ from the start and need a restart. */
  readonly restart: readonly SettingName[]
}
