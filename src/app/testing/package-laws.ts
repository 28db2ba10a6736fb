/**
 * Laws that every event package must obey, for authors of packages: they run in any test framework, or in none.
 *
 * The laws know nothing of what a document means. They take example bodies, make garbage of them, and combine and order them in
 * many ways, all determined by a seed.
 */
import { inspect, isDeepStrictEqual } from "node:util"
import type { Composition, EventPackage, Source } from "../../domain/packages/event-package.ts"
import type { Body, Uri } from "../../domain/vocabulary.ts"
import { compositions, examples, frozen, garbage, presentity, sources, trialOf } from "./package-cases.ts"
import type { PackageLawsOptions, Trial } from "./package-cases.ts"

export type { PackageLawsOptions } from "./package-cases.ts"

export interface PackageLaw {
  readonly name: string
  /** @throws Error naming package, law, what was found and the seed */
  readonly check: () => void
}

/**
 * Checks all laws, in an order in which the first violation is the most informative.
 *
 * @throws Error naming package, law, what was found and the seed
 */
export const packageLaws = <Doc>(eventPackage: EventPackage<Doc>, options: PackageLawsOptions<Doc>): void => {
  for (const law of lawsOf(eventPackage, options)) law.check()
}

/** The laws one by one, so that each can be a test of its own; laws about members that the package lacks hold. */
export const lawsOf = <Doc>(
  eventPackage: EventPackage<Doc>,
  options: PackageLawsOptions<Doc>,
): readonly PackageLaw[] => {
  const { seed = 1 } = options
  return laws.map(({ name, check }, index) => ({
    name,
    check: () => {
      try {
        if (options.documents.length === 0) throw new Error("there are no example documents to try it on")
        check(
          trialOf(eventPackage as EventPackage, options as PackageLawsOptions<unknown>, seed * 100 + index),
        )
      } catch (cause) {
        const what = cause instanceof Error ? cause.message : String(cause)
        throw new Error(
          `event package ${eventPackage.name} breaks the law "${name}": ${what} (seed ${seed})`,
          {
            cause,
          },
        )
      }
    },
  }))
}

