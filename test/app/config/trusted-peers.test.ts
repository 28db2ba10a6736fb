/**
 * Trusted peers and accounts as an operator writes them down: files, variables, programs, scripts of another server; what is
 * wrong, and what should be said.
 */
import { deepStrictEqual, equal, match, ok, throws } from "node:assert/strict"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { describe, it } from "vitest"
import { refusals } from "../../../src/app/cli/run/server-config.ts"
import { ConfigInvalid, readConfig } from "../../../src/app/config/config.ts"
import type { Config } from "../../../src/app/config/config.ts"
import type { Given } from "../../../src/app/config/gather.ts"
import { asksRules } from "../../../src/app/config/limits.ts"
import { importOpensips } from "../../../src/app/config/opensips-config.ts"
import { printConfig } from "../../../src/app/config/text.ts"
import { authText } from "../../../src/app/config/trusted-peers.ts"
import { accountAddress, parseUsers, userLine } from "../../../src/app/config/users.ts"
import { fileOf } from "../cli/command.ts"

const nothing: Given = { flags: {}, set: [], env: {}, file: null, defaults: {} }
const read = (given: Partial<Given>): Config => readConfig({ ...nothing, ...given })
const faultsOf = (given: Partial<Given>): readonly string[] => {
  try {
    read(given)
    return []
  } catch (error) {
    ok(error instanceof ConfigInvalid)
    return error.faults
  }
}

