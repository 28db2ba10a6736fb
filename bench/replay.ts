/**
 * How fast a case is written and walked through: one presentity that publishes again and again, watched by a few.
 *
 *   node bench/replay.ts [--publishes 10000] [--watchers 10]
 */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { makeMemoryLog } from "../src/adapters/store/memory.ts"
import { makeAnonymizer } from "../src/app/case/anonymize.ts"
import { checkCase, itemsOf } from "../src/app/case/case-file.ts"
import { nodeSha256 } from "../src/app/case/node-sha256.ts"
import { caseWorldOf } from "../src/app/case/world.ts"
import { makeCaseWriter } from "../src/app/case/write.ts"
import { readConfig } from "../src/app/config/config.ts"
import { makeEngine } from "../src/domain/engine/make-engine.ts"
import type { Command } from "../src/domain/presentity/commands.ts"
import { initial } from "../src/domain/presentity/state.ts"
import { replay } from "../src/explain/case/replay.ts"
import { worldOf } from "../src/explain/case/world.ts"
import { alice, dialogOf, publish, subscribe } from "../test/support/builders.ts"
import { pidf } from "../test/support/ruled.ts"

const { values } = parseArgs({
  options: { publishes: { type: "string", default: "10000" }, watchers: { type: "string", default: "10" } },
})
const publishes = Number(values.publishes)
const watchers = Number(values.watchers)

const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults: { notify_min_interval: 0 } })
const shaping = caseWorldOf(config)
const world = worldOf(shaping)
const log = makeMemoryLog()
const engine = makeEngine<null>(world)
engine.load(initial(alice))
let now = Date.UTC(2026, 10, 20)
let count = 0
const ask = (command: Command): void => {
  const offer = { presentity: alice, command, origin: "udp:192.0.2.20:5060 call 1", ticket: null }
  engine.offer(offer, ++now, () => `n${++count}`)
  for (let batch = engine.takeBatch(100); batch !== null; batch = engine.takeBatch(100)) {
    log.append(batch.decisions)
    for (const { notifications } of engine.committed(new Set()).release) {
      for (const { no, cseq } of notifications)
        ask({ _tag: "ReportDelivery", no, cseq, outcome: { _tag: "Accepted", remoteTarget: null } })
    }
  }
}
for (let watcher = 1; watcher <= watchers; watcher++)
  ask(subscribe({ packageName: "presence", expires: 3600, dialog: dialogOf(watcher) }))
let tag: readonly string[] = []
for (let number = 0; number < publishes; number++) {
  ask(
    publish({
      packageName: "presence",
      ifMatch: tag,
      body: pidf(`t1=${number % 2 === 0 ? "open" : "closed"}`, "@work"),
      expires: 3600,
    }),
  )
  const event = log.history(alice, engine.state(alice)!.version - 1, 1)[0]?.decision.events[0]
  tag = event !== undefined && "entityTag" in event ? [event.entityTag] : tag
}

const folder = mkdtempSync(join(tmpdir(), "presently-bench-"))
const timed = (what: string, work: () => string): void => {
  const began = performance.now()
  const detail = work()
  const seconds = (performance.now() - began) / 1000
  const rate = Math.round(events / seconds)
  console.log(`${what.padEnd(22)} ${seconds.toFixed(2)} s  ${String(rate).padStart(7)} events/s  ${detail}`)
}
const recorded = log.read(0, Number.MAX_SAFE_INTEGER)
const events = recorded.reduce((sum, { decision }) => sum + decision.events.length, 0)
console.log(`${recorded.length} decisions, ${events} events, ${watchers} watchers`)
const write = (name: string, isAnonymous: boolean): string => {
  const file = openSync(join(folder, name), "w")
  const anonymizer = isAnonymous ? makeAnonymizer(world) : null
  const header = {
    presently: "bench",
    node: process.version,
    writtenAt: "",
    anonymized: isAnonymous,
    since: null,
    until: null,
    world: shaping,
  }
  const writer = makeCaseWriter(header, world, (line) => writeSync(file, line))
  writer.stream(anonymizer?.stream(initial(alice)) ?? initial(alice))
  for (const one of recorded) writer.decision(anonymizer?.decision(one) ?? one)
  writer.endStream()
  writer.end()
  closeSync(file)
  return `${statSync(join(folder, name)).size} bytes`
}
const walk = (name: string, over: Partial<Parameters<typeof replay>[1]> = {}): string => {
  const file = join(folder, name)
  const found = new Map<string, number>()
  const options = { stream: null, until: null, drift: false, supposition: null, sha256: nodeSha256, ...over }
  for (const { _tag } of replay(itemsOf(file), options)) found.set(_tag, (found.get(_tag) ?? 0) + 1)
  return [...found].map(([tagged, times]) => `${tagged} ${times}`).join(", ")
}
timed("write", () => write("case", false))
timed("write with stand-ins", () => write("anonymous", true))
timed("check", () => (checkCase(join(folder, "case")), ""))
timed("replay and verify", () => walk("case"))
timed("replay of stand-ins", () => walk("anonymous"))
timed("drift", () => walk("case", { drift: true }))
timed("without one", () => walk("case", { supposition: { without: new Set([watchers + 2]), rules: null } }))
rmSync(folder, { recursive: true })