const declares = ({ eventPackage }: Trial): void => {
  const isType = (type: string): boolean => /^[^\s;/A-Z]+\/[^\s;/A-Z]+$/.test(type)
  demand(/^[^\s,"]+$/.test(eventPackage.name), "its name cannot stand in an Event header")
  for (const type of [...eventPackage.accepts, ...eventPackage.produces])
    demand(isType(type), `${type} is no media type in lower case without parameters`)
  demand(eventPackage.accepts.length > 0, "it accepts no media type, so there is nothing to read")
  demand(eventPackage.produces.length > 0, "it produces no media type")
  demand(
    Number.isInteger(eventPackage.defaultExpires) && eventPackage.defaultExpires > 0,
    "defaultExpires is no positive integer",
  )
  demand(eventPackage.notifyIntervalMillis >= 0, "notifyIntervalMillis is negative")
}

const readsAnything = (trial: Trial): void => {
  const { eventPackage, options } = trial
  for (const body of options.documents) {
    readBack(eventPackage, body, "an example is refused")
    demand(
      eventPackage.accepts.includes(body.contentType),
      `an example is of a type that is not accepted: ${body.contentType}`,
    )
  }
  for (const body of [...options.documents, ...garbage(trial)]) {
    const parsed = seeing(body, () => eventPackage.parse(frozen(body)))
    if (parsed._tag === "Unreadable") {
      demand(
        parsed.why !== "" && !/\p{Cc}/u.test(parsed.why),
        `the reason is not one line, of ${excerpt(body)}`,
      )
    }
    const again = eventPackage.parse(frozen({ ...body }))
    demand(isDeepStrictEqual(again, parsed), `read a second time it is something else: ${excerpt(body)}`)
  }
}

const rendersWhatItRead = (trial: Trial): void => {
  for (const body of [...trial.options.documents, ...garbage(trial)]) {
    const parsed = trial.eventPackage.parse(body)
    if (parsed._tag === "Parsed") seeing(body, () => demandReadable(trial, frozen(parsed.document)))
  }
}

/** Rendered with one of its types and, where publishers may send that type, parsed back to the same meaning. */
const demandReadable = (trial: Trial, document: unknown): void => {
  const { eventPackage, meaning } = trial
  const body = eventPackage.render(document)
  demand(
    eventPackage.produces.includes(body.contentType),
    `rendered as ${body.contentType}, which it does not produce`,
  )
  demandSame(eventPackage.render(document), body, "rendered twice it is two bodies")
  if (!eventPackage.accepts.includes(body.contentType)) return
  const again = readBack(eventPackage, body, "what it renders it refuses")
  demandSame(
    meaning(again),
    meaning(document),
    `what it renders it reads as something else: ${excerpt(body)}`,
  )
}

const composesTheSame = (trial: Trial): void => {
  const inputs = compositions(trial)
  const first = inputs.map((input) => composedText(trial, input))
  // in the other order, so that anything the package remembers differs
  for (const [index, input] of [...inputs.entries()].toReversed()) {
    demandSame(composedText(trial, input), first[index], "composed a second time it is another document")
  }
}

/** Keys may show in names that a package generates, so documents are compared without them. */
const composesByTheLog = (trial: Trial): void => {
  for (const input of compositions(trial)) {
    const count = input.documents.length + input.ended.length
    const [rising, falling] = [1, -1].map((step) => {
      const keyOf = (index: number): string => `${7_000_000 + step * index}`
      const keyed = (all: readonly Source<unknown>[], from: number) =>
        all.map((source, index) => ({ ...source, key: keyOf(from + index) }))
      const documents = keyed(input.documents, 0)
      const ended = keyed(input.ended, input.documents.length)
      let text = composedText(trial, { ...input, documents, ended })
      for (let index = 0; index < count; index += 1) text = text.replaceAll(keyOf(index), `key ${index}`)
      return text
    })
    demandSame(falling, rising, "keys say which publication, and it took them for an order")
  }
}

const composesOnce = (trial: Trial): void => {
  for (const input of compositions(trial)) {
    const once = trial.eventPackage.compose({ ...input, ended: [] })
    if (once === null) continue
    const twice = trial.eventPackage.compose({ presentity, documents: sources([frozen(once)]), ended: [] })
    demandSame(
      meant(trial, twice),
      meant(trial, once),
      `what it composed of ${said(input)} composes to something else`,
    )
  }
}

const rendersWhatItComposed = (trial: Trial): void => {
  for (const input of compositions(trial)) {
    const document = trial.eventPackage.compose(input)
    if (document !== null) demandReadable(trial, frozen(document))
  }
}

const showsAbsence = (trial: Trial): void => {
  const { eventPackage } = trial
  const nothing = eventPackage.compose({ presentity, documents: [], ended: [] })
  const offline = eventPackage.offline(presentity)
  if (offline !== null) demandReadable(trial, frozen(offline))
  if (nothing !== null)
    demandSame(
      meant(trial, nothing),
      meant(trial, offline),
      "of nothing it composes what is not its absent form",
    )
}

/** A document may say itself that nothing is there, or look the same when it has ended; but not every one. */
const showsTheEnd = (trial: Trial): void => {
  const { eventPackage } = trial
  const absence = meant(
    trial,
    eventPackage.offline(presentity) ?? eventPackage.compose({ presentity, documents: [], ended: [] }),
  )
  const living = examples(trial).flatMap((document) => {
    const live = eventPackage.compose(frozen({ presentity, documents: sources([document]), ended: [] }))
    const ended = eventPackage.compose(frozen({ presentity, documents: [], ended: sources([document]) }))
    if (live === null || isDeepStrictEqual(meant(trial, live), absence)) return []
    return [{ document, isTold: !isDeepStrictEqual(meant(trial, ended), meant(trial, live)) }]
  })
  const [first] = living
  if (first === undefined) return
  demand(
    living.some(({ isTold }) => isTold),
    `what has ended is shown as if it lived: ${inShort(first.document)}`,
  )
}

const watcher = "sip:watcher@example.com" as Uri

/** Versions that no body contains by chance. */
const [oneVersion, otherVersion] = [3_141_592_653, 2_718_281_828]
const versions = [0, 1, 2, 9, 10, 4_294_967_295]

const numbers = (trial: Trial): void => {
  const { eventPackage, meaning } = trial
  const personal = (body: Body, version: number): Body =>
    eventPackage.personalize?.(frozen(body), frozen({ watcher, version })) ?? body
  if (eventPackage.personalize === undefined) return
  for (const input of compositions(trial)) {
    const document = eventPackage.compose(input)
    if (document === null) continue
    const body = eventPackage.render(document)
    const bodies = versions.map((version) => personal(body, version))
    const texts = new Set(bodies.map(({ text }) => text))
    demand(texts.size === versions.length, `two versions of one body are the same: ${excerpt(body)}`)
    demandSame(
      bodies.map(({ contentType }) => contentType),
      bodies.map(() => body.contentType),
      "with a version it is of another media type",
    )
    const [left, right] = [oneVersion, otherVersion].map((version) =>
      personal(body, version).text.replaceAll(`${version}`, "version"),
    )
    demand(left === right, `two versions differ in more than the version: ${excerpt(body)}`)
    if (!eventPackage.accepts.includes(body.contentType)) continue
    const again = readBack(eventPackage, personal(body, oneVersion), "with a version it is refused")
    demandSame(meaning(again), meaning(document), `with a version it says something else: ${excerpt(body)}`)
  }
}

const amends = (trial: Trial): void => {
  const { eventPackage, random, cases } = trial
  const documents = examples(trial)
  let publication = random.pick(documents)
  for (let index = 0; index < cases; index += 1) {
    if (eventPackage.amend === undefined) return
    const modification = random.pick(documents)
    const after = frozen(eventPackage.amend(publication, modification))
    demandReadable(trial, after)
    const again = eventPackage.amend(after, modification)
    demandSame(
      meant(trial, again),
      meant(trial, after),
      `a modification that is repeated changes something, ${inShort(modification)}`,
    )
    // mostly consecutive, as a publication lives; sometimes a new one
    publication = random.chance(0.2) ? random.pick(documents) : after
  }
}

const tellsTheDifference = (trial: Trial): void => {
  const { eventPackage, options, random, cases } = trial
  if (eventPackage.difference === undefined) return
  const { reader } = options
  const documents = compositions(trial)
    .map((input) => frozen(eventPackage.compose(input)))
    .filter((document) => document !== null)
  const ofItself = documents
    .map((document) => eventPackage.difference?.(document, document) ?? null)
    .filter((document) => document !== null)
  const texts = [...new Set(ofItself.map((document) => eventPackage.render(document).text))]
  demand(
    texts.length <= 1,
    `the difference of a document from itself says something of it: ${inShort(texts.slice(0, 2))}`,
  )
  for (let index = 0; index < cases && documents.length > 0; index += 1) {
    const before = random.pick(documents)
    const after = random.chance(0.1) ? before : random.pick(documents)
    const change = eventPackage.difference(before, after)
    if (change === null) continue
    demandReadable(trial, frozen(change))
    if (reader !== undefined) {
      const known = reader(reader(undefined, before), change)
      demandSame(
        known,
        reader(undefined, after),
        `who reads the difference does not know the whole, from ${inShort(before)} by ${inShort(change)}`,
      )
    } else if (eventPackage.amend !== undefined) {
      const amended = eventPackage.amend(before, change)
      demandSame(
        meant(trial, amended),
        meant(trial, after),
        `the difference does not lead to the whole, from ${inShort(before)} by ${inShort(change)}`,
      )
    }
  }
}

const laws: readonly { readonly name: string; readonly check: (trial: Trial) => void }[] = [
  { name: "it declares what a header can say", check: declares },
  { name: "any body is read or refused with a reason", check: readsAnything },
  { name: "what was rendered reads the same", check: rendersWhatItRead },
  { name: "the same documents compose to the same document", check: composesTheSame },
  { name: "the log alone gives the order", check: composesByTheLog },
  { name: "composing what was composed changes nothing", check: composesOnce },
  { name: "what was composed can be sent and read", check: rendersWhatItComposed },
  { name: "nothing composes to the absent form or to none", check: showsAbsence },
  { name: "what has ended is not shown as if it lived", check: showsTheEnd },
  { name: "a version changes the version and nothing else", check: numbers },
  { name: "a modification counts once", check: amends },
  { name: "the difference leads from one document to the other", check: tellsTheDifference },
]

const demand = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what)
}

