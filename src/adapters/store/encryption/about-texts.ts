/**
 * What is known of a request, as it is stored: its texts come from the sender of the request, and are encrypted with that
 * person's key, together with the other texts of that person.
 */
import type { About } from "../../../domain/presentity/about.ts"
import type { StoredAbout } from "../../../ports/stored-events.ts"
import type { Opening } from "./sealed-texts.ts"
import { isTogether } from "./texts-together.ts"

/** Each part of `About`: whether it says something of the sender, and is encrypted. A part that is not listed does not compile. */
const parts = {
  command: "personal",
  by: "personal",
  request: "personal",
  profile: "personal",
  node: "clear",
  epoch: "clear",
} as const satisfies Record<keyof About, "personal" | "clear">

export type AboutField = {
  [Part in keyof typeof parts]: (typeof parts)[Part] extends "personal" ? Part : never
}[keyof typeof parts]

/** In the order in which their texts are encrypted. */
const fields = Object.entries(parts).flatMap(([part, kind]) =>
  kind === "personal" ? [part as AboutField] : [],
)

const isKnown = ([part]: readonly [string, unknown]): boolean => Object.hasOwn(parts, part)

/**
 * The same with every text in it replaced, in a fixed order; numbers, the node and its epoch say nothing of a person. What is no
 * part of `About` is left out: nothing is stored of which nobody has said whether it is personal.
 */
export const aboutAsTexts = (
  about: StoredAbout,
  each: (text: string, kind: AboutField) => string,
): StoredAbout => {
  const result: Record<string, unknown> = Object.fromEntries(Object.entries(about).filter(isKnown))
  for (const field of fields) {
    const part = about[field]
    if (part === undefined || typeof part === "number") continue
    result[field] = each(typeof part === "string" ? part : JSON.stringify(part), field)
  }
  return result
}

/** Whether something in it is about whoever sent the request, or in that person's words. */
export const saysOfPersons = (about: StoredAbout): boolean =>
  fields.some((field) => about[field] !== undefined && typeof about[field] !== "number")

/** Passes over it. */
export const skipAbout = (about: StoredAbout, { skip }: Opening): void =>
  void aboutAsTexts(about, (text, kind) => {
    if (!isTogether(text))
      throw new Error(`what is known of the request (${kind}) is not what was written there`)
    skip(text, kind)
    return text
  })

/** As it was written, without the texts that nobody can read any more. @throws Error when a text is not what was written there */
export const openedAbout = (about: StoredAbout, opening: Opening): object => {
  const result: Record<string, unknown> = { ...about }
  for (const field of fields) {
    const part = about[field]
    if (part === undefined || typeof part === "number") continue
    if (typeof part !== "string" || !isTogether(part))
      throw new Error(`what is known of the request (${field}) is not what was written there`)
    const { text } = opening.next(part, field)
    if (text === null) delete result[field]
    else result[field] = field === "by" ? (JSON.parse(text) as unknown) : text
  }
  return result
}