describe("the setting trusted_peers", () => {
  it(
    "reads the same from a file, a variable, a flag and a program",
    { tags: ["OPS-trusted_peers"] },
    (context) => {
      const expected = ["10.0.0.1;identity=pai;publishes_for=example.com|sip:a@b.example", "10.1.0.0/16"]
      const file = fileOf(
        context,
        "presently.yaml",
        "trusted_peers:\n" +
          "  - {address: 10.0.0.1, identity: pai, publishes_for: [example.com, 'sip:a@b.example']}\n" +
          "  - 10.1.0.0/16\n",
      )
      const text = expected.join(", ")
      for (const given of [
        { file },
        { env: { PRESENTLY_TRUSTED_PEERS: text } },
        { set: [`trusted_peers=${text}`] },
        { set: [`trusted_peers=${JSON.stringify(expected)}`] },
        {
          own: {
            trusted_peers: [
              { address: "10.0.0.1", identity: "pai", publishes_for: "example.com|sip:a@b.example" },
              "10.1.0.0/16",
            ],
          },
        },
      ]) {
        deepStrictEqual(read(given).trusted_peers, expected)
      }
      deepStrictEqual(read({ set: ["trusted_peers=[2001:db8::1];identity=none"] }).trusted_peers, [
        "2001:db8::1;identity=none",
      ])
      // what is printed is read as the same again
      const printed = printConfig(read({ file }))
        .split("\n")
        .find((line) => line.startsWith("trusted_peers:"))!
      deepStrictEqual(read({ file: fileOf(context, "again.yaml", `${printed}\n`) }).trusted_peers, expected)
    },
  )

  it(
    "each entry that is wrong is one line with its place, and what to write",
    { tags: ["OPS-trusted_peers"] },
    (context) => {
      const file = fileOf(
        context,
        "presently.yaml",
        "memory: true\ntrusted_peers:\n  - sip.example.com\n  - 10.0.0.0/33\n  - 10.0.0.1\n  - {address: 10.0.0.1}\n",
      )
      const faults = faultsOf({ file })
      equal(faults.length, 3)
      match(
        faults[0]!,
        /^trusted_peers = sip\.example\.com \(file .*presently\.yaml:3\): sip\.example\.com is a name: .*write the addresses/,
      )
      match(faults[1]!, /^trusted_peers = 10\.0\.0\.0\/33 \(file .*:4\): .*from 0 to 32/)
      match(
        faults[2]!,
        /^trusted_peers = \{"address":"10\.0\.0\.1"\} \(file .*:6\): 10\.0\.0\.1 is listed twice/,
      )
      match(
        faultsOf({ set: ["trusted_peers=10.0.0.1,proxy"] })[0]!,
        /^trusted_peers = proxy \(flag --set\): proxy is a name/,
      )
      match(faultsOf({ own: { trusted_peers: 7 } })[0]!, /^trusted_peers = 7 \(option\): expected ADDRESS/)
    },
  )

  it(
    "a bare entry is told what is refused now, and the line to write; a full one is not",
    { tags: ["OPS-trusted_peers"] },
    () => {
      const advice = (text: string, domain = "example.com,example.org"): readonly string[] =>
        read({ set: [`trusted_peers=${text}`, `domain=${domain}`] }).advice
      const [line, ...more] = advice("10.0.0.1,10.0.0.2;identity=from")
      deepStrictEqual(more, [])
      match(
        line!,
        /^trusted_peers = 10\.0\.0\.1 \(flag --set\): .*PUBLISH without P-Asserted-Identity .*refused \(403\).*SUBSCRIBE without one is anonymous/,
      )
      // the line itself is good, and says no more
      const written = [...line!.matchAll(/trusted_peers: (\[.*?\])/g)].map(
        ([, one]) => JSON.parse(one!) as string[],
      )
      deepStrictEqual(written, [
        ["10.0.0.1;identity=pai", "10.0.0.2;identity=from"],
        ["10.0.0.1;identity=pai;publishes_for=example.com|example.org", "10.0.0.2;identity=from"],
      ])
      for (const one of written) deepStrictEqual(advice(one.join(",")), [])
      deepStrictEqual(advice("10.0.0.1;publishes_for=example.com"), [])
      match(advice("0.0.0.0/0;identity=pai")[0]!, /every address/)
      deepStrictEqual(read({}).advice, [])
      match(
        read({ set: ["trusted_peers=10.0.0.1;identity=pai", "insecure_no_auth=1"] }).advice[0]!,
        /leave it out/,
      )
    },
  )

  it(
    "peers count as authentication: a server for others starts, rules are asked, and it says who is asked",
    { tags: ["OPS-trusted_peers"] },
    () => {
      const open = { set: ["memory=1", "listen=udp:0.0.0.0:5060"] }
      equal(refusals(read(open), "serve").length, 1)
      equal(asksRules(read(open)), false)
      equal(authText(read(open)), "none: everyone may see and publish everything")
      const peers = read({ set: [...open.set, "trusted_peers=10.0.0.1;identity=pai"] })
      deepStrictEqual(refusals(peers, "serve"), [])
      equal(asksRules(peers), true)
      equal(authText(peers), "trusted peers 10.0.0.1;identity=pai; all others are refused")
      equal(authText({ ...peers, users_file: "users.txt" }), "users.txt; trusted peers 10.0.0.1;identity=pai")
      equal(authText({ ...read(open), users_file: "users.txt" }), "users.txt")
    },
  )

  it("OPS-config-import: a proxy that stays is named as a peer, with publishes_for where it publishes", () => {
    const script = (modules: readonly string[]): string =>
      `listen=udp:10.0.0.1:5060\nlisten=tcp:10.0.0.1:5060\n${modules.map((one) => `loadmodule "${one}.so"\n`).join("")}`
    const [proxy, publisher, neither] = [["rr"], ["rr", "pua", "pua_dialoginfo"], ["presence"]].map(
      (modules) => importOpensips(script(modules), "kamailio.cfg").text,
    )
    match(proxy!, /^# trusted_peers: \[10\.0\.0\.1;identity=pai\]$/m)
    match(publisher!, /^# trusted_peers: \[10\.0\.0\.1;identity=pai;publishes_for=DOMAIN\]$/m)
    match(publisher!, /pua, pua_dialoginfo publishes for DOMAIN/)
    ok(!neither!.includes("trusted_peers:"))
    // uncommented it is a setting
    const [, value = ""] = /^# trusted_peers: \[(.*)\]$/m.exec(publisher!) ?? []
    deepStrictEqual(
      read({ set: [`trusted_peers=${value.replace("DOMAIN", "example.com")}`] }).trusted_peers,
      ["10.0.0.1;identity=pai;publishes_for=example.com"],
    )
  })
})

describe("docs/behind-a-proxy.md", () => {
  const page = readFileSync(resolve(import.meta.dirname, "../../../docs/behind-a-proxy.md"), "utf8")

  it(
    "each entry that it shows is taken, says whom it speaks for, and those in two forms are the same",
    { tags: ["DOC-examples"] },
    (context) => {
      const blocks = [...page.matchAll(/(?:^ {4}.*\n)+/gm)]
        .map(([block]) => block.replaceAll(/^ {4}/gm, ""))
        .filter((block) => block.startsWith("trusted_peers:"))
      const peers = blocks.map((text) => read({ file: fileOf(context, "presently.yaml", text) }))
      equal(peers.length, 5)
      deepStrictEqual(
        peers.map(({ advice }) => advice),
        peers.map(() => []),
      )
      deepStrictEqual(peers[0]?.trusted_peers, peers[1]?.trusted_peers)
    },
  )
})

describe("accounts with addresses of their own", () => {
  const line = (user: string, address: string | null, algorithm: "SHA-256" | "MD5" = "SHA-256"): string =>
    userLine(user, "pbx", "secret", algorithm, address === null ? null : accountAddress(address))

  it(
    "a fourth column is the address, in its one spelling, and its colons are its own",
    { tags: ["OPS-users_file"] },
    () => {
      const users = parseUsers(
        [
          line("alice", null),
          line("4711", "sip:Alice@EXAMPLE.com:5060"),
          line("4711", "sip:Alice@example.com", "MD5"),
          line("4712", null),
          line("4712", "sips:bob@[2001:db8::1]:5061", "MD5"),
          line("4713", "tel:+1-555-0100"),
        ].join("\n"),
        "users.txt",
      )
      const addresses = ["alice", "4711", "4712", "4713", "nobody"].map((user) =>
        users.addressOf(user, "pbx"),
      )
      deepStrictEqual(addresses, [
        null,
        "sip:Alice@example.com",
        "sip:bob@[2001:db8::1]",
        "tel:+15550100",
        null,
      ])
      equal(users.addressOf("4711", "elsewhere"), null)
      ok(users.lookup("4711", "pbx") !== null && users.lookup("alice", "pbx") !== null)
      equal(users.size, 4)
    },
  )

  it("what is wrong is named by line", { tags: ["OPS-users_file"] }, () => {
    const good = line("4711", "sip:alice@example.com")
    const faulty = (text: string): readonly string[] => {
      let faults: readonly string[] = []
      throws(
        () => parseUsers(text, "users.txt"),
        (error) => error instanceof ConfigInvalid && (faults = error.faults).length > 0,
      )
      return faults
    }
    const bare = line("4711", null)
    deepStrictEqual(
      faulty(
        [
          good,
          `${bare}:alice@example.com`,
          `${bare}:`,
          `${bare}:sip:example.com`,
          `${bare}:mailto:a@b.c`,
        ].join("\n"),
      ),
      ["alice@example.com", "", "sip:example.com", "mailto:a@b.c"].map(
        (wrong, index) =>
          `users_file users.txt:${index + 2}: ${wrong} is no address: expected a URI such as sip:alice@example.com, or nothing`,
      ),
    )
    deepStrictEqual(faulty([good, line("4711", "sip:bob@example.com", "MD5")].join("\n")), [
      "users_file users.txt:2: 4711 has the address sip:alice@example.com in a line before: leave one of the two out",
    ])
    deepStrictEqual(faulty("4711:pbx"), [
      "users_file users.txt:1: expected USER:REALM:HA1, HA1 of 64 (SHA-256) or 32 (MD5) hex digits",
    ])
  })
})
