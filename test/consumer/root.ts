/** Presence inside a program, with somebody else's event package beside a bundled one. */
import { Presence } from "presently"
import type { Notification, PresenceApi, PresenceRefused } from "presently"
import { presence } from "presently/packages"
import { counter } from "./counter.ts"

export const embedded = await Presence.make({ packages: [presence(), counter] })

const room = "sip:room7@example.com"
await embedded.publish({ presentity: room, event: "x-counter", body: "42", expires: 60 })
export const shown: Notification = await embedded.fetch({
  presentity: room,
  watcher: "sip:bob@example.com",
  event: "x-counter",
})
export const refused: PresenceRefused | null = await embedded
  .publish({ presentity: room, event: "x-counter", body: "many" })
  .then(
    () => null,
    (refusal: PresenceRefused) => refusal,
  )
await embedded.close()

/** With the bundled packages, by the names that are in them. */
export const plain: PresenceApi = await Presence.make()
await plain.publish({
  presentity: room,
  event: "call-info",
  headers: [["Call-Info", "<sip:a>;appearance-index=*;appearance-state=idle"]],
})
for (const event of ["dialog", "dialog;sla", "dialog.winfo"] as const) {
  const watch = await plain.watch({ presentity: room, watcher: room, event, expires: 60 })
  await watch.refresh(watch.expires)
}
await plain.close()
