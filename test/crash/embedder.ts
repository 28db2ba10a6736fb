/**
 * A program that does everything wrong with the library: calls with arguments that cannot be meant, packages and functions that throw
 * or give nonsense, a store that stumbles. The process lives, others are served, and the log is one that can be read.
 *
 *     node test/crash/embedder.ts [--calls 10000] [--seed 1]
 */
import assert from "node:assert/strict"
import { parseArgs } from "node:util"
import fc from "fast-check"
import { makeMemoryLog } from "../../src/adapters/store/memory.ts"
import { Presence, storeOf } from "../../src/app/index.ts"
import type { PresenceFault, PresenceRefused } from "../../src/app/index.ts"
import { presence as presencePackage } from "../../src/app/packages/index.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, size } from "../../src/domain/table.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../src/encoding/event-codec.ts"

export interface EmbedderRun {
  readonly calls: number
  readonly granted: number
  readonly refused: number
  /** Presentities that a throwing decision cost. */
  readonly broken: number
  readonly decisions: number
  readonly faults: number
}

type Loose = Readonly<Record<string, unknown>>
type Asked = Record<string, (...args: readonly unknown[]) => unknown>

const throwing = (): never => {
  throw new Error("boom")
}
const late = async (): Promise<never> => Promise.reject(new Error("late"))

/** A document says what its package does with it: `compose throws`, `render undefined`. */
const stumbling =
  (member: string, proper: (...args: readonly never[]) => unknown) =>
  (...args: readonly never[]): unknown => {
    const text = JSON.stringify(args)
    if (text.includes(`${member} throws`)) return throwing()
    if (text.includes(`${member} undefined`)) return undefined
    if (text.includes(`${member} late`)) return late()
    if (text.includes(`${member} nonsense`)) return { _tag: "Nonsense", status: Number.NaN }
    return proper(...args)
  }

const members = ["parse", "compose", "render", "personalize", "difference", "checkPublication", "amend"]
const ways = ["throws", "undefined", "late", "nonsense"]

const wild = {
  name: "x",
  accepts: ["text/plain"],
  produces: ["text/plain"],
  defaultExpires: 60,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  parse: stumbling("parse", ({ text }: { readonly text: string }) => ({ _tag: "Parsed", document: text })),
  compose: stumbling(
    "compose",
    ({ documents }: { readonly documents: readonly { readonly document: string }[] }) =>
      documents.at(-1)?.document ?? null,
  ),
  render: stumbling("render", (text: string) => ({ contentType: "text/plain", text: String(text) })),
  personalize: stumbling("personalize", (body: unknown) => body),
  difference: stumbling("difference", (_: unknown, after: unknown) => after),
  amend: stumbling("amend", (_: unknown, after: unknown) => after),
  checkPublication: stumbling("checkPublication", () => null),
  offline: () => null,
} as const

const trap = new Proxy({}, { get: throwing, has: throwing, ownKeys: throwing })
const dead = ((): object => {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
})()

const people = Array.from({ length: 60 }, (_, index) => `sip:person${index}@example.com`)
const odd = [
  undefined,
  null,
  true,
  5,
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  5n,
  "",
  "x",
  "\u{d800}",
  "a\0b",
  "x".repeat(100_000),
  {},
  [],
  [{}],
  trap,
  dead,
  throwing,
  late,
  Symbol("odd"),
  new Date("no"),
]

/** Stands for an odd value until the call: generators look into what they give. */
class Odd {
  readonly index: number
  constructor(index: number) {
    this.index = index
  }
}
/** Stands for an object whose property of that name throws. */
class Trapped {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}
const anOdd = fc.nat({ max: odd.length - 1 }).map((index) => new Odd(index))

const unpacked = (value: unknown): unknown => {
  if (value instanceof Odd) return odd[value.index]
  if (value instanceof Trapped)
    return Object.defineProperty({ presentity: people[0], watcher: people[1] }, value.name, {
      get: throwing,
      enumerable: true,
    })
  return value
}
/** An argument, or a request with its fields. */
const meant = (value: unknown): unknown => {
  const plain = unpacked(value)
  if (plain !== value || typeof plain !== "object" || plain === null) return plain
  return Object.getPrototypeOf(plain) === Object.prototype || Object.getPrototypeOf(plain) === null
    ? Object.fromEntries(Object.entries(plain).map(([name, one]) => [name, unpacked(one)]))
    : plain
}

/** Mostly what can be meant. */
const mostly = (good: readonly unknown[], weight = 40): fc.Arbitrary<unknown> =>
  fc.oneof({ weight, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: anOdd })
const maybe = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 1, arbitrary: fc.constant(undefined) }, { weight: 2, arbitrary: value })

