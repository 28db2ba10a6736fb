/**
 * Settings that say who may watch: what they mean, how they are told, and what is wrong with one.
 */
import assert from "node:assert/strict"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { PolicyRequest } from "../../../src/adapters/sip/policy.ts"
import { makeAnonymizer } from "../../../src/app/case/anonymize.ts"
import { worldRenamed } from "../../../src/app/case/world.ts"
import { caseWorldOf } from "../../../src/app/case/world.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { limitsOf } from "../../../src/app/config/limits.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import { readPolicyRules } from "../../../src/app/config/request-policy-rules.ts"
import { resolveConfig } from "../../../src/app/config/resolve-config.ts"
import {
  packageOfFolder,
  policiesInWords,
  policyRows,
  watchFaults,
} from "../../../src/app/config/watch-policies.ts"
import { isLetIn, policyOf } from "../../../src/domain/presentity/watching.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { worldOf } from "../../../src/explain/case/world.ts"

const configOf = (settings: Readonly<Record<string, unknown>>) =>
  readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {}, own: { policy: "rules", ...settings } })

const inWords = (settings: Readonly<Record<string, unknown>>): string => {
  const config = configOf(settings)
  return policiesInWords(limitsOf(config).watching, packagesOf(config))
}

describe("watch_policy", () => {
  it("one line says who may watch what", { tags: ["OPS-watch_policy"] }, () => {
    assert.equal(
      inWords({}),
      "rules: presence | domain: dialog, dialog;sla, conference, call-info, line-seize | owner: message-summary, reg, *.winfo",
    )
    assert.equal(
      inWords({
        pass_through: ["note=text/plain"],
        watch_policy: ["*=everybody", "reg@example.com=domain", "dialog.winfo=domain", "note=rules"],
      }),
      "rules: presence, note | domain: reg@example.com, dialog.winfo | owner: other *.winfo | " +
        "everybody: dialog, dialog;sla, message-summary, reg, conference, call-info, line-seize",
    )
    assert.equal(
      inWords({ policy: "open" }),
      "everybody may watch, but lists of watchers are for their owner",
    )
  })

  it(
    "package and domain, then package, then domain, then all; presence and lists of watchers only by name",
    { tags: ["OPS-watch_policy"] },
    () => {
      const config = configOf({
        watch_policy: [
          "dialog@EXAMPLE.com=owner",
          "dialog=everybody",
          "*@example.com=rules",
          "*=domain",
          "presence.winfo@example.com=everybody",
        ],
      })
      const [packages, { watching }] = [packagesOf(config), limitsOf(config)]
      const policy = (name: string, uri: string): string =>
        policyOf(packages.find(name)!, uri as Uri, watching)
      assert.deepEqual(
        ["dialog", "reg", "presence", "presence.winfo", "dialog.winfo"].map((name) => [
          policy(name, "sip:a@example.com"),
          policy(name, "sip:a@other.test"),
          policy(name, "tel:+49"),
        ]),
        [
          ["owner", "everybody", "everybody"],
          ["rules", "domain", "domain"],
          ["rules", "rules", "rules"],
          ["everybody", "owner", "owner"],
          ["owner", "owner", "owner"],
        ],
      )
      const rows = policyRows(watching!, packages)
      assert.deepEqual(
        rows.find(({ packageName }) => packageName === "reg"),
        {
          packageName: "reg",
          policy: "domain",
          isSet: true,
          elsewhere: [{ domain: "example.com", policy: "rules" }],
        },
      )
    },
  )

  it(
    "somebody who gives no identity owns nothing and is nobody's colleague",
    { tags: ["OPS-watch_policy"] },
    () => {
      const config = configOf({ watch_policy: ["reg=domain"] })
      const reg = packagesOf(config).find("reg")!
      const anonymous = "sip:anonymous@anonymous.invalid" as Uri
      for (const policy of ["owner", "domain"] as const)
        assert.equal(isLetIn(policy, reg, anonymous, anonymous, limitsOf(config).watching), false)
    },
  )

  it.for([
    ["watch_policy", "dialog", "expected PACKAGE=POLICY or PACKAGE@DOMAIN=POLICY, for example dialog=owner"],
    ["watch_policy", "=owner", "expected PACKAGE=POLICY or PACKAGE@DOMAIN=POLICY, for example dialog=owner"],
    ["watch_policy", "dialog=ownr", "there is no policy ownr; did you mean owner?"],
    ["watch_policy", "dialog=", "there is no policy ; there are owner, domain, everybody, rules"],
    ["watch_policy", "dialogue=owner", "there is no event package dialogue; did you mean dialog?"],
    [
      "watch_policy",
      "*.winfo=domain",
      "the asterisk stands alone for all packages; name each, for example dialog.winfo=domain",
    ],
    ["watch_policy", "dialog*=owner", /name each, for example dialog=owner$/],
    ["watch_policy", "*.winfo@example.com=owner", /name each, for example dialog\.winfo=owner$/],
    [
      "watch_policy",
      "dialog@=owner",
      "an empty name is no domain; write for example dialog@example.com=owner",
    ],
    ["watch_policy", "dialog@a b=owner", "a b is no domain; write for example dialog@example.com=owner"],
    ["watch_policy", "dialog@other.test=owner", "other.test is not served; domain = example.com"],
    ["line_members", "sip:desk@example.com", /^expected URI=URI or URI=URI\|URI…, for example /],
    ["line_members", "sip:desk@example.com=bob", /^expected URI=URI/],
    ["line_members", "sip:desk@example.com=sip:bob@example.com|", /^an empty name is no URI of a person; /],
    [
      "line_members",
      "sip:desk@other.test=sip:bob@example.com",
      "other.test is not served; domain = example.com",
    ],
    ["mailbox_owners", "nonsense=sip:bob@@", /is no URI of a person; expected/],
    [
      "mailbox_owners",
      "sip:support@example.com=alice",
      "expected URI=URI or URI=URI|URI…, for example sip:support@example.com=sip:alice@example.com|sip:bob@example.com",
    ],
  ] as const)("OPS-%s: %s is said to be wrong, in one line", ([setting, entry, expected]) => {
    const config = configOf({ domain: ["example.com"], [setting]: [entry] })
    const [fault = "", ...others] = watchFaults(config, packagesOf(config))
    assert.deepEqual(others, [])
    const start = `${setting} = ${entry} (option): `
    assert.ok(fault.startsWith(start) && !fault.includes("\n"), fault)
    if (typeof expected === "string") assert.equal(fault.slice(start.length), expected)
    else assert.match(fault.slice(start.length), expected)
  })

  it(
    "two words on one thing are a fault, and a server does not start with any",
    { tags: ["OPS-watch_policy"] },
    async () => {
      const config = configOf({
        memory: true,
        watch_policy: ["reg=owner", "reg=owner", "reg=domain"],
        line_members: [
          "sip:a@example.com=sip:b@example.com",
          "sip:A@example.com=sip:b@example.com",
          "a@example.com=sip:c@example.com",
        ],
      })
      const prepared = await Effect.runPromise(Effect.result(resolveConfig(config, () => {})))
      assert.equal(prepared._tag, "Failure")
      assert.deepEqual(prepared._tag === "Failure" ? prepared.failure.faults : [], [
        "watch_policy = reg=domain (option): reg is given twice, as owner too; leave one of them out",
        "line_members = a@example.com=sip:c@example.com (option): sip:a@example.com is listed twice; write one entry with all of them",
      ])
    },
  )

  it("the name of a folder says the package, with %3B for a semicolon", { tags: ["OPS-rules_dir"] }, () => {
    const packages = packagesOf(configOf({}))
    assert.deepEqual(
      [
        "",
        ".",
        "dialog",
        "dialog/",
        "dialog;sla",
        "dialog%3Bsla",
        "presence.winfo",
        "nonsense",
        "%",
        "..",
      ].map((name) => packageOfFolder(name, packages)),
      [
        "presence",
        "presence",
        "dialog",
        "dialog",
        "dialog;sla",
        "dialog;sla",
        "presence.winfo",
        null,
        null,
        null,
      ],
    )
  })

  it(
    "a case with stand-ins says policies and lists with the same stand-ins",
    { tags: ["OPS-export"] },
    () => {
      const world = caseWorldOf(
        configOf({
          watch_policy: ["dialog@example.com=owner", "reg=domain"],
          mailbox_owners: ["sip:alice@example.com=sip:bob@example.com"],
        }),
      )
      const { name } = makeAnonymizer(worldOf(world), Buffer.alloc(32, 7))
      const renamed = worldRenamed(world, name).limits.watching!
      const text = JSON.stringify(renamed)
      for (const word of ["example", "alice", "bob"]) assert.ok(!text.includes(word), text)
      const owner = name("sip:alice@example.com")
      assert.deepEqual(renamed.mailboxOwners, { [owner]: [name("sip:bob@example.com")] })
      assert.deepEqual(renamed.policies, { [`dialog@${owner.split("@")[1]}`]: "owner", reg: "domain" })
    },
  )
})

