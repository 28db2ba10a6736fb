/** An event package of your own: the temperature of a room, as the mean of the newest readings of all sensors. */
import { Presence } from "presently"
import type { EventPackage } from "presently/packages"
import { packageLaws } from "presently/testing"

interface Reading {
  readonly celsius: number
}

export const temperature: EventPackage<Reading, "temperature"> = {
  name: "temperature",
  accepts: ["text/plain"],
  produces: ["text/plain"],
  defaultExpires: 600,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  parse: ({ text }) => {
    // 0 and -0 are the same temperature
    const celsius = text.trim() === "" ? Number.NaN : Number(text) + 0
    return Number.isFinite(celsius)
      ? { _tag: "Parsed", document: { celsius } }
      : { _tag: "Unreadable", why: "expected degrees Celsius, for example 21.5" }
  },
  compose: ({ documents }) => {
    const total = documents.reduce((sum, { document }) => sum + document.celsius, 0)
    return documents.length === 0 ? null : { celsius: total / documents.length }
  },
  render: ({ celsius }) => ({ contentType: "text/plain", text: celsius.toString() }),
  offline: () => null,
}

// checks the laws of every package on these documents and on damaged variants of them
packageLaws(temperature, {
  documents: ["21.5", "-3", "0"].map((text) => ({ contentType: "text/plain", text })),
})

const presence = await Presence.make({ packages: [temperature] })
const room = "sip:room7@example.com"
for (const body of ["20", "22"]) await presence.publish({ presentity: room, event: "temperature", body })
const { body } = await presence.fetch({
  presentity: room,
  watcher: "sip:bob@example.com",
  event: "temperature",
})
console.log("mean", body?.text)
await presence
  .publish({ presentity: room, event: "temperature", body: "warm" })
  .catch((refusal: Error & { status: number }) => console.log(refusal.status, refusal.message))
await presence.close()

// prints:
// mean 21
// 400 bad request: expected degrees Celsius, for example 21.5
