/**
 * Event packages without code of their own: watchers get the newest publication, byte for byte.
 *
 * Nothing is parsed, so nothing is composed, filtered or numbered, and every body of an accepted type is accepted.
 */
import type { Body, PackageName } from "../vocabulary.ts"
import type { EventPackage } from "./event-package.ts"

export interface PassThroughOptions<Name extends PackageName = PackageName> {
  /** As in the Event header, with registered parameters if any: `ua-profile`, `dialog;sla`. */
  readonly name: Name
  /** Media types that may be published, default first, in any case, without parameters. */
  readonly contentTypes: readonly string[]
  /** Default: 3600 s. */
  readonly defaultExpires?: number
  /** Default: 1000 ms. */
  readonly notifyIntervalMillis?: number
  readonly entityTags?: EventPackage["entityTags"]
  /** Headers of a PUBLISH that watchers receive as well: `Call-Info`. */
  readonly carriedHeaders?: readonly string[]
  /** False: one of those headers may replace the body. */
  readonly bodyRequired?: boolean
}

/**
 * A package with that name. Of several publications the newest counts whose type the watcher accepts; without any,
 * NOTIFYs have no body.
 *
 * @throws Error naming the package if its name or a media type cannot stand in a header, which is a programming error
 *   found at start
 */
export const passThrough = <const Name extends PackageName>(
  options: PassThroughOptions<Name>,
): EventPackage<Body, Name> => {
  const { name, defaultExpires = 3_600, notifyIntervalMillis = 1_000, entityTags = "new-each-time" } = options
  if (!namePattern.test(name)) throw new Error(`event package ${name}: that is no name for an Event header`)
  // `id` distinguishes subscriptions, not packages (RFC 3265 §7.2.1)
  if (/;id(?:[;=]|$)/i.test(name)) throw new Error(`event package ${name}: leave out the parameter id`)
  const types = [...new Set(options.contentTypes.map((type) => type.toLowerCase()))]
  const [first, ...rest] = types
  if (first === undefined) throw new Error(`event package ${name}: name a media type that can be published`)
  const odd = types.find((type) => !typePattern.test(type))
  if (odd !== undefined) throw new Error(`event package ${name}: ${odd} is no media type`)
  return {
    name,
    accepts: types,
    produces: [first, ...rest],
    defaultExpires,
    entityTags,
    notifyIntervalMillis,
    ...(options.carriedHeaders === undefined ? {} : { carriedHeaders: options.carriedHeaders }),
    ...(options.bodyRequired === undefined ? {} : { bodyRequired: options.bodyRequired }),
    parse: (body) =>
      types.includes(body.contentType)
        ? { _tag: "Parsed", document: body }
        : { _tag: "Unreadable", why: `not of a media type of ${name}` },
    compose: ({ documents, isAccepted }) =>
      documents.findLast(({ document }) => isAccepted?.(document.contentType) !== false)?.document ?? null,
    render: (document) => document,
    offline: () => null,
  }
}

/** @source RFC 3261 §25.1 (token, media-type); RFC 6665 §8.4: in names the dot separates templates */
const word = "[A-Za-z0-9!%*_+`'~-]+"
const token = "[A-Za-z0-9!%*_+`'~.-]+"
const namePattern = new RegExp(String.raw`^${word}(?:\.${word})*(?:;${token}(?:=${token})?)*$`)
const typePattern = new RegExp(`^${token}/${token}$`)