const demandSame = (found: unknown, should: unknown, what: string): void => {
  if (!isDeepStrictEqual(found, should))
    throw new Error(`${what}: ${inShort(found)} instead of ${inShort(should)}`)
}

/** A counterexample on one line. */
const inShort = (value: unknown): string => {
  const text =
    typeof value === "string" ? JSON.stringify(value) : inspect(value, { depth: 8, breakLength: Infinity })
  return text.length > 300 ? `${text.slice(0, 299)}…` : text
}

/** What was composed. */
const said = ({ documents, ended }: Composition<unknown>): string =>
  [
    inShort(documents.map(({ document }) => document)),
    ...(ended.length === 0 ? [] : [`with ${inShort(ended.map(({ document }) => document))} ended`]),
  ].join(" ")

const readBack = (eventPackage: EventPackage, body: Body, refused: string): unknown => {
  const parsed = eventPackage.parse(frozen(body))
  if (parsed._tag === "Unreadable") throw new Error(`${refused}, ${parsed.why}: ${excerpt(body)}`)
  return parsed.document
}

/** Adds to an error the body on which it was thrown. */
const seeing = <T>(body: Body, run: () => T): T => {
  try {
    return run()
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${what}; on ${excerpt(body)}`, { cause })
  }
}

const excerpt = ({ text }: Body): string =>
  JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text)

/** Views are compared by their text, so the text has to be the same. */
const composedText = ({ eventPackage }: Trial, input: Composition<unknown>): string => {
  try {
    const document = eventPackage.compose(frozen(input))
    if (document === null) return ""
    const { contentType, text } = eventPackage.render(document)
    return `${contentType}\n${text}`
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${what}; on ${said(input)}`, { cause })
  }
}

const meant = (trial: Trial, document: unknown): unknown =>
  document === null ? null : trial.meaning(document)
