/**
 * The answer to whoever wants a log in a database that will not do.
 */
import { Data } from "effect"

/** It will not do, and waiting does not help. */
export class StoreUnfit extends Data.TaggedError("StoreUnfit")<{
  /** The setting with its value and source, or where the database is, in words. */
  readonly store: string
  readonly why: string
  readonly fix: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.store}: ${this.why}: ${this.fix}`
  }
}
