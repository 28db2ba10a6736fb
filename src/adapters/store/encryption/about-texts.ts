/**
 * What is known of a request, as it is stored: its texts are those of whoever sent it, encrypted with the others of that person.
 */
import type { StoredAbout } from "../../../ports/stored-events.ts"
import { isTogether } from "./texts-together.ts"
import type { Opening } from "./texts-together.ts"

const fields = ["command", "by", "request", "profile"] as const
export type AboutField = (typeof fields)[number]

/** The same with every text in it replaced, in a fixed order; numbers, the node and its epoch say nothing of a person. */
export const aboutAsTexts = (
  about: StoredAbout,
  each: (text: string, kind: AboutField) => string,
): StoredAbout => {
  const result: Record<string, unknown> = { ...about }
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

/** As it was written, without the texts that nobody can read any more. @throws Error when a text is not what was written there */
export const openedAbout = (about: StoredAbout, opening: Opening): object => {
  const result: Record<string, unknown> = { ...about }
  for (const field of fields) {
    const part = about[field]
    if (typeof part !== "string") continue
    if (!isTogether(part))
      throw new Error(`what is known of the request (${field}) is not what was written there`)
    const { text } = opening.next(part)
    if (text === null) delete result[field]
    else result[field] = field === "by" ? (JSON.parse(text) as unknown) : text
  }
  return result
}
