/**
 * What a server says of the sources of its rules: that one cannot be read, which documents cannot be used, and that all is well again.
 */
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { readConfig } from "../../../src/app/config/config.ts"
import { checkText } from "../../../src/app/doctor/check.ts"
import { runDoctor } from "../../../src/app/doctor/run-doctor.ts"
import { Server } from "../../../src/app/index.ts"
import { asking } from "../../support/admin.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openScene } from "../../support/scene.ts"

const allowing = ruleset(ruleFor("sip:bob@example.com", "allow"))

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-sources-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, "rules")
}

interface Source {
  readonly kind: string
  readonly source: string
  readonly state: string
  readonly why: string | null
  readonly documents: number
  readonly troubles: readonly Readonly<Record<"presentity" | "place" | "why" | "since", string>>[]
}

const told = async (admin: string | null | undefined) => {
  const ask = asking(admin ?? "")
  const metrics = (await ask("GET", "/metrics")).text
  const value = (name: string): number =>
    Number(new RegExp(`^presently_source_${name}\\{kind="rules"\\} (.*)$`, "m").exec(metrics)?.[1])
  const ready = await ask("GET", "/ready")
  return {
    ready: [ready.status, ready.text],
    degraded: ((await ask("GET", "/status")).json as { degraded: readonly string[] }).degraded,
    source: ((await ask("GET", "/v1/sources")).json as { items: readonly Source[] }).items[0]!,
    metrics: [value("reachable"), value("documents"), value("troubled_documents")],
  }
}

