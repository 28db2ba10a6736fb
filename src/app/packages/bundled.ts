/**
 * The event packages that come along, in one list: a server runs with them as its settings say, a program with their defaults.
 */
import { callInfo } from "../../domain/packages/call-info.ts"
import type { CallInfoOptions } from "../../domain/packages/call-info.ts"
import { dialogsInPresence } from "../../domain/packages/dialog-presence.ts"
import { lineSeize } from "../../domain/packages/line-seize.ts"
import type { LineSeizeOptions } from "../../domain/packages/line-seize.ts"
import { messageSummary } from "../../domain/packages/message-summary.ts"
import type { MessageSummaryOptions } from "../../domain/packages/message-summary.ts"
import { conference, dialogInfo, presence, reg, sharedLine } from "./index.ts"
import type { DialogInfoOptions, PresenceOptions, RegOptions, SharedLineOptions } from "./index.ts"

export interface BundledOptions {
  readonly presence?: Omit<PresenceOptions, "mixes">
  /** Whether who is on the phone is shown so in presence. */
  readonly mixDialogs?: boolean
  readonly dialog?: DialogInfoOptions
  readonly sharedLine?: SharedLineOptions
  readonly messageSummary?: MessageSummaryOptions
  readonly reg?: RegOptions
  readonly callInfo?: CallInfoOptions
  readonly lineSeize?: LineSeizeOptions
}

export const bundledPackages = (options: BundledOptions = {}) => {
  const dialogs = dialogInfo(options.dialog)
  return [
    presence({
      rules: {},
      ...options.presence,
      ...(options.mixDialogs === true ? { mixes: dialogsInPresence(dialogs) } : {}),
    }),
    dialogs,
    sharedLine(options.sharedLine),
    messageSummary(options.messageSummary),
    reg(options.reg),
    conference(),
    callInfo(options.callInfo),
    lineSeize(options.lineSeize),
  ] as const
}

/** Names of the event packages that come along. */
export type BundledName = ReturnType<typeof bundledPackages>[number]["name"]
