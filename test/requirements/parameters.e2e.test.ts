/**
 * Settings by name, each with its effect where a client or an operator sees it.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { readConfig } from "../../src/app/config/config.ts"
import { settings } from "../../src/app/config/settings.ts"
import type { SettingName } from "../../src/app/config/settings.ts"
import { userLine } from "../../src/app/config/users.ts"
import { startVirtualServer } from "../../src/app/testing/virtual-time.ts"
import { everything, ruleFor, ruleset } from "../support/rules-builders.ts"
import { openScene, phoneClosed, phoneOpen } from "../support/scene.ts"
import { startPresence } from "../support/server.ts"
import { answer, openPhone, pidf, script, tuple } from "../support/sip-client.ts"
import { usersFile } from "../support/users.ts"

const bob = "sip:bob@example.com"

describe("lifetimes", () => {
  it.for([
    ["OPS-max_expires_publish", "max_expires_publish", "PUBLISH"],
    ["OPS-max_expires_subscribe", "max_expires_subscribe", "SUBSCRIBE"],
  ] as const)(
    "%s: longer wishes are granted so much, none at all the default if that is shorter",
    async ([, name, method], context) => {
      const { another } = await openScene(context, { [name]: 60 })
      for (const [wish, expected] of [
        ["61", "60"],
        ["60", "60"],
        ["59", "59"],
        [null, "60"],
      ] as const) {
        const phone = await another("bob")
        const body = method === "PUBLISH" ? phoneOpen : ""
        const response = await (method === "PUBLISH"
          ? phone.publish({ Expires: wish }, body)
          : phone.subscribe({ Expires: wish }))
        assert.equal(response.header("expires"), expected)
      }
    },
  )

  it.for([
    ["OPS-min_expires_publish", "min_expires_publish", "PUBLISH"],
    ["OPS-min_expires_subscribe", "min_expires_subscribe", "SUBSCRIBE"],
  ] as const)("%s: shorter wishes are refused with 423 and the least", async ([, name, method], context) => {
    const { another } = await openScene(context, { [name]: 60 })
    const phone = await another("bob")
    const ask = (wish: string) =>
      method === "PUBLISH" ? phone.publish({ Expires: wish }, phoneOpen) : phone.subscribe({ Expires: wish })
    const refused = await ask("59")
    assert.deepEqual([refused.raw.status, refused.header("min-expires")], [423, "60"])
    assert.equal((await ask("60")).raw.status, 200)
  })

  it(
    "an undecided watcher is given up after so many days, 0 counting as 3",
    { tags: ["OPS-waiting_subs_daysno", "AUT-8"] },
    async (context) => {
      for (const [days, until] of [
        [1, 1],
        [0, 3],
      ] as const) {
        const server = await startVirtualServer({
          policy: "rules",
          domain: ["example.com"],
          waiting_subs_daysno: days,
          max_expires_subscribe: 30 * 86_400,
        })
        const phone = await openPhone({ portOf: () => Number(server.udp.split(":")[1]) }, "udp")
        context.onTestFinished(async () => {
          phone.close()
          await server.close()
        })
        const watcher = script(phone, { user: "bob" })
        assert.equal((await watcher.subscribe({ Expires: `${20 * 86_400}` })).raw.status, 202)
        await watcher.notified({ state: "pending" })
        await server.pass(until * 86_400 - 1)
        await phone.hearsNothing()
        await server.pass(1)
        await watcher.notified({ state: "terminated;reason=giveup;retry-after=3600", body: null })
      }
    },
  )
})

describe("expires_offset", () => {
  it(
    "PUBLISH is told so much less, SUBSCRIBE lives so much longer than it is told",
    { tags: ["OPS-expires_offset"] },
    async (context) => {
      for (const expires_offset of [0, 30]) {
        const server = await startVirtualServer({ domain: ["example.com"], expires_offset })
        const phone = await openPhone({ portOf: () => Number(server.udp.split(":")[1]) }, "udp")
        context.onTestFinished(async () => {
          phone.close()
          await server.close()
        })
        const published = await script(phone, { user: "alice" }).publish({ Expires: "600" }, phoneOpen)
        assert.equal(published.header("expires"), `${600 - expires_offset}`)
        const watcher = script(phone, { user: "bob" })
        assert.equal((await watcher.subscribe({ Expires: "300" })).header("expires"), "300")
        await watcher.notified({ state: "active", expires: 300, body: phoneOpen })
        if (expires_offset > 0) {
          await server.pass(300 + expires_offset - 1)
          await phone.hearsNothing()
          await server.pass(1)
        } else await server.pass(300)
        await watcher.notified({ state: "terminated;reason=timeout" })
      }
    },
  )
})

describe("bounds", () => {
  it(
    "more than so many get 503 with Retry-After; ending one makes room",
    { tags: ["OPS-publications_max", "OPS-subscriptions_max"] },
    async (context) => {
      const { another } = await openScene(context, { publications_max: 2, subscriptions_max: 2 })
      const phones = [await another("alice"), await another("alice"), await another("alice")]
      const tags = []
      for (const phone of phones)
        tags.push((await phone.publish({ Expires: "60" }, phoneOpen)).header("sip-etag"))
      assert.deepEqual(
        tags.map((tag) => tag !== null),
        [true, true, false],
      )
      const refused = await phones[2]!.publish({ Expires: "60" }, phoneOpen)
      assert.equal(refused.raw.status, 503)
      assert.ok(Number(refused.header("retry-after")) > 0)
      await phones[0]!.publish({ Expires: "0", "SIP-If-Match": tags[0]! })
      assert.equal((await phones[2]!.publish({ Expires: "60" }, phoneOpen)).raw.status, 200)
      const statuses = []
      for (const user of ["a", "b", "c"])
        statuses.push((await (await another(user)).subscribe({ Expires: "60" })).raw.status)
      assert.deepEqual(statuses, [200, 200, 503])
      // a fetch leaves nothing behind
      assert.equal((await (await another("d")).subscribe({ Expires: "0" })).raw.status, 200)
    },
  )

  it(
    "a NOTIFY above so many bytes goes over TCP where the phone takes it, else over UDP",
    { tags: ["OPS-udp_mtu"] },
    async (context) => {
      const { another, publish } = await openScene(context, { udp_mtu: 500 })
      const watcher = await another("bob")
      await watcher.subscribe({ Expires: "60" })
      await watcher.notified({ state: "active" })
      const long = pidf(tuple("phone", "open", "x".repeat(600)))
      await publish(long)
      // this phone has no TCP: it gets it all the same
      await watcher.notified({ state: "active", body: long })
    },
  )
})

describe("what the server calls itself", () => {
  it(
    "the Contact of 2xx and NOTIFY",
    { tags: ["OPS-server_address", "OPS-contact_user"] },
    async (context) => {
      for (const [given, contact] of [
        [{ server_address: "sip:presence.example.com:5070" }, /^<sip:presence\.example\.com:5070>$/],
        [{ contact_user: "pa" }, /^<sip:pa@127\.0\.0\.1:\d+>$/],
        [{ contact_user: "" }, /^<sip:127\.0\.0\.1:\d+>$/],
        [{}, /^<sip:presence@127\.0\.0\.1:\d+>$/],
      ] as const) {
        const { another } = await openScene(context, given)
        const watcher = await another("bob")
        const response = await watcher.ask("SUBSCRIBE", { Expires: "60" })
        assert.match(response.header("contact") ?? "", contact)
        const notify = await watcher.notify()
        answer(watcher.phone, notify)
        assert.match(notify.header("contact") ?? "", contact)
      }
    },
  )

  it(
    "other domains than those get 404; with none every domain is served",
    { tags: ["OPS-domain"] },
    async (context) => {
      for (const [domain, statuses] of [
        [
          ["example.com", "example.org"],
          [200, 200, 404],
        ],
        [[], [200, 200, 200]],
      ] as const) {
        const { another } = await openScene(context, { domain })
        const phone = await another("alice")
        const given = []
        for (const host of ["example.com", "example.org", "example.net"]) {
          given.push(
            (await phone.ask("PUBLISH", { Expires: "60" }, phoneOpen, `sip:alice@${host}`)).raw.status,
          )
        }
        assert.deepEqual(given, statuses)
      }
    },
  )

  it(
    "what a challenge offers",
    { tags: ["OPS-realm", "OPS-digest_md5", "OPS-digest_md5_only", "OPS-users_file"] },
    async (context) => {
      const users_file = usersFile(
        context,
        userLine("alice", "phones", "secret", "SHA-256"),
        userLine("alice", "phones", "secret", "MD5"),
      )
      for (const [digest_md5, digest_md5_only, algorithms] of [
        [false, false, ["SHA-256"]],
        [true, false, ["SHA-256", "MD5"]],
        [false, true, ["MD5"]],
        [true, true, ["MD5"]],
      ] as const) {
        const settings = { users_file, realm: "phones", digest_md5, digest_md5_only }
        const { another } = await openScene(context, settings)
        const challenged = await (await another("alice")).publish({ Expires: "60" }, phoneOpen)
        assert.equal(challenged.raw.status, 401)
        const offers = challenged.headers("www-authenticate")
        assert.deepEqual(
          offers.map((one) => /algorithm=([\w-]+)/.exec(one)?.[1]),
          algorithms,
        )
        assert.ok(offers.every((one) => one.includes('realm="phones"')))
      }
    },
  )
})

describe("the framework", () => {
  it(
    "202 and one dialog for several subscriptions are RFC 3265's only",
    { tags: ["OPS-event_framework"] },
    async (context) => {
      for (const [event_framework, statuses] of [
        ["3265", [202, 202]],
        ["6665", [200, 403]],
      ] as const) {
        const { another } = await openScene(context, { event_framework, policy: "rules" })
        const watcher = await another("bob")
        const first = await watcher.subscribe({ Expires: "60" })
        answer(watcher.phone, await watcher.notify())
        const second = await watcher.subscribe({ Event: "presence;id=2", Expires: "60" })
        assert.deepEqual([first.raw.status, second.raw.status], statuses)
      }
    },
  )

  it(
    "so long between two changes, 0: at once, none: the package's",
    { tags: ["OPS-notify_min_interval"] },
    async (context) => {
      for (const [notify_min_interval, seconds] of [
        [0, 0],
        [2, 2],
        [null, 5],
      ] as const) {
        const server = await startVirtualServer({ domain: ["example.com"], notify_min_interval })
        const phone = await openPhone({ portOf: () => Number(server.udp.split(":")[1]) }, "udp")
        context.onTestFinished(async () => {
          phone.close()
          await server.close()
        })
        const [alice, watcher] = [script(phone, { user: "alice" }), script(phone, { user: "bob" })]
        await watcher.subscribe({ Expires: "60" })
        await watcher.notified({ state: "active" })
        const first = await alice.publish({ Expires: "60" }, phoneOpen)
        await watcher.notified({ state: "active", body: phoneOpen })
        await server.settle()
        await alice.publish({ Expires: "60", "SIP-If-Match": first.header("sip-etag") }, phoneClosed)
        if (seconds > 0) {
          await server.pass(seconds - 1)
          await phone.hearsNothing()
          await server.pass(1)
        }
        await watcher.notified({ state: "active", body: phoneClosed })
      }
    },
  )

  it(
    "switched off, the server knows neither",
    { tags: ["OPS-rate_control", "OPS-conditional_notify"] },
    async (context) => {
      const { another, publish } = await openScene(context, {
        rate_control: false,
        conditional_notify: false,
      })
      await publish()
      const watcher = await another("bob")
      await watcher.subscribe({ Event: "presence;max-rate=0.01", Expires: "60" })
      const first = await watcher.notify()
      answer(watcher.phone, first)
      assert.deepEqual(
        [first.header("subscription-state"), first.header("sip-etag")],
        ["active;expires=60", null],
      )
      assert.equal((await watcher.subscribe({ "Suppress-If-Match": "*", Expires: "60" })).raw.status, 200)
      await watcher.notified({ state: "active", body: phoneOpen })
    },
  )
})

describe("who may watch", () => {
  const statusWith = async (
    context: Parameters<typeof openScene>[0],
    given: Parameters<typeof openScene>[1],
    document: string | null = null,
    published = phoneOpen,
  ): Promise<string> => {
    const { another, rules, publish } = await openScene(context, { admin: "127.0.0.1:0", ...given })
    if (document !== null) assert.equal(await rules(document), 204)
    await publish(published)
    const watcher = await another("bob")
    const { status } = (await watcher.subscribe({ Expires: "60" })).raw
    if (status >= 300) return `${status}`
    const notify = await watcher.notify()
    answer(watcher.phone, notify)
    return `${status} ${/id="phone"/.test(notify.raw.body.toString()) ? "sees" : "-"}`
  }

  it(
    "open to all, or as the rules say, or as the operator says where they say nothing",
    { tags: ["OPS-policy", "OPS-no_rules", "OPS-no_match"] },
    async (context) => {
      const forCarol = ruleset(ruleFor("sip:carol@example.com", "allow"))
      const outcomes = []
      for (const [given, document] of [
        [{ policy: "open", no_rules: "block" }, null],
        [{ policy: "open" }, forCarol],
        [{ policy: "rules" }, null],
        [{ policy: "rules", no_rules: "allow" }, null],
        [{ policy: "rules", no_rules: "polite-block" }, null],
        [{ policy: "rules", no_rules: "block" }, null],
        [{ policy: "rules" }, forCarol],
        [{ policy: "rules", no_match: "confirm" }, forCarol],
      ] as const) {
        outcomes.push(await statusWith(context, given, document))
      }
      assert.deepEqual(outcomes, [
        "200 sees",
        "200 sees",
        "202 -",
        "200 sees",
        "200 -",
        "403",
        "403",
        "202 -",
      ])
    },
  )

  it(
    "a rule without transformations shows nothing, or everything",
    { tags: ["OPS-legacy_permissive", "AUT-6"] },
    async (context) => {
      const bare = ruleset(ruleFor(bob, "allow", ""))
      assert.equal(await statusWith(context, { policy: "rules" }, bare), "200 -")
      assert.equal(await statusWith(context, { policy: "rules", legacy_permissive: true }, bare), "200 sees")
    },
  )

  it(
    "a rule for a sphere counts when spheres do",
    { tags: ["OPS-enable_sphere_check", "AUT-4"] },
    async (context) => {
      const rule = ruleFor(bob, "allow", everything).replace(
        "</identity>",
        '</identity><sphere value="work"/>',
      )
      const person =
        '<dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p"><r:sphere xmlns:r="urn:ietf:params:xml:ns:pidf:rpid"><r:work/></r:sphere></dm:person>'
      const atWork = pidf(tuple("phone", "open"), person)
      assert.equal(await statusWith(context, { policy: "rules" }, ruleset(rule), atWork), "403")
      assert.equal(
        await statusWith(context, { policy: "rules", enable_sphere_check: true }, ruleset(rule), atWork),
        "200 sees",
      )
    },
  )

  it(
    "OMA's conditions match when they are understood",
    { tags: ["OPS-oma_rules", "AUT-4"] },
    async (context) => {
      const rule = ruleFor(bob, "allow", everything).replace(
        /<identity>.*<\/identity>/,
        '<o:other-identity xmlns:o="urn:oma:xml:xdm:common-policy"/>',
      )
      assert.equal(await statusWith(context, { policy: "rules" }, ruleset(rule)), "403")
      assert.equal(await statusWith(context, { policy: "rules", oma_rules: true }, ruleset(rule)), "200 sees")
    },
  )
})

describe("parameters of the packages", () => {
  const named = (event: string, contentType: string) => ({ Event: event, Accept: contentType })

  it(
    "everybody is admitted without asking the rules",
    { tags: ["OPS-force_active", "AUT-9"] },
    async (context) => {
      for (const [force_active, status] of [
        [true, 200],
        [false, 202],
      ] as const) {
        const { another } = await openScene(context, { policy: "rules", force_active })
        assert.equal((await (await another("bob")).subscribe({ Expires: "0" })).raw.status, status)
      }
    },
  )

  it(
    "documents of OMA are understood, their conditions too",
    { tags: ["OPS-pres_rules_auid", "AUT-4"] },
    async (context) => {
      const rule = ruleFor(bob, "allow", everything).replace(
        /<identity>.*<\/identity>/,
        '<o:other-identity xmlns:o="urn:oma:xml:xdm:common-policy"/>',
      )
      for (const [pres_rules_auid, status] of [
        ["pres-rules", 403],
        ["org.openmobilealliance.pres-rules", 200],
      ] as const) {
        const settings = { policy: "rules", pres_rules_auid, admin: "127.0.0.1:0" }
        const { another, rules } = await openScene(context, settings)
        assert.equal(await rules(ruleset(rule)), 204)
        assert.equal((await (await another("bob")).subscribe({ Expires: "0" })).raw.status, status)
      }
    },
  )

  it(
    "a SUBSCRIBE to reg that names none gets so long",
    { tags: ["OPS-default_expires"] },
    async (context) => {
      for (const [given, granted] of [
        [{}, "3600"],
        [{ default_expires: 120 }, "120"],
      ] as const) {
        const { another } = await openScene(context, given)
        const response = await (await another("bob")).subscribe(named("reg", "application/reginfo+xml"))
        assert.equal(response.header("expires"), granted)
      }
    },
  )

  it(
    "an ended publication is shown closed once, or is gone",
    { tags: ["OPS-generate_offline_body"] },
    async (context) => {
      for (const [generate_offline_body, shown] of [
        [true, /<basic>closed<\/basic>/],
        [false, /^$/],
      ] as const) {
        const { another } = await openScene(context, { generate_offline_body })
        const alice = await another("alice")
        const published = await alice.publish({ Expires: "60" }, phoneOpen)
        const watcher = await another("bob")
        await watcher.subscribe({ Expires: "60" })
        await watcher.notified({ state: "active", body: phoneOpen })
        await alice.publish({ Expires: "0", "SIP-If-Match": published.header("sip-etag") ?? "" })
        const notify = await watcher.notify()
        answer(watcher.phone, notify)
        assert.match(notify.raw.body.toString(), shown)
      }
    },
  )

  it(
    "with nothing published NOTIFY has a closed tuple, or no body",
    { tags: ["OPS-notify_offline_body"] },
    async (context) => {
      for (const [notify_offline_body, shown] of [
        [true, /<basic>closed<\/basic>/],
        [false, /^$/],
      ] as const) {
        const { another } = await openScene(context, { notify_offline_body })
        const watcher = await another("bob")
        await watcher.subscribe({ Expires: "60" })
        const notify = await watcher.notify()
        answer(watcher.phone, notify)
        assert.match(notify.raw.body.toString(), shown)
      }
    },
  )

  it(
    "whoever does not refresh is told of the end, or not",
    { tags: ["OPS-call_info_timeout_notification", "OPS-line_seize_timeout_notification"] },
    async (context) => {
      const line = { "Call-Info": "<sip:alice@example.com>;appearance-index=1" }
      for (const [name, headers] of [
        ["call_info_timeout_notification", { Event: "call-info" }],
        ["line_seize_timeout_notification", { Event: "line-seize", ...line }],
      ] as const) {
        for (const isTold of [true, false]) {
          const { another } = await openScene(context, { [name]: isTold })
          const watcher = await another("bob")
          assert.equal((await watcher.subscribe({ ...headers, Accept: null, Expires: "1" })).raw.status, 200)
          answer(watcher.phone, await watcher.notify())
          if (!isTold) await watcher.phone.hearsNothing(1_500)
          else {
            const last = await watcher.notify()
            answer(watcher.phone, last)
            assert.equal(last.header("subscription-state"), "terminated;reason=timeout")
          }
        }
      }
    },
  )

  it("0 and less are taken, and what that means here is said", { tags: ["OPS-db_update_period"] }, () => {
    for (const [value, count] of [
      ["-1", 1],
      ["0", 1],
      ["1", 0],
    ] as const) {
      const set = [`db_update_period=${value}`]
      const { notices } = readConfig({ flags: {}, set, env: {}, file: null, defaults: { memory: true } })
      assert.equal(notices.length, count)
      if (count > 0) {
        assert.equal(
          notices[0],
          `db_update_period = ${value} (flag --set): the tables are written at the stop and every db_update_decisions changes; ` +
            "subscriptions end at their own deadline all the same",
        )
      }
    }
  })
})

describe("settings that change nothing", () => {
  const noticesOf = (name: string, value: string): readonly string[] =>
    readConfig({ flags: {}, set: [`${name}=${value}`], env: {}, file: null, defaults: { memory: true } })
      .notices

  const hashes = "tables in memory grow by themselves"
  const script = "there is no script to call; as_feature_event = 1 serves the package"
  const documents =
    "documents of an XCAP server come from its table (integrated_xcap_server) or a folder (rules_dir)"
  const idle = [
    ["OPS-fallback2db", "0", "the log is always the truth and always consulted"],
    ["OPS-clean_period", "60", "everything ends at its own deadline, no sweep is needed"],
    ["OPS-subs_htable_size", "12", hashes],
    ["OPS-pres_htable_size", "12", hashes],
    ["OPS-line_hash_size", "128", hashes],
    ["OPS-xcap_server", "http://xcap.example.com/xcap-root", documents],
    ["OPS-pres_rules_filename", "rules.xml", documents],
    ["OPS-aggregate_presentities", "1", "a NOTIFY of reg always holds the registrations of all publications"],
    ["OPS-disable_dialog_support_for_sca", "1", "this server handles no calls; appearances are published"],
    ["OPS-get_route", "dfks_get", script],
    ["OPS-set_route", "dfks_set", script],
  ] as const

  it.for(idle)("%s: %s is taken and said to change nothing: %s", ([id, value, why]) => {
    const name = id.slice("OPS-".length)
    assert.deepEqual(noticesOf(name, value), [`${name} (flag --set) changes nothing: ${why}`])
  })

  const cluster: Readonly<Record<string, string>> = {
    cluster_federation_mode: "full-sharing",
    cluster_pres_events: "presence",
    cluster_be_active_shtag: "vip",
  }
  const others = (Object.keys(settings) as SettingName[]).filter(
    (name) => settings[name].idle !== undefined && !idle.some(([id]) => id === `OPS-${name}`),
  )

  it("those of a cluster, and no others", { tags: ["OPS-notices"] }, () => {
    for (const name of others) {
      assert.match(name, /^cluster_/)
      assert.ok(
        noticesOf(name, cluster[name] ?? "1")[0]?.startsWith(`${name} (flag --set) changes nothing: `),
      )
    }
  })

  it(
    "whatever they say, one node serves every package by itself; what cannot be ends the start",
    { tags: ["OPS-cluster_id", "OPS-cluster_pres_events"] },
    async (context) => {
      for (const cluster_pres_events of [[], ["dialog"], ["presence", "dialog"]]) {
        const settings = {
          cluster_id: 7,
          cluster_federation_mode: "full-sharing",
          cluster_pres_events,
        } as const
        const { another, publish } = await openScene(context, settings)
        const bob = await another("bob")
        assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
        await bob.notified({ state: "active", body: null })
        await publish(phoneOpen)
        await bob.notified({ state: "active", body: phoneOpen })
      }
      await assert.rejects(startPresence({ cluster_pres_events: ["presence", "prezence"] }), ({ faults }) => {
        assert.match(
          String(faults),
          /^cluster_pres_events = prezence \(default\): expected one of (?=.*\bpresence\b)(?=.*\bdialog\b)[a-z;. -]+$/,
        )
        return true
      })
      const ofId = (value: string) => () =>
        readConfig({
          flags: {},
          set: [`cluster_id=${value}`],
          env: {},
          file: null,
          defaults: { memory: true },
        })
      assert.deepEqual(ofId("7")().cluster_id, 7)
      for (const wrong of ["-1", "2147483648", "one"]) assert.throws(ofId(wrong), /cluster_id/)
    },
  )

  it(
    "the spellings of old scripts are taken: 0 and less, 0 and 1",
    { tags: ["OPS-clean_period", "OPS-cluster_federation_mode"] },
    () => {
      for (const pair of [
        "clean_period=0",
        "clean_period=-1",
        "cluster_federation_mode=0",
        "cluster_federation_mode=1",
      ]) {
        const { notices } = readConfig({ flags: {}, set: [pair], env: {}, file: null, defaults: {} })
        assert.equal(notices.length, 1, pair)
      }
    },
  )
})
