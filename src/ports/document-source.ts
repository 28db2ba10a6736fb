/**
 * Where documents of presentities come from, rules or hard state. A place is asked item by item, so that one document that cannot be
 * read hides no other.
 */
import { Context, Data } from "effect"
import type { Effect } from "effect"
import type { PackageName, Uri } from "../domain/vocabulary.ts"

/** What a place says of one presentity and package now; null text: there is nothing any more. */
export interface DocumentChange {
  readonly packageName: PackageName
  readonly presentity: Uri
  readonly text: string | null
  /** Where it is, for messages. */
  readonly file: string
}

/** A document, or what should be one, that cannot be used. */
export interface Trouble {
  /** Null: nobody can say whose it is. */
  readonly of: { readonly packageName: PackageName; readonly presentity: Uri } | null
  readonly file: string
  readonly why: string
  /** Another document of the same presentity counts instead; absent: none does. */
  readonly spare?: true
}

export interface Look {
  /** What is not settled yet, one for each presentity and package; the first look finds every document. */
  readonly changes: readonly DocumentChange[]
  /** Every document that cannot be used now. */
  readonly troubles: readonly Trouble[]
  /** All that is there, readable or not, by `keyOf`. */
  readonly listed: ReadonlySet<string>
  /** Packages of whose documents nothing is known: their part of the place cannot be read. */
  readonly unread: ReadonlySet<PackageName>
}

/** The place itself cannot be read: nothing is known of any document. */
export class SourceUnusable extends Data.TaggedError("SourceUnusable")<{
  /** `folder /etc/presently/rules` */
  readonly source: string
  readonly why: string
}> {
  override get message(): string {
    return `${this.source} cannot be read: ${this.why}`
  }
}

export interface DocumentPlace {
  /** For messages: `folder /etc/presently/rules`, `table xcap`. */
  readonly name: string
  readonly look: Effect.Effect<Look, SourceUnusable>
  /** It has been put in force, or refused for good: it is not told again until it changes. */
  readonly settle: (change: DocumentChange) => void
}

export const keyOf = ({
  packageName,
  presentity,
}: {
  readonly packageName: PackageName
  readonly presentity: Uri
}): string => `${packageName} ${presentity}`

// ── the table of an XCAP server ──

/** Which documents: the number in column `doc_type`. */
export type XcapDocument = typeof presRules | typeof omaPresRules | typeof pidfManipulation

/** @source RFC 5025 §9 */
export const presRules = 2
/** Those of OMA, by the module's number. */
export const omaPresRules = 32
/** @source RFC 4827 */
export const pidfManipulation = 16

export interface XcapOptions {
  /** The name of the table (`xcap_table`). */
  readonly table: string
  readonly document: XcapDocument
  /** Makes a canonical URI of text, null when it is none. */
  readonly canonical: (text: string) => Uri | null
  /** Longer documents are not fetched. */
  readonly octetsMax: number
  /** A look that takes longer is given up. */
  readonly millisMax: number
}

/** The tables of XCAP servers that stand in the database of the log. */
export class XcapTables extends Context.Service<
  XcapTables,
  { readonly open: (options: XcapOptions) => DocumentPlace }
>()("presently/XcapTables") {}
