/**
 * One erasure, from opening the store to its report.
 */
import type { Millis, Uri } from "../../domain/vocabulary.ts"
import type { Config } from "../config/config.ts"
import { onLog } from "../open-store.ts"
import { EraseRefused } from "./erase-refused.ts"
import { erase } from "./erase.ts"

const isRefusal = (cause: unknown): cause is EraseRefused => cause instanceof EraseRefused

export const eraseFromStore = (config: Config, person: Uri, now: Millis, eraser: string) =>
  onLog(config, "erase", isRefusal, ({ log }) => erase(log, person, now, eraser))
