/**
 * What an event package of the program did wrong.
 */
import { Data } from "effect"

/** An event package of the program threw, or gave what it may not. */
export class PackageFault extends Data.TaggedError("PackageFault")<{
  /** Its name. */
  readonly event: string
  /** `parse`, `compose`, `rules.judge` … */
  readonly member: string
  readonly why: string
  readonly cause?: unknown
}> {
  override get message(): string {
    return `event package ${this.event}: ${this.member} ${this.why}`
  }
}
