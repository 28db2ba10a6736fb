/**
 * Event packages that need no code: whatever was published last is what watchers get, byte for byte.
 *
 * Nothing is read, so nothing is composed, filtered or numbered; a body of the right type is never refused.
 */
import type { Body, PackageName } from "../vocabulary.ts"
import type { EventPackage } from "./event-package.ts"

export interface PassThroughOptions<Name extends PackageName = PackageName> {
  /** As it stands in Event headers, with registered parameters if it has any: `ua-profile`, `dialog;sla`. */
  readonly name: Name
  /** Media types that may be published, default first, in any case of letters, without parameters. */
  readonly contentTypes: readonly string[]
  /** 3600 s unless said otherwise. */
  readonly defaultExpires?: number
  /** 1 s unless said otherwise. */
  readonly notifyIntervalMillis?: number
  readonly entityTags?: EventPackage["entityTags"]
  /** Headers of a PUBLISH that watchers get as well: `Call-Info`. */
  readonly carriedHeaders?: readonly string[]
  /** False: one of those headers can stand for a body. */
  readonly bodyRequired?: boolean
}

/**
 * A package with that name. Of several publications the newest counts, of those whose type the watcher takes; while there is none, NOTIFYs have no body.
 *
 * @throws Error naming the package when its name or a media type cannot stand in a header: a mistake in wiring, found
 *   at start
 */
export const passThrough = <const Name extends PackageName>(
  options: PassThroughOptions<Name>,
): EventPackage<Body, Name> => {
  const { name, defaultExpires = 3_600, notifyIntervalMillis = 1_000, entityTags = "new-each-time" } = options
  if (!namePattern.test(name)) throw new Error(`event package ${name}: that is no name for an Event header`)
  // `id` tells subscriptions apart, not packages (RFC 3265 §7.2.1)
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

/** @source RFC 3261 §25.1 (token, media-type); RFC 6665 §8.4: in names the dot sets templates apart */
const word = "[A-Za-z0-9!%*_+`'~-]+"
const token = "[A-Za-z0-9!%*_+`'~.-]+"
const namePattern = new RegExp(String.raw`^${word}(?:\.${word})*(?:;${token}(?:=${token})?)*$`)
const typePattern = new RegExp(`^${token}/${token}$`)
