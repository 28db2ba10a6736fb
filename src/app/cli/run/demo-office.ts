/**
 * The story of a lamp that stays lit, told by the decisions of a presence service in this process, on a clock of its own. Nothing
 * is sent and nothing waits, so it is the same each time.
 */
import { setImmediate } from "node:timers/promises"
import { atText } from "../../../explain/history/format-history.ts"
import { clockOf } from "../../../explain/history/time.ts"
import type { Paint } from "../../../explain/ladder/draw.ts"
import { Presence } from "../../library/presence.ts"

const domain = "office.example"
const [reception, ben, carla, emil] = [201, 203, 204, 205].map((extension) => `sip:${extension}@${domain}`)
const lamps = [
  { name: "203 at 201", of: ben!, at: reception! },
  { name: "204 at 201", of: carla!, at: reception! },
  { name: "204 at 205", of: carla!, at: emil! },
] as const

const lifetimeSeconds = 3600
const shorterSeconds = 300

type CallState = "early" | "confirmed" | "terminated"

const dialogInfo = (entity: string, state: CallState): string =>
  `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${entity}">` +
  `<dialog id="call"><state>${state}</state></dialog></dialog-info>`

/** On that day. */
const instant = (time: string): number => Date.parse(`2026-03-02T${time}Z`)

type Lamp = "blinks" | "lit" | "dark"

/** What the lamp shows, from the document in the last NOTIFY (RFC 4235). */
const lampOf = (document: string): Lamp => {
  if (document.includes("<state>confirmed</state>")) return "lit"
  return document.includes("<state>early</state>") ? "blinks" : "dark"
}

/** Entity-tags are random. */
const withoutTags = (text: string): string => text.replaceAll(/(etag) \S+/g, "$1 …")

/** The lines of `at` but for the document: each phone may show it in its own way. */
const withoutDocument = (text: string): string =>
  text.replaceAll(/^(document of \w+)\n(?: {2}.*\n)+/gm, "$1 …\n")

/** @param say prints one line or several */
export const performOffice = async (say: (text: string) => void, paint: Paint): Promise<void> => {
  let now = instant("09:00:00")
  await using presence = await Presence.make({ now: () => now })
  const dialog = { event: "dialog" as const }

  const shown = new Map<(typeof lamps)[number], Lamp>()
  const follow = async (lamp: (typeof lamps)[number]): Promise<void> => {
    const watch = await presence.watch({
      ...dialog,
      presentity: lamp.of,
      watcher: lamp.at,
      expires: 8 * 3600,
    })
    void (async () => {
      for await (const { body } of watch) shown.set(lamp, lampOf(body?.text ?? ""))
    })()
  }
  /** Whether every lamp has been sent what there is to be shown now. */
  const isShown = async (): Promise<boolean> => {
    const due = await Promise.all(
      lamps.map(async (lamp) => {
        const { watchers } = await presence.at(lamp.of, now)
        return (
          lampOf(watchers.find(({ watcher }) => watcher === lamp.at)?.document?.text ?? "") ===
          shown.get(lamp)
        )
      }),
    )
    return due.every(Boolean)
  }
  const row = (time: string, what: string, cells: readonly string[]): string =>
    `  ${paint(time.padEnd(8), "dim")}  ${what.padEnd(50)}  ${cells.map((cell) => cell.padEnd(10)).join("  ")}`.trimEnd()
  const at = async (time: string, what: string, happens: () => Promise<unknown>): Promise<void> => {
    now = instant(time)
    await happens()
    do {
      await presence.settle()
      // the phones take what they were sent
      await setImmediate()
    } while (!(await isShown()))
    await presence.settle()
    say(
      row(
        time,
        what,
        lamps.map((lamp) => shown.get(lamp) ?? ""),
      ),
    )
  }
  const tags = new Map<string, string>()
  const publish = (presentity: string, state: CallState) => async (): Promise<void> => {
    const entityTag = tags.get(presentity)
    const { entityTag: newTag } = await presence.publish({
      ...dialog,
      presentity,
      body: dialogInfo(presentity, state),
      expires: lifetimeSeconds,
      ...(entityTag === undefined ? {} : { entityTag }),
    })
    tags.set(presentity, newTag)
  }
  const nothing = async (): Promise<void> => {}

  say(introduction)
  say(
    row(
      "time",
      "what happens",
      lamps.map(({ name }) => name),
    ),
  )
  await at("09:00:00", "the phones subscribe", async () => {
    for (const lamp of lamps) await follow(lamp)
  })
  await at("09:10:00", `204 rings: its phone publishes "early"`, publish(carla!, "early"))
  await at("09:10:08", `Carla answers: "confirmed", for an hour`, publish(carla!, "confirmed"))
  await at("09:12:30", "the phone of 204 loses power during the call", nothing)
  await at("09:20:00", `203 answers a call: "confirmed"`, publish(ben!, "confirmed"))
  await at("09:21:00", `203 hangs up: "terminated"`, publish(ben!, "terminated"))
  await at("09:40:00", "reception: Carla is out, why is her lamp lit?", nothing)
  const asked = "09:40:00"

  say(`\n$ presently why ${carla} --watcher ${reception} --at ${asked} --utc`)
  say(withoutTags((await presence.why(carla!, reception!)).text))
  say(`\n$ presently at ${carla} ${asked} --utc`)
  const state = await presence.at(carla!, now)
  say(withoutDocument(withoutTags(atText(state, clockOf("UTC")))))

  const [publication] = state.publications
  const until = publication === undefined ? "" : clockOf("UTC")(publication.expiresAt).slice(11, 19)
  const sooner = clockOf("UTC")(instant("09:10:08") + shorterSeconds * 1000).slice(11, 19)
  say(`
The server is right by what it knows: the last that the phone of 204 published is "confirmed", and that counts until
${until}. The end of the call was never published. Both watchers were told, and answered. So the lamp is lit until
then, unless the phone comes back and publishes.
`)
  await at(until, "the publication expires", nothing)
  say(`
A shorter lifetime ends it sooner: with max_expires_publish = ${shorterSeconds} the lamps would have gone out at ${sooner}.`)
}

const introduction = `An office, on a clock of its own. 201 is the reception, with lamps for 203 (Ben) and 204 (Carla).
205 (Emil) has a lamp for 204 as well.
`
