/**
 * One compaction of a store, from opening it to what it says.
 */
import type { Millis } from "../../domain/vocabulary.ts"
import type { Config } from "../config.ts"
import { onLog } from "../tables/open.ts"
import { CompactRefused, compact } from "./compact.ts"
import type { Principal } from "./compact.ts"
import type { Terms } from "./terms.ts"

export type { Compacted } from "./compact.ts"

const isRefusal = (cause: unknown): cause is CompactRefused => cause instanceof CompactRefused

export const compactStore = (config: Config, terms: Terms, now: Millis, principal: Principal) =>
  onLog(config, "compact", isRefusal, ({ sql }) => compact(sql, terms, now, principal))
