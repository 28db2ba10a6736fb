/**
 * The phases of a start, in their order, and whether it is through. Sockets may open before the log is read, when that takes long.
 */
import { Context, Layer } from "effect"

export const phases = [
  /** The log is this process's own, and the database has the present layout. */
  "claim",
  /** The log is read: what lives is in memory. */
  "log",
  /** The three tables show what the log says. */
  "tables",
  /** What the sources of authorization documents have is in force, before anything is decided that could show something. */
  "rules",
  /** So are the policies about who may watch. */
  "policies",
  /** And what is shown while nobody publishes. */
  "hard state",
  /** SIP requests come in, and are answered 503 until all is there. */
  "sockets",
  /** What fell due meanwhile is decided, and requests are. */
  "deadlines",
  /** Sharing tags are as the log and the settings have them. */
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
