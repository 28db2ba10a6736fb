/**
 * The configuration of simulations, and the world of each seed: stub packages and a hook, or real presence, calls and
 * watcher information under real rules.
 */
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { simulate } from "../../src/app/testing/simulator.ts"
import type { Simulation, SimulationOptions } from "../../src/app/testing/simulator.ts"
import { dialogInfo } from "../../src/domain/packages/dialog-info.ts"
import { dialogsInPresence } from "../../src/domain/packages/dialog-presence.ts"
import { attribute, childrenNamed, textOf } from "../../src/domain/packages/element.ts"
import { presence } from "../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../src/domain/packages/registry.ts"
import { watcherInfo, watcherInfoNamespace } from "../../src/domain/packages/watcher-info.ts"
import { viewFor } from "../../src/domain/presentity/notify.ts"
import type { State, Subscription } from "../../src/domain/presentity/state.ts"
import { ownPolicies } from "../../src/domain/presentity/watching.ts"
import { values } from "../../src/domain/table.ts"
import type { SubHandling, Uri } from "../../src/domain/vocabulary.ts"
import { presentities, watchers } from "./arbitraries.ts"
import { afterReading, bodyOf, dialog, partial, read, states, written } from "./dialog-info.ts"
import { followed } from "./followed.ts"
import { bodyInShort, pidf, rulesBody } from "./ruled.ts"
import type { SmallRule } from "./ruled.ts"
import { offlineLine, packages, text } from "./stub-package.ts"

/** Profile, interval, offset and the meaning of a timeout follow OpenSIPS. */
const limitsOf = (seed: number): NonNullable<SimulationOptions["limits"]> => ({
  profile: seed % 2 === 0 ? "3265" : "6665",
  notifyIntervalMillis: seed % 4 < 2 ? null : 0,
  expiresOffset: seed % 3 === 0 ? 2 : 0,
  endSubOnTimeout: seed % 5 !== 0,
})

const contents = ["a", "b", "c\nd", "e"].map(text)

const universe = {
  presentities,
  watchers,
  bodies: new Map([
    ["stub", contents],
    ["stub-all", contents],
  ]),
}

/** What is shown as present: neither ended nor absent. */
const present = (shown: string): string =>
  shown
    .split("\n")
    .filter((line) => !line.startsWith("-") && line !== offlineLine)
    .join("\n")

/** Every third seed includes the real tables, because comparing them costs as much as all the rest. */
const tablesOf = (seed: number): Pick<SimulationOptions, "follow"> =>
  seed % 3 === 0 ? { follow: followed } : {}

/** One simulation with stubs. */
export const simulateSeed = (seed: number, steps = 300, traceLines = 40): Simulation =>
  simulate({
    seed,
    steps,
    packages,
    universe,
    present,
    traceLines,
    limits: limitsOf(seed),
    ...tablesOf(seed),
  })

// ── the ruled world ──

const dialogs = dialogInfo({ xml: xmlCodec })
export const ruledPackages = makeRegistry(
  [presence({ xml: xmlCodec, rules: {}, mixes: dialogsInPresence(dialogs) }), dialogs],
  (packageName) => watcherInfo(packageName, { xml: xmlCodec }),
)

const beginning = Date.UTC(2026, 10, 20, 10)
const who: readonly (Uri | null)[] = [null, ...watchers]
const handlings: readonly SubHandling[] = ["allow", "allow", "confirm", "polite-block", "block"]

/** For everyone and for each watcher: every handling, all or some tuples, in a sphere, for some minutes. */
const someRules: readonly (readonly SmallRule[])[] = who.flatMap((uri) =>
  handlings.flatMap((treat, index) => [
    [{ who: uri, treat }],
    [
      { who: uri, treat, tuples: ["t1"] },
      { who: null, treat: "allow", tuples: ["t2"], sphere: "work" },
    ],
    [
      { who: null, treat: "confirm" },
      { who: uri, treat, from: beginning + index * 30_000, until: beginning + 120_000 + index * 60_000 },
    ],
  ]),
)

