/**
 * `presently export` and `presently replay` as their users have them: a fault from a running server, looked at elsewhere.
 */
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { sharedPostgres } from "../../support/postgres.ts"
import { everything, handling, rule, ruleset } from "../../support/rules-builders.ts"
import { startPresence } from "../../support/server.ts"
import { openPhone, script } from "../../support/sip-client.ts"
import { live } from "../../support/watched.ts"
import { fileOf, patient, runHere, start } from "./command.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

const folderOf = (context: TestContext): string => dirname(fileOf(context, "marker", ""))

/** A server on which something has happened, and flags that lead to its log. */
const livedOn = async (context: TestContext) => {
  const url = cluster!.database()
  const server = await startPresence({ memory: false, database_url: url })
  context.onTestFinished(() => server.stop())
  await live(server.udpPort)
  return { server, store: ["--database-url", url, "--set", "notify_min_interval=0"] }
}

const linesOf = (text: string): readonly string[] => text.trimEnd().split("\n")

describe.skipIf(cluster === null)("a case from a server on PostgreSQL", () => {
  it(
    "exported beside the server, replayed, checked, decided again and otherwise",
    { ...patient, tags: ["OPS-case", "CLI"] },
    async (context) => {
      const { store } = await livedOn(context)
      const folder = folderOf(context)
      const [file, anonymous, refused] = ["case", "anonymous", "refused"].map((name) =>
        join(folder, `${name}.json`),
      ) as [string, string, string]
      const exported = await Promise.all([
        runHere(["export", "--case", file, ...store, "*@*"]),
        runHere([
          "export",
          "--case",
          anonymous,
          "--anonymize",
          "--json",
          ...store,
          "sip:alice@example.com",
          "*@*",
        ]),
        runHere(["export", "--case", refused, ...store, "sip:nobody@example.com"]),
        runHere(["export", "--case", folder, ...store, "sip:alice@example.com"]),
      ])
      assert.deepEqual(
        exported.map(({ code }) => code),
        [0, 0, 1, 74],
        exported.map(({ stderr }) => stderr).join("\n"),
      )
      assert.match(
        exported[0]!.stdout,
        /case\.json: \d+ decisions about 2 streams from PostgreSQL at .*; it holds what people published/,
      )
      assert.match(
        exported[2]!.stderr,
        /has no decision about sip:nobody@example\.com in that time: nothing is written/,
      )
      assert.throws(() => statSync(refused))
      assert.equal(statSync(file).mode & 0o777, 0o600)
      assert.doesNotMatch(readFileSync(anonymous, "utf8"), /alice|dave|127\.0\.0\.1/)

      const replayed = (...args: readonly string[]) => runHere(["replay", ...args])
      const text = readFileSync(file, "utf8")
      const positions = linesOf(text).flatMap((line) => {
        const { kind, position, events } = JSON.parse(line) as {
          kind: string
          position: number
          events: { _tag: string }[]
        }
        return kind === "decision" && events.some(({ _tag }) => _tag === "PublicationModified")
          ? [position]
          : []
      })
      assert.equal(positions.length, 2)
      const broken = join(folder, "broken.json")
      writeFileSync(broken, text.slice(0, text.length - 200))
      const rules = join(folder, "rules.xml")
      writeFileSync(
        rules,
        ruleset(rule("r", "<identity><many/></identity>", handling("polite-block"), everything)),
      )
      const [whole, verified, drifted, without, blocked, cut, until, stopped, unknown] = await Promise.all([
        replayed(file, "--utc"),
        replayed(anonymous, "--verify", "--utc"),
        replayed(file, "--drift"),
        replayed(file, "sip:alice@example.com", "--without", `${positions[0]}`, "--utc"),
        replayed(file, "--rules", rules, "--json"),
        replayed(broken, "--verify"),
        replayed(file, "--until", "1"),
        replayed(file, "--break", "PublicationModified"),
        replayed(file, "--break", "PublicationModifed"),
      ])
      assert.match(
        whole.stdout,
        /^\d{4}-\d\d-\d\d [\d:.]+Z +\d+ {2}Publish .*PublicationModified presence closed {2}-> sip:.* cseq \d+ active: closed$/m,
      )
      assert.match(whole.stdout, /\d+ events in \d+ steps replayed in [\d.]+ s \(\d+ events\/s\)$/m)
      assert.match(verified.stdout, /replayed in .*: equal to what was recorded$/m)
      assert.match(drifted.stdout, /: today's code decides the same$/m)
      assert.deepEqual(
        [whole, verified, drifted, without, blocked].map(({ code }) => code),
        [0, 0, 0, 0, 0],
        drifted.stdout + without.stderr,
      )
      // without the PUBLISH that closed, the one that opened again would have named a tag that was never given
      assert.match(without.stdout, /would not have been told at .*: presence active: closed$/m)
      assert.match(without.stdout, /Publish at .* would have been refused: 412 ConditionalRequestFailed$/m)
      const differences = linesOf(blocked.stdout).map(
        (line) => JSON.parse(line) as { kind: string; v: number; what?: string; was?: unknown },
      )
      assert.ok(differences.every(({ v }) => v === 1))
      assert.ok(differences.filter(({ what, was }) => what === "Told" && was !== null).length >= 3)
      assert.deepEqual([cut.code, cut.stdout], [74, ""])
      assert.match(
        cut.stderr,
        /broken\.json, line \d+: the file ends, or goes on without end, within this line/,
      )
      assert.match(until.stdout, /^\d+ events? in 1 step replayed/m)
      assert.match(stopped.stdout, /"presentity": "sip:alice@example\.com"/)
      assert.equal(unknown.code, 64)
      assert.match(unknown.stderr, /there is no such event.*PublicationModified/)
    },
  )

  it(
    "a digest that differs is told with the first step, and ends with 1",
    { ...patient, tags: ["OPS-case", "CLI"] },
    async (context) => {
      const { store } = await livedOn(context)
      const file = join(folderOf(context), "case.json")
      assert.equal((await runHere(["export", "--case", file, ...store, "alice@example.com"])).code, 0)
      // as if it had been written by another presently: whole, but with other digests
      const other = join(folderOf(context), "other.json")
      writeFileSync(other, rewritten(readFileSync(file, "utf8")))
      const [same, otherwise, verified, drifted] = await Promise.all([
        runHere(["verify", "--drift", ...store]),
        runHere(["verify", "--drift", "--json", ...store, "--set", "notify_min_interval=60"]),
        runHere(["replay", other, "--verify"]),
        runHere(["replay", other, "--drift", "--json"]),
      ])
      assert.match(same.stdout, /: \d+ decisions made again, 0 would be another today$/m)
      // with another pace the second and third change would have waited
      assert.deepEqual([same.code, otherwise.code], [0, 1])
      assert.match(otherwise.stdout, /"kind":"drift",.*"decided":\[.*"NotificationsDeferred"/)
      assert.equal(verified.code, 1)
      assert.match(
        verified.stderr,
        /^presently: the first step that differs is \d+ \(Publish of sip:alice@example\.com\): what left or changed with it/,
      )
      assert.equal(drifted.code, 1)
      const drift = linesOf(drifted.stdout)
        .map((line) => JSON.parse(line) as { kind: string; decided: unknown })
        .filter(({ kind }) => kind === "drift")
      assert.equal(drift.length, 1)
    },
  )
  it(
    "from the store, as a diagram, and going on with what happens",
    { ...patient, tags: ["OPS-ladder", "CLI"] },
    async (context) => {
      const { server, store } = await livedOn(context)
      const following = start(["ladder", "alice@example.com", "--live", ...store])
      context.onTestFinished(() => following.signal("SIGKILL"))
      const [diagram, nobody, several] = await Promise.all([
        runHere(["ladder", "sip:alice@example.com", "--mermaid", "--utc", ...store]),
        runHere(["ladder", "sip:nobody@example.com", ...store]),
        runHere(["ladder", "*@example.com", ...store]),
      ])
      assert.deepEqual([diagram.code, nobody.code, several.code], [0, 1, 64])
      assert.match(
        diagram.stdout,
        /^sequenceDiagram\n {2}participant server as server\n.*->>server: [\d:.]+Z SUBSCRIBE presence\n/s,
      )
      await following.says(/NOTIFY .*closed[^]*NOTIFY .*open/)
      const phone = await openPhone(server, "udp")
      await script(phone, { user: "erin" }).subscribe({ Expires: "600" })
      phone.close()
      // erin has a column of her own now
      await following.says(
        /bob@example\.com +erin@example\.com[^]*-> *NOTIFY|bob@example\.com +erin@example\.com[^]* NOTIFY /,
      )
      following.signal("SIGTERM")
      assert.equal((await following.ended).stderr, "")
    },
  )
})

/** The second publication says something else, and lines are summed up again. */
const rewritten = (text: string): string => {
  const [all, stream] = [createHash("sha256"), createHash("sha256")]
  let hasChanged = false
  return linesOf(text)
    .map((line) => {
      const item = JSON.parse(line) as {
        kind: string
        lines?: string
        events?: { _tag: string; expiresAt?: number; shown?: string }[]
      }
      for (const event of item.events ?? []) {
        if (
          hasChanged ||
          event._tag !== "NotificationsIssued" ||
          !item.events?.some(({ _tag }) => _tag === "PublicationModified")
        )
          continue
        event.shown = "0"
        hasChanged = true
      }
      if (item.kind === "end-of-stream") item.lines = stream.copy().digest("hex")
      if (item.kind === "end") item.lines = all.copy().digest("hex")
      const written = `${JSON.stringify(item)}\n`
      all.update(written)
      if (item.kind !== "case") stream.update(written)
      return written
    })
    .join("")
}
