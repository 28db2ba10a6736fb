/** Authorization rules from a source of your own: here a map, in practice a database or an XCAP server. */
import { Presence } from "presently"

const rules = new Map<string, string>()
const allow = (watcher: string): string =>
  `<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">` +
  `<rule id="a"><conditions><identity><one id="${watcher}"/></identity></conditions>` +
  `<actions><pr:sub-handling>allow</pr:sub-handling></actions>` +
  `<transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations></rule></ruleset>`

const presence = await Presence.make({ rules: async (presentity) => rules.get(presentity) ?? null })
const alice = "sip:alice@example.com"
await presence.publish({
  presentity: alice,
  body:
    `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}">` +
    `<tuple id="desk"><status><basic>open</basic></status><note>with a customer</note></tuple></presence>`,
})

const watch = await presence.watch({ presentity: alice, watcher: "sip:bob@example.com" })
setTimeout(() => {
  rules.set(alice, allow("sip:bob@example.com"))
  void presence.refreshRules(alice)
}, 50)
setTimeout(() => {
  rules.set(alice, allow("sip:carol@example.com"))
  void presence.refreshRules(alice)
}, 100)
for await (const { state, reason, body } of watch) {
  const shown = body === null ? "nothing" : body.text.includes("note") ? "all of it" : "that she is there"
  console.log(state, reason ?? "", "sees", shown)
}
await presence.close()

// prints:
// pending  sees nothing
// active  sees that she is there
// terminated rejected sees nothing
