/**
 * `src/explain` in a browser: it loads nothing of Node, and says what the command line says.
 */
import assert from "node:assert/strict"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { Effect } from "effect"
import { describe, it } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../src/adapters/store/memory.ts"
import { makeCaseWriter } from "../../src/app/case/write.ts"
import { makeHistoryReader } from "../../src/app/history/reader.ts"
import { makeHistoryQueries } from "../../src/app/operations/history-queries.ts"
import { momentOf } from "../../src/domain/history/moments.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import { worldOf } from "../../src/explain/case/world.ts"
import { fileOf, patient, runHere } from "../app/cli/command.ts"
import { eventRows, expectedOf, momentsOf } from "../golden/golden.ts"
import { bundled, chromium, installBrowser, textInBrowser } from "../support/browser.ts"
import { headerOf } from "../support/case.ts"
import type { explained } from "./page.ts"
import type { Wish } from "./page.ts"

const expected = expectedOf("0003-answers")
const world = worldOf(expected.world)
const presentity = "sip:alice@example.com"
const moments = momentsOf(eventRows("0003-answers"), expected).filter(
  ({ decision }) => decision.stream === presentity,
)
const writtenAt = moments.at(-1)!.decision.at + 100_000

/** The golden log of one presentity as a case file. */
const caseText = (): string => {
  const lines: string[] = []
  const header = headerOf({ world: expected.world, writtenAt: new Date(writtenAt).toISOString() })
  const writer = makeCaseWriter(header, world, (line) => lines.push(line))
  writer.stream(moments[0]!.before)
  for (const moment of moments) writer.decision(moment)
  writer.endStream()
  writer.end()
  return lines.join("")
}

const published = moments.findLast(
  ({ decision, notifications }) => decision.cause === "Publish" && notifications.length > 0,
)!
const wish: Wish = {
  text: caseText(),
  presentity,
  watcher: "sip:bob@example.com",
  at: published.decision.at,
  without: published.position,
}

/** What the management port and `presently why` say of the same log. */
const whyOfServer = (): string => {
  const log = makeMemoryLog()
  const store = makeMemoryStore(log)
  let state = initial(moments[0]!.before.presentity)
  for (const { decision, position } of moments) {
    log.append([decision])
    state = momentOf(state, { decision, position }, world).after
  }
  const now = (): number => writtenAt
  const queries = makeHistoryQueries(makeHistoryReader(store, world, now), world, now, () => null)
  const asked = { watcher: wish.watcher, at: new Date(wish.at).toISOString(), event: "presence" }
  return Effect.runSync(queries.why(presentity, asked)).text
}

describe("src/explain in a browser", () => {
  const page = join(import.meta.dirname, "page.ts")
  const show = (value: string): string =>
    `document.body.textContent = encodeURIComponent(JSON.stringify(${value}))`

  it("is bundled without anything of Node", async () => {
    const index = join(import.meta.dirname, "../../src/explain/index.ts")
    const whole = await bundled(
      `import * as all from "${index}"\n${show("Object.keys(all)")}\nglobalThis.all = all`,
    )
    const sentences = await bundled(`import { whyText } from "${index}"\n${show("String(whyText)")}`)
    for (const { code, ofNode } of [whole, sentences]) {
      assert.deepEqual(ofNode, [])
      // Effect looks for one module of Node where there is a process, and goes on without
      const named = [...code.matchAll(/["'`](node:[\w/]+)/g)].map(([, name]) => name)
      assert.ok(
        named.every((name) => name === "node:async_hooks"),
        named.join(" "),
      )
    }
    const kilobytes = (code: string) =>
      [code.length, gzipSync(code).length].map((bytes) => Math.round(bytes / 1000)).join(" kB, compressed ")
    console.log(
      `explain in a browser: ${kilobytes(whole.code)} kB; sentences alone: ${kilobytes(sentences.code)} kB`,
    )
    assert.ok(whole.code.length < 625_000)
  })

  it("says of a case file in Chromium what the command line says of it", patient, async (context) => {
    if (chromium === undefined) return context.skip(installBrowser)
    const { code } = await bundled(
      `import { explained } from "${page}"\n${show(`explained(${JSON.stringify(wish)})`)}`,
    )
    const shown = JSON.parse(decodeURIComponent(await textInBrowser(code))) as ReturnType<typeof explained>

    const file = fileOf(context, "golden.case", wish.text)
    const printed = async (...args: readonly string[]): Promise<readonly string[]> => {
      const { code: status, stdout, stderr } = await runHere(args)
      assert.equal(status, 0, stderr)
      return stdout.trimEnd().split("\n")
    }
    assert.deepEqual(shown.ladder, await printed("ladder", file, "--utc"))
    // the last line of a replay says how long it took
    assert.deepEqual(shown.replay, (await printed("replay", file, "--utc")).slice(0, -1))
    const without = await printed("replay", file, "--utc", "--without", `${wish.without}`)
    assert.deepEqual(shown.whatIf, without.slice(0, -1))
    assert.ok(shown.whatIf.length > 0 && shown.ladder.length > 10 && !shown.isUnequal)
    assert.ok(shown.why?.includes("was told of the change"), shown.why ?? "nothing")
    // a store in memory counts positions by itself
    const timeless = (text: string): string => text.replaceAll(/position \d+/g, "position")
    assert.equal(timeless(shown.why!), timeless(whyOfServer()))
  })
})