describe("conditions that compare", () => {
  const request = (from: string, presentity: string): PolicyRequest => ({
    method: "SUBSCRIBE",
    presentity,
    event: "presence",
    from,
    user: "bob",
    contact: null,
    source: "192.0.2.1",
    port: 5060,
    transport: "udp",
    callId: "c",
    inDialog: false,
    expires: null,
    header: () => [],
  })
  const read = (rule: Readonly<Record<string, unknown>>) => {
    const faults: string[] = []
    const [one] = readPolicyRules("subscribe", [{ ...rule, refuse: 403 }], () => "@", faults)
    return { faults, fits: (from: string, to: string) => one!.fits(request(from, to)) }
  }
  const [alice, bob, eve] = [
    "sip:alice@example.com",
    "sip:bob@example.com",
    "sip:eve@elsewhere.test",
  ] as const
  const anonymous = "sip:anonymous@anonymous.invalid"

  it.for([
    [
      "nobody outside the domain",
      { from: { not: { same_domain_as: "to" } } },
      [eve, anonymous, "tel:+491"],
      [alice, bob],
    ],
    ["only the owner", { from: { not: { same_as: "to" } } }, [bob, eve, anonymous], [alice]],
    ["the other way round", { to: { same_domain_as: "from" } }, [alice, bob], [eve, anonymous, "tel:+491"]],
    ["not these", { from: { not: ["sip:eve@*", bob] } }, [alice, anonymous], [eve, bob]],
    ["one or the other", { from: [eve, { same_as: "to" }] }, [eve, alice], [bob]],
    ["denied twice", { from: { not: { not: eve } } }, [eve], [alice]],
    ["of any condition", { event: { not: "dialog" }, user: { not: ["alice"] } }, [alice, bob, eve], []],
  ] as const)("%s", { tags: ["OPS-handle_subscribe"] }, ([, rule, fitting, others]) => {
    const { faults, fits } = read(rule)
    assert.deepEqual(faults, [])
    for (const from of fitting) assert.equal(fits(from, alice), true, from)
    for (const from of others) assert.equal(fits(from, alice), false, from)
  })

  it("a telephone number is in no domain, not even its own", { tags: ["OPS-handle_subscribe"] }, () => {
    const { fits } = read({ from: { same_domain_as: "to" } })
    assert.equal(fits("tel:+491", "tel:+491"), false)
    assert.equal(fits(anonymous, anonymous), false)
  })

  it.for([
    { from: { same_as: "from" } },
    { from: { same_domain_as: "contact" } },
    { from: { same_as: "to", not: bob } },
    { from: { sameas: "to" } },
    { from: {} },
    { from: { not: [] } },
    { from: { not: "bob" } },
    { source: { same_as: "to" } },
    { event: { not: { not: { not: { not: { not: { not: { not: "dialog" } } } } } } } },
    { method: { not: "SUBSCRIBE" } },
  ])("%j is a fault in one line", { tags: ["OPS-handle_subscribe"] }, (rule) => {
    const { faults } = read(rule)
    assert.equal(faults.length, 1)
    assert.match(faults[0]!, /^handle_subscribe rule 1 [a-z]+ = .* \(@\): expected /)
  })
})