const eventually = async <A>(ask: () => Promise<A>, holds: (answer: A) => boolean): Promise<A> => {
  for (let tries = 0; ; tries++) {
    const answer = await ask()
    if (holds(answer)) return answer
    assert.ok(tries < 300, `still ${JSON.stringify(answer)}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Of the checks those about rules. */
const doctor = async (admin: string | null | undefined, settings: Record<string, unknown>) => {
  const config = readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: {
      listen: ["udp:127.0.0.1:0"],
      admin: admin?.replace("http://", "") ?? "off",
      memory: true,
      ...settings,
    },
  })
  const checks = await Effect.runPromise(runDoctor({ config, configFile: null, refused: [], running: null }))
  return checks.filter(({ what }) => what === "rules_dir" || what === "server").map(checkText)
}

describe("a source of rules", () => {
  it(
    "that cannot be read makes the server degraded, not deaf, and it heals by itself",
    { tags: ["AUT-7", "OPS-rules_wait"] },
    async (context) => {
      const folder = folderOf(context)
      const settings = { rules_dir: folder, rules_wait: 1, no_rules: "allow" }
      const { another, server, publish } = await openScene(context, { ...settings, admin: "127.0.0.1:0" })
      await publish()
      const fetchAs = async (user: string): Promise<number> =>
        (await (await another(user)).subscribe({ Expires: "0" })).raw.status
      assert.equal(await fetchAs("bob"), 202)
      const lost = await told(server.admin)
      assert.deepEqual(lost.ready, [200, "ready\ndegraded: the source of rules cannot be read\n"])
      const tried = await asking(server.admin ?? "")(
        "POST",
        "/v1/presentities/sip:alice@example.com/rules/test?watcher=sip:bob@example.com",
      )
      assert.deepEqual(tried.json, { handling: "rules not read yet", matched: [] })
      assert.match(lost.degraded.join(), /^rules: folder .* cannot be read: ENOENT/)
      assert.deepEqual([lost.source.kind, lost.source.state, lost.metrics[0]], ["rules", "unreachable", 0])
      const said = await doctor(server.admin, settings)
      assert.match(said[0]!, /^warn {2}server: .* says ready, degraded: the source of rules cannot be read/)
      assert.match(said[1]!, /^bad {3}rules_dir: folder .* cannot be read: ENOENT/)

      mkdirSync(folder)
      writeFileSync(join(folder, "carol@example.com.xml"), allowing)
      const well = await eventually(
        () => told(server.admin),
        // they are asked one after the other
        ({ source, ready, degraded, metrics }) =>
          source.state === "read" && ready[1] === "ready\n" && degraded.length === 0 && metrics[0] === 1,
      )
      assert.deepEqual([well.ready, well.degraded, well.metrics], [[200, "ready\n"], [], [1, 1, 0]])
      assert.equal(await fetchAs("bob"), 200)
    },
  )

  it(
    "what in it cannot be used is named, whose, where and why, until it is mended",
    { tags: ["AUT-7", "OPS-rules_document_max"] },
    async (context) => {
      const folder = folderOf(context)
      mkdirSync(folder)
      const file = (user: string): string => join(folder, `${user}@example.com.xml`)
      writeFileSync(file("alice"), allowing)
      symlinkSync("/nowhere", file("mike"))
      writeFileSync(file("nina"), Buffer.from([0xff, 0x00, 0xfe]))
      writeFileSync(file("olga"), "<ruleset")
      writeFileSync(file("paul"), " ".repeat(2_001))
      writeFileSync(join(folder, "no address.xml"), allowing)
      const settings = { rules_dir: folder, rules_document_max: 2_000 }
      const { another, server } = await openScene(context, { ...settings, admin: "127.0.0.1:0" })
      assert.equal((await (await another("bob")).subscribe({ Expires: "0" })).raw.status, 200)
      const { source, metrics, ready } = await told(server.admin)
      assert.deepEqual([ready[1], metrics, source.state], ["ready\n", [1, 5, 5], "read"])
      const whys = new Map(source.troubles.map(({ presentity, why }) => [presentity, why]))
      assert.match(whys.get("sip:mike@example.com") ?? "", /leads nowhere/)
      assert.match(whys.get("sip:nina@example.com") ?? "", /not UTF-8/)
      assert.ok((whys.get("sip:olga@example.com") ?? "") !== "")
      assert.match(whys.get("sip:paul@example.com") ?? "", /2001 octets, more than rules_document_max = 2000/)
      assert.match(whys.get(null as unknown as string) ?? "", /no address of anybody/)
      for (const { place, since } of source.troubles) {
        assert.ok(place.startsWith(folder))
        assert.ok(!Number.isNaN(Date.parse(since)))
      }
      const said = (await doctor(server.admin, settings)).slice(1)
      assert.equal(said.length, 5)
      for (const line of said)
        assert.match(
          line,
          /^bad {3}rules_dir: .*; until then rules that the log knows stay in force, and where it knows none watchers wait$/,
        )
      for (const user of ["mike", "nina", "olga", "paul"]) rmSync(file(user))
      rmSync(join(folder, "no address.xml"))
      const well = await eventually(
        () => told(server.admin),
        // a look may fall between the two questions
        (one) => one.source.troubles.length === 0 && one.metrics[2] === 0,
      )
      assert.deepEqual(well.metrics, [1, 1, 0])
      assert.match(
        (await doctor(server.admin, settings))[1]!,
        /^ok {4}rules_dir: folder .* holds 1 document$/,
      )
    },
  )

  it(
    "of a server in a program: in force when its start resolves",
    { tags: ["AUT-7", "LIB-server"] },
    async (context) => {
      const folder = folderOf(context)
      mkdirSync(folder)
      for (let index = 0; index < 500; index++)
        writeFileSync(
          join(folder, `u${index}@example.com.xml`),
          ruleset(ruleFor("sip:bob@example.com", "block")),
        )
      const server = await Server.start({ rules_dir: folder, no_rules: "allow", admin: "127.0.0.1:0" })
      context.onTestFinished(() => server.close())
      const { source } = await told(server.admin)
      assert.deepEqual([source.state, source.documents], ["read", 500])
      const rules = await asking(server.admin ?? "")("GET", "/v1/presentities/sip%3Au499%40example.com/rules")
      assert.equal(rules.status, 200)
    },
  )
})
