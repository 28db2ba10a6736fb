import { Data } from "effect"

/** The person was not erased. */
export class EraseRefused extends Data.TaggedError("EraseRefused")<{ readonly why: string }> {
  readonly exitCode = 1
  override get message(): string {
    return `nobody was erased: ${this.why}`
  }
}
