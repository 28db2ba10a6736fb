/**
 * What the documents say of the tree: links lead somewhere, and a test that is named is there.
 */
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import type { PolicyRequest } from "../src/adapters/sip/policy.ts"
import { devDefaults } from "../src/app/cli/run/server.ts"
import { readConfig } from "../src/app/config/config.ts"
import { limitsOf } from "../src/app/config/limits.ts"
import { packagesOf } from "../src/app/config/packages.ts"
import { loadPolicy } from "../src/app/config/request-policy-hook.ts"
import { readPolicyRules } from "../src/app/config/request-policy-rules.ts"
import { policiesInWords } from "../src/app/config/watch-policies.ts"
import { devBanner } from "../src/app/dev-banner.ts"
import { Presence } from "../src/app/library/presence.ts"
import { storeNameOf } from "../src/app/open-store.ts"
import { fileOf } from "./app/cli/command.ts"

const root = resolve(import.meta.dirname, "..")
const pages = [
  "README.md",
  "CHANGELOG.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => join("docs", file)),
]

describe("documents", () => {
  it.each(pages)(
    "every link of %s leads to a file; one that names a test leads to that test",
    { tags: ["DOC-links"] },
    (page) => {
      const text = readFileSync(join(root, page), "utf8")
      for (const [, label = "", target = ""] of text.matchAll(/\[([^\]]+)\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target)) continue
        const file = join(root, dirname(page), target.replace(/#.*$/, ""))
        assert.ok(existsSync(file), `${page} links to ${target}`)
        if (!target.includes("/test/")) continue
        const titles = readFileSync(file, "utf8")
        assert.match(
          titles,
          new RegExp(`["'\`][^"'\`]*${label.replaceAll(/[.*+?^$(){}|\\]/g, "\\$&")}\\b`),
          `${page}: ${label} is in ${target}`,
        )
      }
    },
  )
})

describe("README", () => {
  const text = readFileSync(join(root, "README.md"), "utf8")

  it("npm start prints the lines that README shows", { tags: ["DOC-readme"] }, () => {
    const config = readConfig({ flags: {}, set: [], env: {}, file: null, defaults: devDefaults })
    const printed = devBanner(
      config,
      {
        addresses: () => config.listen.map(({ transport, host, port }) => `${transport}:${host}:${port}`),
        admin: `http://${config.admin?.host}:${config.admin?.port}`,
        store: storeNameOf(config),
        watching: policiesInWords(limitsOf(config).watching, packagesOf(config)),
      },
      "npx presently",
    )
    const [, shown = ""] = /`npm start` prints\n\n((?: {4}.*\n)+)/.exec(text) ?? []
    const lines = shown.replaceAll(/^ {4}/gm, "").trimEnd().split("\n")
    assert.match(lines.pop() ?? "", /^ready in [\d.]+ s$/)
    assert.deepEqual(lines, printed.split("\n"))
  })

  it(
    "the Node that README asks for is the one that the package and the command ask for",
    { tags: ["DOC-readme"] },
    () => {
      const { engines, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
        engines: { node: string }
        devDependencies: { node: string }
      }
      const [, own = "", least = ""] =
        /the Node (\d+) of presently is a development dependency[\s\S]*?Node ([\d.]+) or newer/.exec(text) ??
        []
      assert.equal(devDependencies.node.split(".")[0], own)
      assert.match(engines.node, new RegExp(`^>=${least.replace(".", "\\.")}\\.`))
      // test/app/node-version.e2e.test.ts runs it
      assert.ok(
        readFileSync(join(root, "bin/presently.js"), "utf8").includes(
          'require("../package.json").engines.node',
        ),
      )
    },
  )
})

/** What stands between the marks of that name, without the fence. */
const marked = (page: string, name: string): string => {
  const text = readFileSync(join(root, page), "utf8")
  const [, found] =
    new RegExp(`<!-- ${name} -->\\s*\`\`\`\\n([\\s\\S]*?)\`\`\`\\s*<!-- /${name} -->`).exec(text) ?? []
  assert.ok(found !== undefined, `${page} has ${name}`)
  return found
}

describe("the rules document of docs/watching.md", () => {
  const alice = "sip:alice@example.com"
  const pidf =
    `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" entity="${alice}">` +
    `<tuple id="t"><status><basic>open</basic></status><note>at the desk</note></tuple>` +
    `<dm:person id="p"><dm:note>busy</dm:note></dm:person>` +
    `<dm:device id="d"><dm:deviceID>urn:x:1</dm:deviceID></dm:device></presence>`
  const asked = async (context: TestContext, text: string) => {
    const presence = await Presence.make({ rules: (_, event) => (event === "presence" ? text : null) })
    context.onTestFinished(() => presence.close())
    await presence.publish({ presentity: alice, body: pidf })
    return (watcher: string) =>
      presence.fetch({ presentity: alice, watcher }).then(
        ({ body, state }) => `${state} ${body?.text ?? ""}`,
        (refusal: { readonly status: number }) => `${refusal.status}`,
      )
  }

  it(
    "shows whom it names all there is, leaves others to be decided on and refuses the rest, the owner included",
    { tags: ["DOC-rules"] },
    async (context) => {
      const fetch = await asked(context, marked("docs/watching.md", "rules.xml"))
      const bob = await fetch("sip:bob@example.com")
      for (const shown of ["<basic>open</basic>", "at the desk", "busy", "urn:x:1"])
        assert.ok(bob.includes(shown), bob)
      for (const user of ["carol", "alice"])
        assert.doesNotMatch(await fetch(`sip:${user}@example.com`), /^active|basic|desk/)
      assert.equal(await fetch("sip:eve@elsewhere.test"), "403")
    },
  )

  it("a rule that only allows shows nothing", { tags: ["DOC-rules"] }, async (context) => {
    const text = marked("docs/watching.md", "rules.xml").replace(
      /<transformations>[\s\S]*<\/transformations>/,
      "",
    )
    const fetch = await asked(context, text)
    const bob = await fetch("sip:bob@example.com")
    assert.match(bob, /^(?:active|terminated) /)
    assert.doesNotMatch(bob, /basic|desk|busy|urn:x:1/)
  })
})

describe.skipIf(
  !existsSync("/usr/share/kamailio/db_sqlite/auth_db-create.sql") || !existsSync("/usr/bin/sqlite3"),
)("the databases of Kamailio in docs", () => {
  it.for([
    [
      "docs/behind-a-proxy.md",
      ["subscriber.sh", "pua.sh"],
      "/etc/kamailio",
      ["subscriber", "pua"],
      ["alice", "wonder"],
    ],
    [
      "docs/behind-kamailio.md",
      ["tables.sh"],
      "/var/lib/kamailio",
      ["subscriber", "location"],
      ["bob", "secret-bob"],
    ],
  ] as const)(
    "the commands that %s shows make its tables, and an account",
    { tags: ["DOC-proxy"] },
    ([page, scripts, folder, tables, [username, password]], context) => {
      const file = fileOf(context, "kamailio.sqlite", "")
      for (const name of scripts) {
        const script = marked(page, name)
        const shown = `${folder}/kamailio.sqlite`
        assert.ok(script.includes(shown))
        execFileSync("sh", ["-e", "-c", script.replaceAll(shown, file)])
      }
      const database = new DatabaseSync(file)
      const versions = database.prepare("SELECT table_name AS name FROM version").all() as { name: string }[]
      for (const name of tables)
        assert.ok(
          versions.some((version) => version.name === name),
          name,
        )
      const accounts = database.prepare("SELECT username, domain, password FROM subscriber").all()
      assert.deepEqual({ ...accounts[0] }, { username, domain: "example.com", password })
      database.close()
    },
  )
})

describe("examples", () => {
  const page = readFileSync(join(root, "docs/configuration.md"), "utf8")
  const blocks = [...page.matchAll(/(?:^ {4}.*\n)+/gm)].map(([block]) => block.replaceAll(/^ {4}/gm, ""))
  const nothing = { flags: {}, set: [], env: {}, file: null, defaults: {} }

  it(
    "settings that docs/configuration.md shows are taken, each of them",
    { tags: ["OPS-config"] },
    (context) => {
      const shown = blocks.filter((block) => /^(?:listen|handle_publish|handle_subscribe):/.test(block))
      assert.equal(shown.length, 4)
      for (const text of shown) {
        const { sources } = readConfig({ ...nothing, file: fileOf(context, "presently.yaml", text) })
        const given = Object.values(sources).filter((source) => source !== "default").length
        assert.equal(given, text.match(/^\w+:/gm)?.length)
      }
    },
  )

  it(
    "rules of docs/configuration.md that compare From and To say what is said of them",
    { tags: ["OPS-handle_subscribe"] },
    (context) => {
      const alice = "sip:alice@example.com"
      const asked = [
        ["sip:bob@example.com", "presence"],
        ["sip:bob@elsewhere.test", "presence"],
        ["sip:anonymous@anonymous.invalid", "presence"],
        [alice, "reg"],
        ["sip:bob@example.com", "reg"],
        ["sip:bob@example.com", "presence.winfo"],
      ] as const
      const refused = blocks
        .filter((block) => block.startsWith("handle_subscribe:"))
        .map((block) => {
          const file = fileOf(context, "presently.yaml", block)
          const { handle_subscribe: value } = readConfig({ ...nothing, file })
          const rules = readPolicyRules("subscribe", value, () => "", [])
          return asked
            .filter(([from, event]) =>
              rules.some(({ fits }) => fits({ from, event, presentity: alice } as unknown as PolicyRequest)),
            )
            .map((one) => one.join(" "))
        })
      assert.deepEqual(refused, [
        ["sip:bob@elsewhere.test presence", "sip:anonymous@anonymous.invalid presence"],
        ["sip:bob@example.com reg", "sip:bob@example.com presence.winfo"],
      ])
    },
  )

  it(
    "the code that docs/configuration.md shows says what it seems to say",
    { tags: ["OPS-request_policy"] },
    async (context) => {
      const [code = ""] = blocks.filter((block) => block.startsWith("// policy.ts"))
      const policy = await loadPolicy(fileOf(context, "policy.ts", code))
      const asked = {
        user: "alice",
        inDialog: false,
        contact: null,
        header: () => ["1"],
      } as unknown as PolicyRequest
      assert.deepEqual(
        [
          await policy.handleSubscribe?.(asked),
          await policy.handleSubscribe?.({ ...asked, user: null }),
          await policy.handleSubscribe?.({ ...asked, inDialog: true }),
          await policy.handlePublish?.(asked),
          await policy.handlePublish?.({ ...asked, contact: "sip:a@b" }),
        ],
        [
          { force_active: true, sharing_tag: "reception" },
          { refuse: "403 Who Are You" },
          undefined,
          null,
          { sender: "sip:a@b" },
        ],
      )
    },
  )
})
