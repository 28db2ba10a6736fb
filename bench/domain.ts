/**
 * What the domain costs by itself: commands offered to an engine in memory, batches of 16 with the next ones decided while one
 * is under way, without sockets, store or encoding; and folding the decisions that came of it. CPU time of the main thread.
 *
 *   node --expose-gc bench/domain.ts [--against SRC]   the heap of a subscription instead
 *   node bench/domain.ts [--against SRC] [--only TEXT] [--rounds 5] [--seconds 1]
 *
 * With `--against`, the sources of another working copy are measured in the same process, in alternation.
 */
import { resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { parseArgs } from "node:util"
import v8 from "node:v8"
import type * as codecModule from "../src/adapters/xml/codec.ts"
import type { CommittedDecision } from "../src/domain/engine/engine.ts"
import type * as engineModule from "../src/domain/engine/make-engine.ts"
import type * as pidfModule from "../src/domain/packages/pidf.ts"
import type * as registryModule from "../src/domain/packages/registry.ts"
import type * as watcherInfoModule from "../src/domain/packages/watcher-info.ts"
import type { Command } from "../src/domain/presentity/commands.ts"
import type * as contextModule from "../src/domain/presentity/context.ts"
import type { Decision } from "../src/domain/presentity/events.ts"
import type * as evolveModule from "../src/domain/presentity/evolve.ts"
import type * as stateModule from "../src/domain/presentity/state.ts"
import type { State } from "../src/domain/presentity/state.ts"
import type { Body, DialogKey, DialogStart, Uri } from "../src/domain/vocabulary.ts"
import { refreshOf } from "./refresh.ts"

const { values: flags } = parseArgs({
  options: {
    against: { type: "string" },
    only: { type: "string", default: "" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
  },
})

const loadSources = async (folder: string) => {
  const load = (file: string): Promise<unknown> => import(pathToFileURL(resolve(folder, file)).href)
  const [
    { makeEngine },
    { presence },
    { makeRegistry },
    { watcherInfo },
    context,
    { initial },
    codec,
    evolve,
  ] = (await Promise.all([
    load("domain/engine/make-engine.ts"),
    load("domain/packages/pidf.ts"),
    load("domain/packages/registry.ts"),
    load("domain/packages/watcher-info.ts"),
    load("domain/presentity/context.ts"),
    load("domain/presentity/state.ts"),
    load("adapters/xml/codec.ts"),
    load("domain/presentity/evolve.ts"),
  ])) as [
    typeof engineModule,
    typeof pidfModule,
    typeof registryModule,
    typeof watcherInfoModule,
    typeof contextModule,
    typeof stateModule,
    typeof codecModule,
    typeof evolveModule,
  ]
  const xml = codec.xmlCodec
  return {
    name: folder,
    initial,
    fold: evolve.fold,
    makeEngine: () =>
      makeEngine<number>({
        packages: makeRegistry([presence({ xml, rules: {} })], (of) => watcherInfo(of, { xml })),
        limits: { ...context.defaultLimits, notifyIntervalMillis: 0, subscriptionsMax: 1_000_000 },
        authorize: context.allowEveryone,
        recordAfterMillis: 10_000,
      }),
  }
}
type Sources = Awaited<ReturnType<typeof loadSources>>

const startOf = (presentity: Uri, no: number): DialogStart => ({
  callId: `f81d4fae-7dec-11d0-a765-${no}@192.0.2.${no % 250}`,
  localTag: `as6f${no}b2e`,
  remoteTag: `z9hG${no}xk`,
  localUri: `<${presentity}>`,
  remoteUri: `<sip:watcher${no}@example.com>`,
  remoteTarget: `sip:watcher${no}@192.0.2.${no % 250}:5060`,
  routeSet: [],
  remoteCseq: 1,
  localContact: "sip:192.0.2.10:5060",
  flow: "udp:192.0.2.10:5060",
  source: `192.0.2.${no % 250}:5060`,
})

const bodies = Array.from({ length: 64 }, (_, index): Body => ({
  contentType: "application/pidf+xml",
  text:
    `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:p@example.com"><tuple id="t1">` +
    `<status><basic>${index % 2 === 0 ? "open" : "closed"}</basic></status><note>at work ${index}</note></tuple></presence>`,
}))

/** An engine with what drives it. */
const makeBench = (sources: Sources) => {
  const engine = sources.makeEngine()
  const tags = new Map<Uri, string>()
  const decisions: Decision[] = []
  const presentities = new Set<Uri>()
  let [now, count, isRecording] = [Date.UTC(2026, 10, 20), 0, false]
  const reports: [Uri, Command][] = []
  const nonce = (): string => `n${(++count).toString(36)}`
  const note = ({ decision }: CommittedDecision): void => {
    if (isRecording) decisions.push(decision)
    for (const event of decision.events)
      if (
        event._tag === "PublicationCreated" ||
        event._tag === "PublicationModified" ||
        event._tag === "PublicationRefreshed"
      )
        tags.set(decision.stream, event.entityTag)
  }
  const commit = (): void => {
    const { release, stored } = engine.committed(new Set())
    for (const decision of stored) note(decision)
    for (const { notifications } of release) {
      for (const { presentity, no, cseq } of notifications)
        reports.push([
          presentity,
          { _tag: "ReportDelivery", no, cseq, outcome: { _tag: "Accepted", remoteTarget: null } },
        ])
    }
  }
  const offer = (presentity: Uri, command: Command): void => {
    const offered = engine.offer(
      { presentity, command, origin: "udp:192.0.2.20:5060 call", ticket: count },
      now,
      nonce,
    )
    if (offered._tag === "Missing") throw new Error("load first")
  }
  let [isOut, asked] = [false, 0]
  const flush = (isLast: boolean): void => {
    if (isOut) commit()
    for (const [presentity, command] of reports.splice(0)) offer(presentity, command)
    isOut = engine.takeBatch(100) !== null
    if (isLast && (isOut || reports.length > 0)) flush(true)
  }
  return {
    engine,
    decisions,
    record: (is: boolean) => (isRecording = is),
    tagOf: (presentity: Uri): readonly string[] => {
      const tag = tags.get(presentity)
      return tag === undefined ? [] : [tag]
    },
    /** What drives it keeps nothing more of its presentities. */
    forgetTags: (): void => {
      tags.clear()
      presentities.clear()
    },
    load: (presentity: Uri): void => {
      if (presentities.has(presentity)) return
      presentities.add(presentity)
      engine.load(sources.initial(presentity))
    },
    /** Sixteen commands are a batch, and as many more are decided before it is committed. */
    ask: (presentity: Uri, command: Command): void => {
      now += 3
      offer(presentity, command)
      if (++asked % 16 === 0) flush(false)
    },
    settle: () => flush(true),
    pass: (millis: number): void => {
      now += millis
    },
  }
}
type Bench = ReturnType<typeof makeBench>

const presentityOf = (index: number): Uri => `sip:user${index}@example.com` as Uri

const subscribe = (presentity: Uri, no: number, expires: number): Command => ({
  _tag: "Subscribe",
  packageName: "presence",
  eventId: null,
  watcher: `sip:watcher${no}@example.com` as Uri,
  expires,
  accept: null,
  dialog: startOf(presentity, no),
  forceActive: false,
  bodyFault: null,
})

const resubscribe = (presentity: Uri, no: number, cseq: number, expires: number): Command => {
  const { callId, localTag, remoteTag } = startOf(presentity, no)
  return refreshOf(
    `${callId}\n${localTag}\n${remoteTag}` as DialogKey,
    `sip:watcher${no}@example.com` as Uri,
    cseq,
    expires,
  )
}

const publish = (bench: Bench, presentity: Uri, body: Body | null): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: bench.tagOf(presentity),
  expires: 3600,
  body,
  bodyFault: null,
  sender: null,
})

