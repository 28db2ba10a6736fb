/**
 * Draws messages as a ladder: in columns of text, or as a Mermaid sequence diagram.
 */
import { clockText } from "../case/step-text.ts"
import { isNote } from "./messages.ts"
import type { LadderStep } from "./messages.ts"

/** Colours a text, or leaves it unchanged. */
export type Paint = (text: string, colour: "dim" | "green" | "cyan") => string

const laneWidth = 18
/** The maximum number of columns besides the server; further parties share the last one. */
const lanesMax = 6
const others = "others"

/** The columns, in order of first appearance; the publisher is always the first. */
export const lanesOf = (steps: Iterable<LadderStep>): readonly string[] => {
  const parties = new Set<string>(["publisher"])
  for (const step of steps) if (!isNote(step)) parties.add(step.party)
  const all = [...parties]
  return all.length <= lanesMax ? all : [...all.slice(0, lanesMax - 1), others]
}

const columnOf = (lanes: readonly string[], party: string): number => {
  const index = lanes.indexOf(party)
  return (index < 0 ? lanes.length - 1 : index) + 1
}

const timeWidth = 12

export const drawHead = (lanes: readonly string[], paint: Paint): string => {
  const names = ["server", ...lanes.map(shortName)]
  const row = names.map((name) => fitted(name, laneWidth)).join("")
  return paint(`${" ".repeat(timeWidth - laneWidth / 2 + 4)}${row}`.trimEnd(), "dim")
}

/** `bob@example.com` */
const shortName = (party: string): string => party.replace(/^sips?:/, "")

const fitted = (text: string, width: number): string => {
  const shown = text.length > width - 2 ? `${text.slice(0, width - 3)}~` : text
  const left = Math.floor((width - shown.length) / 2)
  return " ".repeat(left) + shown + " ".repeat(width - left - shown.length)
}

/** One line: the time, the lifelines of all parties with an arrow between two of them, and the text of the message. */
export const drawStep = (step: LadderStep, lanes: readonly string[], utc: boolean, paint: Paint): string => {
  const time = paint(clockText(step.at, utc).slice(11, 23).padEnd(timeWidth), "dim")
  if (isNote(step)) return `${time}    | ${paint(step.note, "dim")}`
  const column = columnOf(lanes, step.party)
  const length = column * laneWidth - 1
  const label = ` ${step.label} `
  const dashes = Math.max(2, length - 1 - label.length)
  const [left, right] = [Math.floor(dashes / 2), Math.ceil(dashes / 2)]
  const line = "-".repeat(left) + label + "-".repeat(right)
  const arrow = step.direction === "to-server" ? `<${line}` : `${line}>`
  const rest = lanes
    .slice(column)
    .map(() => `${" ".repeat(laneWidth - 1)}|`)
    .join("")
  const isRequest = /^[A-Z]+$/.test(step.label)
  return `${time}    |${paint(arrow, isRequest ? "cyan" : "green")}|${rest}  ${step.remark}`.trimEnd()
}

/** A sequence diagram for Mermaid. */
export function* mermaid(
  steps: Iterable<LadderStep>,
  lanes: readonly string[],
  utc: boolean,
): Generator<string> {
  const names = new Map([["server", "server"], ...lanes.map((lane, index) => [lane, `p${index}`] as const)])
  yield "sequenceDiagram"
  for (const [party, name] of names) yield `  participant ${name} as ${escaped(shortName(party))}`
  for (const step of steps) {
    const time = clockText(step.at, utc).slice(11)
    if (isNote(step)) {
      yield `  Note over server: ${time} ${escaped(step.note)}`
      continue
    }
    const party = names.get(step.party) ?? names.get(others) ?? "server"
    const isRequest = /^[A-Z]+$/.test(step.label)
    const [from, to] = step.direction === "to-server" ? [party, "server"] : ["server", party]
    const arrow = step.isSent ? (isRequest ? "->>" : "-->>") : "--x"
    yield `  ${from}${arrow}${to}: ${time} ${escaped([step.label, step.remark].filter((text) => text !== "").join(" "))}`
  }
}

/** Without characters that would end a line or have a meaning there. */
const escaped = (text: string): string =>
  text.replaceAll(/[\r\n]+/g, " ").replaceAll(/[#;<>&"]/g, (char) => `#${char.charCodeAt(0)};`)
