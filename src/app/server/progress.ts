/**
 * The phases of a start, in their order, and whether it is complete. When reading the log takes long, sockets open before that.
 */
import { Context, Layer } from "effect"

export const phases = [
  /** The log belongs to this process, and the database has the present layout. */
  "claim",
  /** The log is read: everything alive is in memory. */
  "log",
  /** The three tables match the log. */
  "tables",
  /** Documents from the sources of authorization documents are in force, before anything is decided that could show something. */
  "rules",
  /** The policies about who may watch are in force. */
  "policies",
  /** Hard state is in force. */
  "hard state",
  /** SIP requests arrive, and are answered 503 until everything is ready. */
  "sockets",
  /** What fell due meanwhile is decided, and requests are. */
  "deadlines",
  /** Sharing tags are as the log and the settings say. */
  "tags",
  "ready",
] as const
export type Phase = (typeof phases)[number]

/** How far a server's start has got. */
export class Progress extends Context.Service<
  Progress,
  {
    readonly hasStarted: () => boolean
    readonly reached: (phase: Phase) => void
  }
>()("presently/Progress") {
  static readonly layer: Layer.Layer<Progress> = Layer.sync(Progress, () => {
    let isReady = false
    return {
      hasStarted: () => isReady,
      reached: (phase) => void (isReady ||= phase === "ready"),
    }
  })
}
