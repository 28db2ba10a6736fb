/** What an author of an event package checks it with. */
import type { Command, Uri } from "presently/domain"
import { lawsOf, makeGiven, packageLaws, simulate } from "presently/testing"
import type { PackageLaw } from "presently/testing"
import { counter, packages } from "./counter.ts"

const documents = ["0", "7", "42"].map((text) => ({ contentType: "text/plain", text }))

packageLaws(counter, { documents, cases: 20 })
export const laws: readonly PackageLaw[] = lawsOf(counter, { documents })

const given = makeGiven({ packages, presentity: "sip:alice@example.com" as Uri, at: 0 })
const publish: Command = {
  _tag: "Publish",
  packageName: "x-counter",
  ifMatch: ["not ours"],
  expires: null,
  body: null,
  bodyFault: null,
  sender: null,
}
given().when(publish, 1_000).refused(412)

export const { counts } = simulate({
  seed: 1,
  steps: 100,
  packages,
  universe: {
    presentities: ["sip:alice@example.com" as Uri],
    watchers: ["sip:bob@example.com" as Uri],
    bodies: new Map([["x-counter", documents]]),
  },
  present: (shown) => shown,
})
