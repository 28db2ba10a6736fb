/** Presence inside a program, without sockets or a database. */
import { Presence } from "presently"

const presence = await Presence.make()
const document = (basic: string): string =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">` +
  `<tuple id="desk"><status><basic>${basic}</basic></status></tuple></presence>`

const watch = await presence.watch({ presentity: "sip:alice@example.com", watcher: "sip:bob@example.com" })
const { entityTag } = await presence.publish({ presentity: "sip:alice@example.com", body: document("open") })
const then = Date.now()
setTimeout(() => void presence.publish({ presentity: "sip:alice@example.com", entityTag, expires: 0 }), 100)

for await (const { body, sequence } of watch) {
  console.log(sequence, body === null ? "nothing published" : body.text.match(/<basic>(\w+)</)?.[1])
  if (sequence === 3) break
}
const past = await presence.at("sip:alice@example.com", then)
console.log("a moment ago:", past.publications.length, "publication")
const facts = (await presence.history("sip:alice@example.com")).flatMap(({ events }) =>
  events.map(({ _tag }) => _tag),
)
console.log(facts.filter((fact) => fact.startsWith("Publication")).join(", "))
await presence.close()

// prints:
// 1 nothing published
// 2 open
// 3 closed
// a moment ago: 1 publication
// PublicationCreated, PublicationRemoved