const ruledUniverse = {
  presentities,
  watchers: [...watchers, ...presentities.filter((uri) => !watchers.includes(uri))],
  bodies: new Map([
    [
      "presence",
      [pidf("t1=open"), pidf("t2=open", "t3=open"), pidf("t1=open", "t2=open", "@work"), pidf("@home")],
    ],
    [
      "dialog",
      states.flatMap((state) => [
        bodyOf(written(dialog("1", state, "c1"))),
        bodyOf(written(dialog("1", "early", "c2") + dialog("2", state))),
        bodyOf(partial(dialog("3", state))),
      ]),
    ],
  ]),
  watched: ["presence.winfo", "presence.winfo", "dialog.winfo"],
  rules: new Map([["presence", [null, null, ...someRules.map(rulesBody)]]]),
  read: (packageName: string, known: string | undefined, document: string): string => {
    if (packageName === "dialog") {
      const table = new Map<string, string>(known === undefined ? [] : JSON.parse(known))
      return inOrder([...afterReading(table, read(document))])
    }
    return packageName.endsWith(".winfo") ? readWatchers(known, document) : document
  },
}

/** The same with hard state, which outlives every publication. */
const hardUniverse = {
  ...ruledUniverse,
  hardState: new Map([
    ["presence", [null, pidf("t1=open"), pidf("t4=open", "@work")]],
    ["dialog", [null, bodyOf(written(dialog("9", "confirmed", "c9")))]],
  ]),
}

const inOrder = (table: readonly (readonly [string, string])[]): string =>
  JSON.stringify(table.toSorted(([left], [right]) => (left < right ? -1 : 1)))

/** @source RFC 3858 §4: a table by id, which a full document replaces */
const readWatchers = (known: string | undefined, document: string): string => {
  const parsed = xmlCodec.parse(document)
  if (parsed._tag !== "Parsed") throw new Error("not XML")
  const isFull = attribute(parsed.root, "state") === "full"
  const table = new Map<string, string>(isFull || known === undefined ? [] : JSON.parse(known))
  for (const list of childrenNamed(parsed.root, watcherInfoNamespace, "watcher-list")) {
    for (const element of childrenNamed(list, watcherInfoNamespace, "watcher")) {
      const id = attribute(element, "id") ?? ""
      const status = attribute(element, "status") ?? ""
      if (status === "terminated") table.delete(id)
      else table.set(id, `${textOf(element)} ${status}`)
    }
  }
  return inOrder([...table])
}

/** Open tuples by id: an ended one is shown as closed once, an absent one is closed or missing. */
const openTuples = (document: string): string =>
  document === ""
    ? ""
    : bodyInShort({ contentType: "application/pidf+xml", text: document })
        .split(" ")
        .filter((part) => part.endsWith("=open"))
        .sort()
        .join(" ")

const truth = (state: State, subscription: Subscription): string => {
  const { packageName } = subscription
  if (packageName.endsWith(".winfo")) {
    const watched = packageName.slice(0, -".winfo".length)
    const entries = [
      ...[...values(state.subscriptions)].filter((subscription) => subscription.packageName === watched),
      ...[...values(state.waiting)]
        .filter((waiting) => waiting.packageName === watched)
        .map((waiting) => ({ ...waiting, status: "waiting" })),
    ]
    return inOrder(
      entries.map(({ no: id, watcher, status, private: isPrivate }) => {
        const name = isPrivate === true ? "sip:anonymous@anonymous.invalid" : watcher
        return [`w${id}`, `${name} ${status}`] as const
      }),
    )
  }
  const document = viewFor(state, subscription, ruledPackages.find(packageName)!).body?.text ?? ""
  return packageName === "dialog"
    ? ruledUniverse.read(packageName, undefined, document)
    : openTuples(document)
}

/** One simulation in the ruled world. */
export const simulateRuledSeed = (seed: number, steps = 200, traceLines = 40): Simulation =>
  simulate({
    seed,
    steps,
    packages: ruledPackages,
    universe: seed % 8 === 2 ? hardUniverse : ruledUniverse,
    present: (knows, packageName) => (packageName === "presence" ? openTuples(knows) : knows),
    truth,
    traceLines,
    ...tablesOf(seed),
    limits: {
      ...limitsOf(seed),
      sphereCheck: seed % 7 < 4,
      noRules: seed % 3 === 0 ? "allow" : "confirm",
      // policies that treat everybody as before, and are recorded in the log
      ...(seed % 5 === 0 ? { watching: { ...ownPolicies, policies: { "*": "everybody" } } } : {}),
    },
  })
