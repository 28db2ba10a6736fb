/**
 * A database of another presence server, as far as taking it over needs it: opened for reading only, and read in pages.
 *
 * What differs between PostgreSQL, MySQL and SQLite is in a file each; what the tables mean is `layouts.ts`.
 */
import { Data } from "effect"
import type { Effect } from "effect"

export type SourceRow = Readonly<Record<string, unknown>>

export interface Source {
  /** For messages; without a password. */
  readonly name: string
  /** Says which database this is in a way that two connections to the same one agree on; null: it cannot be ours. */
  readonly identity: string | null
  readonly hasTable: (name: string) => Effect.Effect<boolean, SourceUnavailable>
  /** The rows of one SELECT, in which `?` stands for each of the values in turn. */
  readonly rows: (
    statement: string,
    values?: readonly string[],
  ) => Effect.Effect<readonly SourceRow[], SourceUnavailable>
}

/** Nobody answers there, or what answers cannot be read. */
export class SourceUnavailable extends Data.TaggedError("SourceUnavailable")<{
  readonly source: string
  readonly why: string
}> {
  readonly exitCode = 69
  override get message(): string {
    return `${this.source} cannot be read: ${this.why}`
  }
}

/** The client for a kind of database is not installed. */
export class SourceClientMissing extends Data.TaggedError("SourceClientMissing")<{
  readonly source: string
  readonly npmPackage: string
}> {
  readonly exitCode = 74
  override get message(): string {
    return `${this.source}: reading it needs a package that is not installed: npm install ${this.npmPackage}`
  }
}

/** The innermost message of whatever went wrong, in one line. */
export const reasonOf = (cause: unknown): string => {
  if (!(cause instanceof Error)) return String(cause)
  const inner = (cause as { readonly reason?: unknown }).reason ?? cause.cause
  if (inner instanceof Error && inner !== cause) return reasonOf(inner)
  const [line] = (cause.message || (cause as NodeJS.ErrnoException).code || cause.name).split("\n")
  return line ?? ""
}

/** A URL without the password. */
export const withoutPassword = (url: string): string => url.replace(/\/\/([^@/:]*)(?::[^@/]*)?@/, "//$1@")
