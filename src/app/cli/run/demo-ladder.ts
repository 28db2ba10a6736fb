/**
 * Messages between a watcher, a server and a publisher as columns of text, one line each.
 */
import { summaryOf } from "../../../explain/document-summary.ts"
import type { Paint } from "../../../explain/ladder/draw.ts"
import type { Traced } from "../../client/user-agent.ts"
import type { Message } from "../../client/wire.ts"

export type Party = "watcher" | "publisher"

const timeWidth = 10
const laneWidth = 26

const centred = (text: string, width: number, fill = " "): string => {
  const left = Math.floor((width - text.length) / 2)
  return text.padStart(text.length + Math.max(0, left), fill).padEnd(width, fill)
}

/** The names of the three parties above their columns. */
export const drawHead = (server: string, paint: Paint): string => {
  const names = ["watcher", `server ${server}`, "publisher"]
  const row = names.map((name) => centred(name, laneWidth + 1)).join("")
  return paint(`${"ms".padStart(timeWidth)}${row}`.trimEnd(), "dim")
}

/** One message: an arrow between the party and the server. */
export const drawStep = (
  party: Party,
  { direction, message }: Traced,
  afterMillis: number,
  paint: Paint,
): string => {
  const time = paint(afterMillis.toFixed(1).padStart(timeWidth), "dim")
  const isRightward = (party === "watcher") === (direction === "sent")
  const line = centred(` ${labelOf(message)} `, laneWidth - 2, "-")
  const arrow = paint(isRightward ? `-${line}>` : `<${line}-`, message.raw.isRequest ? "cyan" : "green")
  const empty = " ".repeat(laneWidth)
  const [left, right] = party === "watcher" ? [arrow, empty] : [empty, arrow]
  const margin = " ".repeat(Math.floor(laneWidth / 2))
  return `${time}${margin}|${left}|${right}|  ${remarkOf(message)}`.trimEnd()
}

const labelOf = ({ raw, reason }: Message): string => (raw.isRequest ? raw.method : `${raw.status} ${reason}`)

/** A request in a few words. */
const remarkOf = ({ raw }: Message): string => {
  if (!raw.isRequest) return ""
  const state = raw.headers.first("subscription-state")?.split(";")[0]
  const summary = summaryOf({
    contentType: raw.headers.first("content-type") ?? "",
    text: raw.body.toString("utf8"),
  })
  const tuples = (summary?.tuples ?? []).map(({ basic, notes }) =>
    [basic ?? "no status", ...notes.map((note) => JSON.stringify(note))].join(" "),
  )
  const shown = tuples.length > 0 ? tuples.join(", ") : state === undefined ? "" : "nothing published"
  return [state, shown].filter((part) => part !== undefined && part !== "").join(", ")
}
