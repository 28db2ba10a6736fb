/** An event package of somebody else's: a number in plain text, the newest counts. */
import { makeRegistry } from "presently/domain"
import type { EventPackage, Packages } from "presently/domain"
import { story } from "./story.ts"
import type { Step } from "./story.ts"

export const counter: EventPackage<number, "x-counter"> = {
  name: "x-counter",
  accepts: ["text/plain"],
  produces: ["text/plain"],
  defaultExpires: 3_600,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  parse: ({ text }) =>
    /^[0-9]{1,9}$/.test(text)
      ? { _tag: "Parsed", document: Number(text) }
      : { _tag: "Unreadable", why: "not a number" },
  compose: ({ documents }) => documents.at(-1)?.document ?? null,
  render: (document) => ({ contentType: "text/plain", text: `${document}` }),
  offline: () => null,
}

export const packages: Packages = makeRegistry([counter])

export const counted = (): readonly Step[] =>
  story(packages, "x-counter", { contentType: "text/plain", text: "42" })