const uri = mostly(people, 60)
const event = mostly(["x", "x", "presence", "presence.winfo", "nonesuch"])
const seconds = mostly([0, 1, 5, 60, 3600, 4_294_967_295], 15)
const documents = ["on", "off", "busy", ...members.flatMap((member) => ways.map((way) => `${member} ${way}`))]
const body = fc.oneof(
  { weight: 8, arbitrary: mostly(["on", "off", "busy"]) },
  { weight: 1, arbitrary: mostly(documents) },
)
const instant = mostly([0, Date.now(), "2026-11-20T12:00:00Z", new Date()], 4)

/** Sometimes no object, sometimes one whose property throws. */
const requestOf = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 20, arbitrary: fc.record(fields) },
    { weight: 1, arbitrary: anOdd },
    { weight: 1, arbitrary: fc.constantFrom(...Object.keys(fields)).map((name) => new Trapped(name)) },
  )

const published = requestOf({
  presentity: uri,
  event,
  body: maybe(body),
  expires: maybe(seconds),
  entityTag: fc.oneof(
    { weight: 4, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: mostly(["known", "stale"]) },
  ),
  device: maybe(mostly(["desk"])),
  headers: maybe(mostly([[]])),
})
const watched = requestOf({
  presentity: uri,
  watcher: uri,
  event,
  expires: maybe(seconds),
  accept: maybe(mostly([["text/plain"]])),
  device: maybe(mostly(["desk"])),
  argument: maybe(mostly(["1"])),
})

interface Call {
  readonly name: string
  readonly args: readonly unknown[]
}
const calling = (name: string, weight: number, ...args: readonly fc.Arbitrary<unknown>[]) => ({
  weight,
  arbitrary: fc.tuple(...args).map((some): Call => ({ name, args: some })),
})
const call: fc.Arbitrary<Call> = fc.oneof(
  calling("publish", 30, published),
  calling("watch", 12, watched),
  calling("fetch", 6, watched),
  calling("setRules", 3, uri, mostly([null, "<ruleset"]), event),
  calling("refreshRules", 3, uri, event),
  calling("setHardState", 4, uri, fc.oneof(fc.constant(null), body), event),
  calling(
    "terminate",
    4,
    requestOf({
      presentity: uri,
      event,
      watcher: maybe(uri),
      reason: maybe(mostly(["probation", "noresource"])),
    }),
  ),
  calling("isPublished", 2, uri, event),
  calling("sphere", 2, uri),
  calling("expose", 2, event, mostly([() => true, throwing, late])),
  calling("feed", 1, mostly([undefined, { after: 0 }, { after: Number.NaN }, { types: 5 }])),
  calling("history", 2, uri),
  calling("at", 2, uri, instant),
  calling("seen", 2, uri, uri, mostly([{ limit: 5 }, { since: 0 }, { before: -1 }])),
  calling("why", 2, uri, uri, mostly([{}, { at: 5 }, { position: 0 }])),
  calling("diff", 2, uri, instant, instant),
  calling("pass", 3, mostly([1, 30, 4000], 50)),
  calling("stumble", 1),
)

const witness = "sip:witness@example.com"

/** @throws AssertionError naming what does not hold */
export const tortureEmbedder = async (calls: number, seed: number): Promise<EmbedderRun> => {
  const uncaught: unknown[] = []
  const onUncaught = (error: unknown): void => void uncaught.push(error)
  process.on("uncaughtException", onUncaught).on("unhandledRejection", onUncaught)
  try {
    return await torture(calls, seed, uncaught)
  } finally {
    process.off("uncaughtException", onUncaught).off("unhandledRejection", onUncaught)
  }
}

