/**
 * The event packages of a server: found by name, announced in Allow-Events and Accept.
 */
import type { PackageName } from "../vocabulary.ts"
import type { EventPackage, PackageRules, Packages } from "./event-package.ts"

/**
 * With `template`, every package has watcher information (RFC 3857 §4.1), on two levels. Names are found exactly as
 * registered, because event types are case-sensitive (RFC 3265 §7.2.1). With `commonRules`, packages without rules of
 * their own can have authorization documents too; their sphere is that of `presence`.
 *
 * @throws Error naming the package if two have the same name, or one declares a header that it cannot carry: a
 *   programming error, found at start
 */
export const makeRegistry = (
  packages: readonly EventPackage[],
  template: ((packageName: PackageName) => EventPackage) | null = null,
  commonRules: PackageRules | null = null,
): Packages => {
  const byName = new Map<PackageName, EventPackage>()
  for (const eventPackage of packages) {
    if (byName.has(eventPackage.name))
      throw new Error(`event package ${eventPackage.name} is registered twice: remove one of them`)
    const headers = [
      ...(eventPackage.carriedHeaders ?? []),
      ...(eventPackage.argumentHeader ? [eventPackage.argumentHeader] : []),
    ]
    const odd = headers.find((name) => !isCarriable(name))
    if (odd !== undefined)
      throw new Error(
        `event package ${eventPackage.name}: ${odd} is no header that a request can bring along for it`,
      )
    byName.set(eventPackage.name, eventPackage)
  }
  const published = [...byName.keys()]
  if (template !== null) {
    for (const name of published.filter(isPlain)) {
      for (let depth = 0, watched = name; depth < templateDepthMax; depth++) {
        const eventPackage = template(watched)
        byName.set(eventPackage.name, eventPackage)
        watched = eventPackage.name
      }
    }
  }
  // watcher information of watcher information is not announced; it is for those who know of it (RFC 3265 §4.2)
  const names = [...published, ...(template === null ? [] : published.filter(isPlain).map(templateName))]
  const presence = byName.get("presence")
  const sphereFrom =
    commonRules !== null && presence?.rules?.sphere === commonRules.sphere ? presence : undefined
  const mixing = Map.groupBy(
    packages.filter(({ mixes }) => mixes !== undefined),
    ({ mixes }) => mixes?.from.name,
  )
  const composing = Map.groupBy(
    packages.filter(({ composesFrom }) => composesFrom !== undefined),
    ({ composesFrom }) => composesFrom,
  )
  return {
    find: (name) => byName.get(name) ?? null,
    names: () => names,
    mixing: (name) => mixing.get(name) ?? none,
    composing: (name) => composing.get(name) ?? none,
    ...(commonRules === null ? {} : { commonRules }),
    ...(sphereFrom === undefined ? {} : { sphereFrom }),
    allowEvents: [...new Set(names.map(eventType))].join(", "),
    carriedHeaders: new Map(
      packages.flatMap(({ name, carriedHeaders = [] }) =>
        carriedHeaders.length === 0 ? [] : [[name, carriedHeaders] as const],
      ),
    ),
    argumentHeaders: new Map(
      packages.flatMap(({ name, argumentHeader }) =>
        argumentHeader === undefined ? [] : [[name, argumentHeader] as const],
      ),
    ),
    accept: [...new Set(packages.flatMap(({ accepts }) => accepts))],
  }
}

/** A token that is none of the headers with a meaning of their own in requests. */
const isCarriable = (name: string): boolean =>
  /^[A-Za-z0-9!%*_+`'~.-]{2,}$/.test(name) && !ownHeaders.has(name.toLowerCase())

const ownHeaders: ReadonlySet<string> = new Set(
  (
    "accept accept-encoding allow allow-events authorization call-id contact content-disposition content-encoding " +
    "content-length content-type cseq event expires from max-forwards p-asserted-identity privacy proxy-authorization " +
    "record-route require route sender sip-etag sip-if-match subscription-state supported suppress-if-match to via"
  ).split(" "),
)

const none: readonly EventPackage[] = []

/** The levels of watcher information: each level multiplies the number of NOTIFYs (RFC 3857 §4.6). */
const templateDepthMax = 2

const templateName = (packageName: PackageName): PackageName => `${packageName}.winfo`

/** A package with parameters in its name shares the templates of its event type. */
const isPlain = (name: PackageName): boolean => !name.includes(";")

/** `dialog;sla` is announced as `dialog`: Allow-Events lists event types, which do not include parameters. */
const eventType = (name: PackageName): string => name.split(";", 1)[0]?.trim() ?? name
