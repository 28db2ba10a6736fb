/**
 * Event packages simple enough to predict by eye, and the registry with which tests run.
 *
 * A stub document is a list of lines, each line one element; a text that starts with `!` is unreadable. The lines of an
 * ended publication are shown once with a leading minus.
 */
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import type { Composition, EventPackage } from "../../src/domain/packages/event-package.ts"
import { presence } from "../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../src/domain/packages/registry.ts"
import type { Body } from "../../src/domain/vocabulary.ts"

export interface Lines {
  readonly lines: readonly string[]
}

export interface StubOptions {
  readonly name?: string
  /** `newest`: the last content counts; `all`: everything, oldest content first. */
  readonly composition?: "newest" | "all"
  readonly entityTags?: EventPackage["entityTags"]
  /** Whether absence is always shown as a document. */
  readonly showsAbsence?: boolean
  readonly notifyIntervalMillis?: number
}

export const offlineLine = "offline"

export const stub = (options: StubOptions = {}): EventPackage<Lines> => {
  const { name = "stub", composition = "newest", entityTags = "new-each-time" } = options
  const { showsAbsence = false, notifyIntervalMillis = 5_000 } = options
  const offline: Lines = { lines: [offlineLine] }
  return {
    name,
    accepts: ["text/plain"],
    produces: ["text/plain"],
    defaultExpires: 3_600,
    entityTags,
    notifyIntervalMillis,
    parse: ({ text }) =>
      text.startsWith("!")
        ? { _tag: "Unreadable", why: "it starts with !" }
        : { _tag: "Parsed", document: { lines: text.split("\n") } },
    compose: (input) => {
      if (showsAbsence && input.documents.length === 0) return offline
      const lines = composition === "newest" ? newest(input) : all(input)
      return lines.length === 0 ? null : { lines }
    },
    render: ({ lines }) => ({ contentType: "text/plain", text: lines.join("\n") }),
    offline: () => offline,
  }
}

const all = ({ documents, ended }: Composition<Lines>): readonly string[] => [
  ...documents.flatMap(({ document }) => document.lines),
  ...ended.flatMap(({ document }) => document.lines.map(closed)),
]

/** The newest live content, or, if there is none, the newest that has just ended. */
const newest = ({ documents, ended }: Composition<Lines>): readonly string[] =>
  documents.at(-1)?.document.lines ?? ended.at(-1)?.document.lines.map(closed) ?? []

/** How a line looks once its publication has ended. */
export const closed = (line: string): string => `-${line}`

export const text = (content: string): Body => ({ contentType: "text/plain", text: content })

/** A template: watched, never published. */
const template: EventPackage<Lines> = { ...stub({ name: "stub.winfo" }), accepts: [] }

/** All packages that a history can name; `presence` parses real XML. */
export const packages = makeRegistry([
  stub(),
  stub({ name: "stub-all", composition: "all" }),
  stub({ name: "stub-kept", entityTags: "kept" }),
  template,
  presence({ xml: xmlCodec }),
])
