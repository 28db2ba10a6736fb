/**
 * Faults of a program's event package.
 */
import { Data } from "effect"

/** An event package of the program threw, or returned something invalid. */
export class PackageFault extends Data.TaggedError("PackageFault")<{
  /** The package's name. */
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
