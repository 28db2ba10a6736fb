/**
 * The event packages a server runs with: found by name, announced in Allow-Events and Accept.
 */
import type { PackageName } from "../vocabulary.ts"
import type { EventPackage, Packages } from "./event-package.ts"

/**
 * Names are found exactly as registered: event types are case-sensitive (RFC 3265 §7.2.1).
 *
 * @throws Error naming the package when two have one name: a mistake in wiring, found at start
 */
export const makeRegistry = (packages: readonly EventPackage[]): Packages => {
  const byName = new Map<PackageName, EventPackage>()
  for (const one of packages) {
    if (byName.has(one.name))
      throw new Error(`event package ${one.name} is registered twice: remove one of them`)
    byName.set(one.name, one)
  }
  const names = [...byName.keys()]
  return {
    find: (name) => byName.get(name) ?? null,
    names: () => names,
    allowEvents: [...new Set(names.map(eventType))].join(", "),
    accept: [...new Set(packages.flatMap(({ accepts }) => accepts))],
  }
}

/** `dialog;sla` is announced as `dialog`: Allow-Events lists types, and parameters are no part of a type. */
const eventType = (name: PackageName): string => name.split(";", 1)[0]?.trim() ?? name
