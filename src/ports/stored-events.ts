/**
 * Events as a log stores them: unchanged, or with all personal data encrypted.
 */
import type { About } from "../domain/presentity/about.ts"
import type { Event } from "../domain/presentity/events.ts"

/** The key of a person. Destroying it makes everything encrypted with it unreadable (crypto-shredding). */
export interface PersonKey {
  /** A name that reveals nothing about the person: 16 characters of base64url, 24 hex digits in earlier logs, or 12 for keys of the first form. */
  readonly id: string
  /** The canonical URI of the person. */
  readonly person: string
  /** 64 octets, or 32 for an id of 12 hex digits. */
  readonly key: Uint8Array
}

/**
 * Events with the ids of the keys with which their personal fields are encrypted.
 *
 * `of` is the key of the presentity; `by` lists the keys of other persons in the order in which the row needs them. Without either
 * nothing in it is encrypted.
 */
export interface Envelope {
  readonly of?: string
  readonly by?: readonly string[]
  /** Encrypted texts: those of the key `of`, or nothing, and then those of each key in `by`. Absent: none, or as rows were before. */
  readonly s?: readonly string[]
  /** `about`, packed (`encoding/packed-events.ts`), where the row is encrypted. */
  readonly a?: readonly unknown[]
  readonly about?: StoredAbout
  readonly events: readonly Event[]
}

/** As it stands in the database, where texts are encrypted: frequent events are packed (`encoding/packed-events.ts`). */
export type PackedEnvelope = Omit<Envelope, "about" | "events"> & { readonly e: readonly Event[] }

/** What is known of the request. Where the row is encrypted, texts are, and `by` is the JSON of it as a text. */
export type StoredAbout = Omit<About, "by"> & { readonly by?: About["by"] | string }

/** The content of the column `events` of a row. */
export type StoredEvents = readonly Event[] | Envelope | PackedEnvelope
