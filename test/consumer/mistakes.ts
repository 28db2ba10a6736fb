/** Mistakes that must not compile; a line that does compile is an error of its own. */
import { encodeDecision } from "presently"
import { decide } from "presently/domain"
import type { Command, Event } from "presently/domain"
import { makeRegistry, passThrough, presence } from "presently/packages"
import type { EventPackage, Pidf } from "presently/packages"
import { packageLaws, storeContract } from "presently/testing"
import { counter } from "./counter.ts"
import { embedded, plain } from "./root.ts"
import { store } from "./tested.ts"

// @ts-expect-error the text of a body is no number
packageLaws(counter, { documents: [{ contentType: "text/plain", text: 42 }] })

// @ts-expect-error what counts is no string
packageLaws(counter, { documents: [], meaning: (document: string) => document })

export const wrongBody: EventPackage<number> = {
  ...counter,
  // @ts-expect-error a rendered body has a media type
  render: (document) => ({ text: `${document}` }),
}

export const wrongDocument: EventPackage<number> = {
  ...counter,
  // @ts-expect-error composed of numbers it is a number
  compose: ({ documents }) => `${documents.length}`,
}

// @ts-expect-error read as one thing, composed as another
export const mistaken: EventPackage<Pidf> = counter

// @ts-expect-error a package accepts media types, not one
passThrough({ name: "x", contentTypes: "text/plain" })

// @ts-expect-error there is no such option
presence({ notifyOfflineBodies: true })

// @ts-expect-error a registry is of packages, not of their constructors
makeRegistry([presence])

// @ts-expect-error events are read only
export const change = (event: Event): void => void (event._tag = "RulesReplaced")

// @ts-expect-error PUBLISH has more to it
export const command: Command = { _tag: "Publish", packageName: "presence" }

// @ts-expect-error a decision is not to be awaited: it has no `then`
void decide.then

// @ts-expect-error a published body is no number
void embedded.publish({ presentity: "sip:a@example.com", event: "x-counter", body: 42 })

// @ts-expect-error there is no such event package
void embedded.publish({ presentity: "sip:a@example.com", event: "x-count", body: "42" })

// @ts-expect-error a package with parameters in its name shares the watcher information of its type
void plain.watch({ presentity: "sip:a@example.com", watcher: "sip:b@example.com", event: "dialog;sla.winfo" })

// @ts-expect-error a store has more to it
storeContract(() => ({ append: store.append }))

// @ts-expect-error a decision is written as a whole
encodeDecision({ stream: "sip:a@example.com", events: [] })