/** Does one operation; number `index` of those of its case. */
type Operation = (index: number) => void

const publishing =
  (presentities: number, watchers: number, isRefresh: boolean) =>
  (bench: Bench): Operation => {
    for (let index = 0; index < presentities; index++) {
      const presentity = presentityOf(index)
      bench.load(presentity)
      bench.ask(presentity, publish(bench, presentity, bodies[0]!))
      for (let no = 1; no <= watchers; no++)
        bench.ask(presentity, subscribe(presentity, index * watchers + no, 3600))
    }
    bench.settle()
    return (index) => {
      const presentity = presentityOf(index % presentities)
      const round = Math.floor(index / presentities)
      bench.ask(
        presentity,
        publish(bench, presentity, isRefresh ? null : bodies[(round + 1) % bodies.length]!),
      )
      // one by one where there are fewer than a batch: a change that finds the last NOTIFY under way tells nobody
      if (presentities < 32) bench.settle()
    }
  }

const refreshing =
  (subscriptions: number, presentities: number) =>
  (bench: Bench): Operation => {
    for (let no = 0; no < subscriptions; no++) {
      const presentity = presentityOf(no % presentities)
      bench.load(presentity)
      bench.ask(presentity, subscribe(presentity, no, 3600))
    }
    bench.settle()
    return (index) => {
      const no = index % subscriptions
      const cseq = 2 + Math.floor(index / subscriptions)
      bench.ask(presentityOf(no % presentities), resubscribe(presentityOf(no % presentities), no, cseq, 3600))
    }
  }

