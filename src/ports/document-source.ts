/**
 * Sources of documents of presentities, rules or hard state. A source is read item by item, so that one unreadable
 * document does not hide others.
 */
import { Context, Data } from "effect"
import type { Effect } from "effect"
import type { PackageName, Uri } from "../domain/vocabulary.ts"

/** What a source currently holds for one presentity and package; null text: it no longer holds anything. */
export interface DocumentChange {
  readonly packageName: PackageName
  readonly presentity: Uri
  readonly text: string | null
  /** Its location, for messages. */
  readonly file: string
}

/** A document, or something meant to be one, that cannot be used. */
export interface Trouble {
  /** Null: the presentity to which it belongs is unknown. */
  readonly of: { readonly packageName: PackageName; readonly presentity: Uri } | null
  readonly file: string
  readonly why: string
  /** Another document of the same presentity is used instead. Absent: none is. */
  readonly spare?: true
}

export interface Look {
  /** Changes that are not settled yet, one for each presentity and package; the first poll finds every document. */
  readonly changes: readonly DocumentChange[]
  /** Every document that cannot be used now. */
  readonly troubles: readonly Trouble[]
  /** Every document in the source, readable or not, by `keyOf`. */
  readonly listed: ReadonlySet<string>
  /** Packages about whose documents nothing is known, because their part of the source cannot be read. */
  readonly unread: ReadonlySet<PackageName>
}

/** The source itself cannot be read, so nothing is known about any document. */
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
  /** The change has been put in force, or refused for good: it is not reported again until the document changes. */
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

/** The documents of RFC 5025 §9. */
export const presRules = 2
/** Those of OMA, by the number in the OpenSIPS module. */
export const omaPresRules = 32
/** The documents of RFC 4827. */
export const pidfManipulation = 16

export interface XcapOptions {
  /** The name of the table (`xcap_table`). */
  readonly table: string
  readonly document: XcapDocument
  /** Converts text to a canonical URI; null: it is none. */
  readonly canonical: (text: string) => Uri | null
  /** Longer documents are not fetched. */
  readonly octetsMax: number
  /** A poll that takes longer is given up. */
  readonly millisMax: number
}

/** The tables of XCAP servers in the same database as the log. */
export class XcapTables extends Context.Service<
  XcapTables,
  { readonly open: (options: XcapOptions) => DocumentPlace }
>()("presently/XcapTables") {}
