/**
 * The first screen of README: what it says that commands print is what they print.
 */
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { patient, run, start } from "./app/cli/command.ts"

const text = readFileSync(join(import.meta.dirname, "../README.md"), "utf8")

/** Without what differs each time. */
const lasting = (line: string): string =>
  line
    .replaceAll(/\d{4}-\d\d-\d\d /g, "")
    .replaceAll(/\d\d:\d\d:\d\d\.\d+/g, "TIME")
    .replaceAll(/(etag|entity-tag) \S+/g, "$1 TAG")
    .replaceAll(/udp:127\.0\.0\.1:\d+ \w+ \d+/g, "REQUEST")
    .replaceAll(/position \d+/g, "position N")
    .replaceAll(/ after \d+ ms/g, "")
    .trimEnd()

describe.concurrent("README", { ...patient, tags: ["DOC-readme"] }, () => {
  it("the lines of the demo are lines of the demo", async () => {
    const shown = [...text.matchAll(/^ {4}( {2}(?:time|\d\d:\d\d:\d\d) .*)$/gm)].map(([, line = ""]) => line)
    assert.ok(shown.length > 4)
    const { stdout } = await run(["demo"])
    const lines = stdout.split("\n")
    assert.deepEqual(
      shown.filter((line) => !lines.includes(line)),
      [],
    )
  })

  it("what to try next prints what stands there", async (context) => {
    const [, block = ""] = /^What to try next.*\n\n((?: {4}.*\n)+)/m.exec(text) ?? []
    const lines = block.replaceAll(/^ {4}/gm, "").trimEnd().split("\n")
    const argsOf = (command: string): string[] =>
      [...command.replace(/ &$/, "").matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, word]) => quoted ?? word ?? "",
      )
    const commands = lines
      .filter((line) => line.startsWith("$ npx presently "))
      .map((line) => argsOf(line.slice("$ npx presently ".length)))
    const [watch = [], publish = [], why = []] = commands
    assert.deepEqual([watch[0], publish[0], why[0], commands.length], ["watch", "publish", "why", 3])

    const dev = start(["dev", "--memory", "--listen", "udp:127.0.0.1:0", "--admin", "127.0.0.1:0"])
    const banner = await dev.says(/ready in [\d.]+ s\n/)
    const [, to = ""] = /udp:(\S+)/.exec(banner) ?? []
    const [, admin = ""] = /http:\/\/([^/]+)\/ready/.exec(banner) ?? []
    const watching = start([...watch, "--to", to])
    context.onTestFinished(async () => {
      for (const process of [watching, dev]) {
        process.signal("SIGTERM")
        await process.ended
      }
    })
    await watching.says("nothing published\n")
    const published = await run([...publish, "--to", to])
    const watched = await watching.says(/open .*\n/)
    const explained = await run([...why, "--admin", admin])
    const printed = [watched, published.stdout, explained.stdout].flatMap((said) =>
      said.split("\n").map(lasting),
    )
    const outputs = lines.filter((line) => !line.startsWith("$ ") && line !== "  …").map(lasting)
    assert.equal(outputs.length, 5)
    assert.deepEqual(
      outputs.filter((line) => !printed.includes(line)),
      [],
      printed.join("\n"),
    )
  })

  it("its picture is light and dark, has words for those who do not see it, and loads nothing", () => {
    const [, alternative = "", file = ""] = /^!\[(.*)\]\((.*\.svg)\)$/m.exec(text) ?? []
    const picture = readFileSync(join(import.meta.dirname, "..", file), "utf8")
    assert.ok(alternative.length > 40)
    assert.match(picture, /<title id="title">[^<]+<\/title>/)
    assert.match(picture, /prefers-color-scheme: dark/)
    assert.doesNotMatch(
      picture.replace('xmlns="http://www.w3.org/2000/svg"', ""),
      /https?:|<script|<image|@import/,
    )
  })
})