/** Each operation is a subscription that begins, or one that ends; so many live. */
const comingAndGoing =
  (subscriptions: number, presentities: number) =>
  (bench: Bench): Operation => {
    let next = 0
    const begin = (): void => {
      const presentity = presentityOf(next % presentities)
      bench.load(presentity)
      bench.ask(presentity, subscribe(presentity, next++, 3600))
    }
    while (next < subscriptions) begin()
    bench.settle()
    let oldest = 0
    return (index) => {
      if (index % 2 === 0) return begin()
      const no = oldest++
      bench.ask(presentityOf(no % presentities), resubscribe(presentityOf(no % presentities), no, 2, 0))
    }
  }

const cases: Readonly<Record<string, (bench: Bench) => Operation>> = {
  "publish-refresh, unwatched": publishing(1000, 0, true),
  "publish-modify, unwatched": publishing(1000, 0, false),
  "publish-modify, 1 watcher": publishing(1000, 1, false),
  "publish-modify, 10 watchers": publishing(100, 10, false),
  "publish-modify, 1000 watchers": publishing(1, 1000, false),
  "refresh, 1k subscriptions alone": refreshing(1000, 1000),
  "refresh, 10k subscriptions alone": refreshing(10_000, 10_000),
  "refresh, 10 on one": refreshing(10, 1),
  "refresh, 500 on one": refreshing(500, 1),
  "refresh, 10k on one": refreshing(10_000, 1),
  "begin/end, 1k subscriptions": comingAndGoing(1000, 999),
  "begin/end, 500 on one": comingAndGoing(500, 1),
}

const micros = ({ user, system }: NodeJS.CpuUsage): number => user + system
const milliseconds = Number(flags.seconds) * 1000

interface Measured {
  readonly perOperation: number
  /** Octets that a minor collection has moved into the old generation. */
  readonly promoted: number
}

const oldOctets = (heap: v8.GCProfilerResult["statistics"][number]["beforeGC"]): number =>
  heap.heapSpaceStatistics
    .filter(({ spaceName }) => spaceName === "old_space" || spaceName === "large_object_space")
    .reduce((sum, { spaceUsedSize }) => sum + spaceUsedSize, 0)

const measure = (work: (index: number) => void, from: number): Measured & { readonly next: number } => {
  const profiler = new v8.GCProfiler()
  profiler.start()
  const began = process.threadCpuUsage()
  const until = performance.now() + milliseconds
  let index = from
  while (performance.now() < until) for (let turn = 0; turn < 20; turn++) work(index++)
  const spent = micros(process.threadCpuUsage(began))
  const { statistics } = profiler.stop()!
  const promoted = statistics
    .filter(({ gcType }) => gcType === "Scavenge")
    .reduce((sum, { beforeGC, afterGC }) => sum + oldOctets(afterGC) - oldOctets(beforeGC), 0)
  return { perOperation: spent / (index - from), promoted: promoted / (index - from), next: index }
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)]!

