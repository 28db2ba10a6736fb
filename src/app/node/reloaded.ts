/**
 * What came of reading files again.
 */
import type { SettingName } from "../config/settings.ts"

/** What a reload did. */
export interface Reloaded {
  /** `2 users more`, `log level info → debug` …; empty: everything is as it was. */
  readonly changes: readonly string[]
  /** Names of settings that are given otherwise than at the start, and are in force after a restart only. */
  readonly restart: readonly SettingName[]
}
