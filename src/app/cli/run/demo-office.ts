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
const reception = `sip:201@${domain}`
const ben = `sip:203@${domain}`
const carla = `sip:204@${domain}`
const emil = `sip:205@${domain}`

const event = "dialog"

/** A lamp on the phone of a watcher, for the calls of a presentity. */
interface Lamp {
  readonly name: string
  readonly presentity: string
  readonly watcher: string
}

const lamps: readonly Lamp[] = [
  { name: "203 at 201", presentity: ben, watcher: reception },
  { name: "204 at 201", presentity: carla, watcher: reception },
  { name: "204 at 205", presentity: carla, watcher: emil },
]

const lifetimeSeconds = 3600
const shorterSeconds = 300

type CallState = "early" | "confirmed" | "terminated"

const dialogInfo = (entity: string, state: CallState): string =>
  `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${entity}">` +
  `<dialog id="call"><state>${state}</state></dialog></dialog-info>`

/** On that day. */
const instant = (time: string): number => Date.parse(`2026-03-02T${time}Z`)

type Light = "blinks" | "lit" | "dark"

/** What a lamp shows, from the document in the last NOTIFY (RFC 4235). */
const lightOf = (document: string): Light => {
  if (document.includes("<state>confirmed</state>")) return "lit"
  return document.includes("<state>early</state>") ? "blinks" : "dark"
}

/** Entity-tags are random. */
const withoutTags = (text: string): string => text.replaceAll(/(etag) \S+/g, "$1 …")

/** The lines of `at` but for the document: each phone may show it in its own way. */
const withoutDocument = (text: string): string =>
  text.replaceAll(/^(document of \w+)\n(?: {2}.*\n)+/gm, "$1 …\n")

/** The phones of the office, and its clock. */
interface Office {
  readonly presence: Presence
  readonly now: () => number
  /** Subscribes each lamp. */
  readonly subscribe: () => Promise<void>
  /** A phone publishes the state of its call. */
  readonly publish: (presentity: string, state: CallState) => () => Promise<void>
  /** Lets something happen at a time of the day, and waits until all that follows from it has reached the phones. */
  readonly at: (time: string, happens: () => Promise<void>) => Promise<void>
  /** What each lamp shows. */
  readonly shown: () => readonly string[]
}

const openOffice = async (): Promise<Office> => {
  let now = instant("09:00:00")
  const presence = await Presence.make({ now: () => now })
  const shown = new Map<Lamp, Light>()
  const tags = new Map<string, string>()
  /** Whether the lamp has been sent what there is to be shown now. */
  const isRight = async (lamp: Lamp): Promise<boolean> => {
    const { watchers } = await presence.at(lamp.presentity, now)
    const due = watchers.find(({ watcher }) => watcher === lamp.watcher)?.document
    return lightOf(due?.text ?? "") === shown.get(lamp)
  }
  const follow = async (lamp: Lamp): Promise<void> => {
    const { presentity, watcher } = lamp
    const request = { event, presentity, watcher, expires: 8 * 3600 } as const
    const watch = await presence.watch(request)
    void (async () => {
      for await (const { body } of watch) shown.set(lamp, lightOf(body?.text ?? ""))
    })()
  }
  return {
    presence,
    now: () => now,
    subscribe: async () => {
      for (const lamp of lamps) await follow(lamp)
    },
    publish: (presentity, state) => async () => {
      const entityTag = tags.get(presentity)
      const body = dialogInfo(presentity, state)
      const request = { event, presentity, body, expires: lifetimeSeconds } as const
      const published = await presence.publish(entityTag === undefined ? request : { ...request, entityTag })
      tags.set(presentity, published.entityTag)
    },
    at: async (time, happens) => {
      now = instant(time)
      await happens()
      do {
        await presence.settle()
        // the phones take what they were sent
        await setImmediate()
      } while (!(await Promise.all(lamps.map(isRight))).every(Boolean))
      await presence.settle()
    },
    shown: () => lamps.map((lamp) => shown.get(lamp) ?? ""),
  }
}

const nothing = async (): Promise<void> => {}

/** @param say prints one line or several */
export const performOffice = async (say: (text: string) => void, paint: Paint): Promise<void> => {
  const office = await openOffice()
  const { presence, publish } = office
  const row = (time: string, what: string, cells: readonly string[]): string =>
    `  ${paint(time.padEnd(8), "dim")}  ${what.padEnd(50)}  ${cells.map((cell) => cell.padEnd(10)).join("  ")}`.trimEnd()
  const step = async (time: string, what: string, happens: () => Promise<void>): Promise<void> => {
    await office.at(time, happens)
    say(row(time, what, office.shown()))
  }
  const names = lamps.map(({ name }) => name)

  say(introduction)
  say(row("time", "what happens", names))
  await step("09:00:00", "the phones subscribe", office.subscribe)
  await step("09:10:00", `204 rings: its phone publishes "early"`, publish(carla, "early"))
  await step("09:10:08", `Carla answers: "confirmed", for an hour`, publish(carla, "confirmed"))
  await step("09:12:30", "the phone of 204 loses power during the call", nothing)
  await step("09:20:00", `203 answers a call: "confirmed"`, publish(ben, "confirmed"))
  await step("09:21:00", `203 hangs up: "terminated"`, publish(ben, "terminated"))
  await step("09:40:00", "reception: Carla is out, why is her lamp lit?", nothing)

  say(`\n$ presently why ${carla} --watcher ${reception} --at 09:40:00 --utc`)
  say(withoutTags((await presence.why(carla, reception)).text))
  say(`\n$ presently at ${carla} 09:40:00 --utc`)
  const state = await presence.at(carla, office.now())
  say(withoutDocument(withoutTags(atText(state, clockOf("UTC")))))

  const timeOf = (at: number): string => clockOf("UTC")(at).slice(11, 19)
  const [publication] = state.publications
  const { publishedAt = 0, expiresAt = 0 } = publication ?? {}
  const until = timeOf(expiresAt)
  say(`
The server is right by what it knows: the last that the phone of 204 published is "confirmed", and that counts until
${until}. The end of the call was never published. Both watchers were told, and answered. So the lamp is lit until
then, unless the phone comes back and publishes.
`)
  await step(until, "the publication expires", nothing)
  say(`
A shorter lifetime ends it sooner: with max_expires_publish = ${shorterSeconds} the lamps would have gone out at ${timeOf(publishedAt + shorterSeconds * 1000)}.`)
  await presence.close()
}

const introduction = `An office, on a clock of its own. 201 is the reception, with lamps for 203 (Ben) and 204 (Carla).
205 (Emil) has a lamp for 204 as well.
`