const torture = async (calls: number, seed: number, uncaught: readonly unknown[]): Promise<EmbedderRun> => {
  let now = Date.UTC(2026, 10, 20)
  let turns = 0
  let isStumbling = false
  const log = makeMemoryLog()
  const faults: PresenceFault[] = []
  const oddAnswers: readonly (() => unknown)[] = [throwing, late, () => "yes", () => Number.NaN]
  /** Every so often. */
  const lapses = (every: number): boolean => ++turns % every === 0
  const lapse = (): unknown => oddAnswers[turns % oddAnswers.length]!()
  const store = storeOf({
    // once: the second attempt finds it again
    append: async (decisions) => {
      if (isStumbling) {
        isStumbling = false
        if (lapses(2)) return undefined as never
        throw new Error("the disk stumbled")
      }
      return log.append(decisions)
    },
    load: async (streams) => streams.map(log.load),
    read: async (after, max) => log.read(after, max),
    history: async (stream, after, max) => log.history(stream, after, max),
  })
  const presence = await Presence.make({
    packages: [presencePackage({ rules: {} }), wild as never],
    store,
    now: () => (lapses(997) ? (lapse() as number) : now),
    rules: (of: string) => (of !== witness && lapses(7) ? (lapse() as string) : null),
    rulesWait: 0.05,
    onRulesFault: () => (lapses(3) ? throwing() : undefined),
    authorize: ({ presentity }: { readonly presentity: string }) =>
      presentity !== witness && lapses(499) ? (lapse() as "allow") : "allow",
    onFault: async (fault: PresenceFault) => {
      faults.push(fault)
      if (lapses(5)) throw new Error("not even this")
    },
  } as never)
  const ask = presence as unknown as Asked
  let [granted, refused] = [0, 0]
  const tags: string[] = []
  const one = async ({ name, args }: Call): Promise<void> => {
    if (name === "stumble") return void (isStumbling = true)
    if (name === "pass") {
      if (typeof args[0] === "number" && args[0] > 0 && args[0] < 1e6) now += args[0] * 1000
      return
    }
    try {
      const [first, ...more] = args.map(meant)
      const tag = tags.at(-1)
      const wish = args[0] as { readonly entityTag?: unknown } | null | undefined
      const request =
        name === "publish" && tag !== undefined && wish?.entityTag === "known"
          ? { ...(first as Loose), entityTag: tag }
          : first
      const answer = await ask[name]!(request, ...more)
      granted++
      if (name === "publish") tags.push((answer as { readonly entityTag: string }).entityTag)
      // some are read to the end, some not at all
      if (name === "watch" && lapses(2)) void read(answer as AsyncIterable<unknown>)
    } catch (error) {
      refused++
      const { _tag, status } = error as PresenceRefused
      assert.equal(_tag, "PresenceRefused", `${name} rejects with ${String((error as Error).stack)}`)
      assert.ok(Number.isInteger(status) && status >= 400 && status < 600, `${name}: ${status}`)
      assert.ok(!String(error).includes("invariant broken"), String(error))
    }
  }
  const all = fc.sample(call, { numRuns: calls, seed })
  for (let index = 0; index < all.length; index += 20) {
    await Promise.all(all.slice(index, index + 20).map(one))
    assert.deepEqual(uncaught, [], "something left the library")
    if (index % 500 !== 0) continue
    // who has nothing to do with any of that is served
    const text = `w${index}`
    const { entityTag } = await presence.publish({ presentity: witness, event: "x", body: text } as never)
    const shown = await presence.fetch({ presentity: witness, watcher: people[0]!, event: "x" } as never)
    assert.equal(shown.body?.text, text)
    await presence.publish({ presentity: witness, event: "x", entityTag, expires: 0 } as never)
  }
  await presence.settle()
  const isPublished = new Map(
    [...people, witness].map((of) => [
      of,
      ["x", "presence"].map((name) => presence.isPublished(of, name as never)),
    ]),
  )
  await presence.close()
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(uncaught, [], "something left the library")
  for (const fault of faults)
    assert.ok(
      !JSON.stringify(fault, (_, value: unknown) => (typeof value === "bigint" ? "" : value)).includes(
        "invariant broken",
      ),
      JSON.stringify(fault),
    )
  // the log: every row is one, streams have no gaps, and it folds to what was alive
  const rows = log.read(0, Number.MAX_SAFE_INTEGER)
  const states = new Map<Uri, State>()
  for (const { decision } of rows) {
    const before = states.get(decision.stream) ?? initial(decision.stream)
    assert.equal(decision.version, before.version + 1)
    assert.ok(Number.isInteger(decision.at) && decision.at >= before.decidedAt, `at ${decision.at}`)
    assert.deepEqual(decodeEvents(JSON.parse(JSON.stringify(decision.events))), decision.events)
    states.set(decision.stream, fold(before, decision))
  }
  for (const [of, published] of isPublished) {
    const state = states.get(of as Uri)
    const folded = ["x", "presence"].map((name) => {
      const some = state === undefined ? undefined : get(state.publications, name)
      return some !== undefined && size(some) > 0
    })
    assert.deepEqual(folded, published, of)
  }
  const broken = new Set(faults.flatMap((one) => (one._tag === "DecisionFailed" ? [one.presentity] : [])))
  assert.ok(!broken.has(witness))
  return { calls, granted, refused, broken: broken.size, decisions: rows.length, faults: faults.length }
}

const read = async (items: AsyncIterable<unknown>): Promise<void> => {
  for await (const _ of items);
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { calls: { type: "string" }, seed: { type: "string" } } })
  const run = await tortureEmbedder(Number(values.calls ?? 10_000), Number(values.seed ?? 1))
  console.log(JSON.stringify(run))
}