const alternate = (
  name: string,
  works: readonly ((index: number) => void)[],
  unit: (micros: number) => string,
): void => {
  const found = works.map((): Measured[] => [])
  const next = works.map(() => 0)
  for (let round = -1; round < Number(flags.rounds); round++) {
    for (const [index, work] of works.entries()) {
      const measured = measure(work, next[index]!)
      next[index] = measured.next
      if (round >= 0) found[index]!.push(measured)
    }
  }
  const columns = found.map((rounds) => {
    const costs = rounds.map(({ perOperation }) => perOperation)
    const spread = `${unit(Math.min(...costs))}–${unit(Math.max(...costs))}`
    return `${unit(median(costs)).padStart(8)} (${spread}) promoted ${Math.round(median(rounds.map(({ promoted }) => promoted)))}`
  })
  console.log(`${name.padEnd(34)} ${columns.map((column) => column.padEnd(46)).join(" ")}`)
}

/** Heap for each of so many subscriptions, established and answered: the strings as a log gives them, in one piece each. */
const heapOf = (one: Sources, presentities: number): number => {
  const count = 50_000
  const inOnePiece = <A>(command: A): A => JSON.parse(JSON.stringify(command)) as A
  const heap = (): number => {
    for (let times = 0; times < 3; times++) globalThis.gc!()
    return process.memoryUsage().heapUsed
  }
  const bench = makeBench(one)
  const before = heap()
  for (let no = 0; no < count; no++) {
    const presentity = inOnePiece({ of: presentityOf(no % presentities) }).of
    bench.load(presentity)
    // over an hour, so that they expire over an hour
    bench.pass(69)
    bench.ask(presentity, inOnePiece(subscribe(presentity, no, 3600)))
  }
  bench.settle()
  bench.forgetTags()
  const octets = (heap() - before) / count
  if (bench.engine.counts().dialogs !== count) throw new Error("not all are there")
  return octets
}

const folders = [
  ...(flags.against === undefined ? [] : [flags.against]),
  resolve(import.meta.dirname, "../src"),
]
const sources = await Promise.all(folders.map(loadSources))
console.log(
  `µs a command and octets promoted, then thousands of events folded a second; ${folders.join(" | ")}`,
)
if (globalThis.gc !== undefined) {
  for (const presentities of [50_000, 100])
    for (const one of sources)
      console.log(
        `${Math.round(heapOf(one, presentities))} octets a subscription, ${50_000 / presentities} on each: ${one.name}`,
      )
  process.exit()
}
for (const [name, prepare] of Object.entries(cases)) {
  if (!`decide: ${name}`.includes(flags.only)) continue
  alternate(
    `decide: ${name}`,
    sources.map((one) => prepare(makeBench(one))),
    (cost) => cost.toFixed(1),
  )
}
for (const [name, prepare] of Object.entries(cases)) {
  if (!`fold: ${name}`.includes(flags.only)) continue
  const works = sources.map((one) => {
    const bench = makeBench(one)
    bench.record(true)
    const operation = prepare(bench)
    for (let index = 0; index < 10_000 && bench.decisions.length < 20_000; index++) operation(index)
    bench.settle()
    const events = bench.decisions.reduce((sum, { events: { length } }) => sum + length, 0)
    let states = new Map<Uri, State>()
    let at = 0
    let owed = 0
    // one unit of work is one event
    return () => {
      if (owed-- > 0) return
      if (at % bench.decisions.length === 0) states = new Map()
      const decision = bench.decisions[at++ % bench.decisions.length]!
      const before = states.get(decision.stream) ?? one.initial(decision.stream)
      states.set(decision.stream, one.fold(before, decision))
      owed = decision.events.length - 1
      if (events === 0) throw new Error("nothing to fold")
    }
  })
  alternate(`fold: ${name}`, works, (cost) => `${Math.round(1000 / cost)}k`)
}
