/**
 * What a program, or a module named by a setting, adds to a server: event packages, authorization documents, a store.
 */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Layer } from "effect"
import type { EventPackage } from "../../domain/packages/event-package.ts"
import type { PackageName } from "../../domain/vocabulary.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { packageFaults } from "./checked-package.ts"
import { shown, wordsOf } from "./words.ts"

/**
 * A source of authorization documents (RFC 4745, RFC 5025): returns the text of a presentity's document for an event package, or
 * null if there is none; it may return a promise. Where it fails, the rules in force stay; where there are none, watchers wait.
 *
 * @param presentity `sip:alice@example.com`
 * @param event name of the event package: `presence`
 */
export type RulesSource = (presentity: string, event: PackageName) => string | null | Promise<string | null>

/** Each may be left out; the settings apply then. */
export interface Extensions {
  /** Event packages beside the bundled ones; each gets its watcher information as `NAME.winfo`. */
  readonly packages?: readonly EventPackage[]
  /** Authorization documents, asked for before each new subscription to a package whose policy is `rules`. */
  readonly rules?: RulesSource
  /** Where the log is kept: `storeOf({ … })`, or a layer of your own. */
  readonly store?: Layer.Layer<EventStore, Error>
}

const members: { readonly [Name in keyof Extensions]-?: (value: unknown) => readonly string[] } = {
  packages: packageFaults,
  rules: (value) =>
    typeof value === "function"
      ? []
      : [`rules = ${shown(value)}: expected a function (presentity, event) => text of a document, or null`],
  store: (value) =>
    Layer.isLayer(value)
      ? []
      : [`store = ${shown(value)}: expected a store: storeOf({ … }), or a Layer that gives EventStore`],
}

const names = Object.keys(members) as readonly (keyof Extensions)[]

/** All errors in the value, one line each; never throws, whatever it is given. */
export const extensionsFaults = (given: unknown): readonly string[] => {
  try {
    if (typeof given !== "object" || given === null || Array.isArray(given))
      return [`expected an object with ${names.join(", ")}, or some of them`]
    const values = given as Readonly<Record<string, unknown>>
    const unknown = Object.keys(given).filter((name) => !names.some((known) => known === name))
    return [
      ...unknown.map((name) => `${name} is exported: expected nothing but ${names.join(", ")}`),
      ...names.flatMap((name) => (values[name] === undefined ? [] : members[name](values[name]))),
    ]
  } catch (cause) {
    return [`it cannot be read: ${wordsOf(cause)}`]
  }
}

/**
 * Loads the exports of an ES module, JavaScript or TypeScript: by the names `packages`, `rules` and `store`, or as one default
 * export.
 *
 * @throws ModuleUnusable with every error in it
 */
export const loadModule = async (file: string): Promise<Extensions> => {
  let exported: Readonly<Record<string, unknown>>
  try {
    exported = (await import(/* @vite-ignore */ pathToFileURL(resolve(file)).href)) as typeof exported
  } catch (cause) {
    // the name of our own file, which imported it, would not help anybody
    throw new ModuleUnusable([(wordsOf(cause).split("\n")[0] ?? "").replace(/ imported from .*$/, "")])
  }
  const given = exported["default"] ?? Object.fromEntries(Object.entries(exported))
  const faults = extensionsFaults(given)
  if (faults.length > 0) throw new ModuleUnusable(faults)
  const extensions = given as Extensions
  if (names.every((name) => extensions[name] === undefined))
    throw new ModuleUnusable([`it exports nothing of ${names.join(", ")}`])
  return extensions
}

export class ModuleUnusable extends Error {
  readonly faults: readonly string[]
  constructor(faults: readonly string[]) {
    super(faults.join("; "))
    this.faults = faults
  }
}
