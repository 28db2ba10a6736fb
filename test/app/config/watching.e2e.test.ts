/**
 * Who may watch packages other than presence: rules, lists, what a start with other settings does, and how all that is told.
 */
import assert from "node:assert/strict"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { userLine } from "../../../src/app/config/users.ts"
import { Presence } from "../../../src/app/index.ts"
import type { MakeOptions } from "../../../src/app/index.ts"
import { startPostgres } from "../../support/postgres.ts"
import { handling, rule, ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openScene, phoneOpen } from "../../support/scene.ts"
import type { Call } from "../../support/scene.ts"
import { startPresence } from "../../support/server.ts"
import { answer, openPhone, script } from "../../support/sip-client.ts"
import { usersFile } from "../../support/users.ts"
import { patient, run, start } from "../cli/command.ts"

const cluster = await startPostgres()
afterAll(() => cluster?.remove())

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"
const carol = "sip:carol@example.com"

const call = (note: string): string =>
  `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${alice}"><dialog id="d"><state>confirmed</state><remote><identity>sip:${note}@example.net</identity></remote></dialog></dialog-info>`

const lamp = { Event: "dialog", Accept: "application/dialog-info+xml", Expires: "600" }

/** The next NOTIFY of a call: its state, and what it says of whom. */
const told = async (one: Call): Promise<string> => {
  const notify = await one.notify()
  answer(one.phone, notify)
  const state = (notify.header("subscription-state") ?? "").replace(/;expires=\d+/, "")
  const [, who = ""] = /sip:(\w+)@example\.net/.exec(notify.raw.body.toString("utf8")) ?? []
  return `${state} ${who}`.trim()
}

const publishCall = async (scene: { another: (user: string) => Promise<Call> }, note: string) => {
  const phone = await scene.another("alice")
  const { raw } = await phone.publish(
    { Event: "dialog", Expires: "600", "Content-Type": "application/dialog-info+xml" },
    call(note),
  )
  assert.equal(raw.status, 200)
}

const put = async (admin: string, query: string, text: string): Promise<number> => {
  const url = `${admin}/v1/presentities/${encodeURIComponent(alice)}/rules?${query}`
  return (await fetch(url, { method: "PUT", body: text, headers: { "content-type": "application/xml" } }))
    .status
}

describe("rules of any package", () => {
  it(
    "block, confirm, polite-block and allow of dialog, at once for those who watch; transformations leave everything",
    { tags: ["AUT-13"] },
    async (context) => {
      const scene = await openScene(context, {
        policy: "rules",
        watch_policy: ["dialog=rules"],
        admin: "127.0.0.1:0",
      })
      const { admin } = scene.server
      await publishCall(scene, "secret")
      const lamps = new Map<string, Call>()
      for (const user of ["bob", "carol", "dave", "erin"]) {
        const one = await scene.another(user)
        assert.equal((await one.subscribe(lamp)).raw.status, 202)
        assert.equal(await told(one), "pending")
        lamps.set(user, one)
      }
      const rules = ruleset(
        ruleFor(bob, "allow", "") +
          ruleFor(carol, "block") +
          ruleFor("sip:dave@example.com", "polite-block") +
          ruleFor("sip:erin@example.com", "confirm"),
      )
      assert.equal(await put(admin!, "package=dialog", rules), 204)
      assert.equal(await told(lamps.get("bob")!), "active secret")
      assert.equal(await told(lamps.get("carol")!), "terminated;reason=rejected")
      assert.equal(await told(lamps.get("dave")!), "active")
      const refused = await scene.another("carol")
      assert.equal((await refused.subscribe(lamp)).raw.status, 403)
      // of another package nothing is said
      const presence = await scene.another("bob")
      assert.equal((await presence.subscribe({ Expires: "600" })).raw.status, 202)
      await publishCall(scene, "other")
      assert.match(await told(lamps.get("bob")!), /^active /)
      assert.equal(await put(admin!, "event=dialog", ruleset("<rule/>")), 409)
      assert.equal(await put(admin!, "package=nonsense", rules), 409)
    },
  )

  it(
    "the sphere that rules of dialog ask for is the one published in presence",
    { tags: ["AUT-13", "AUT-4"] },
    async (context) => {
      const scene = await openScene(context, {
        policy: "rules",
        watch_policy: ["dialog=rules"],
        enable_sphere_check: 1,
        admin: "127.0.0.1:0",
      })
      await publishCall(scene, "secret")
      const rules = ruleset(
        rule("work", `<identity><many/></identity><sphere value="work"/>`, handling("allow")),
      )
      assert.equal(await put(scene.server.admin!, "package=dialog", rules), 204)
      const one = await scene.another("bob")
      assert.equal((await one.subscribe(lamp)).raw.status, 403)
      const sphere = (value: string): string =>
        `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" entity="${alice}"><dm:person id="p"><r:sphere><r:${value}/></r:sphere></dm:person></presence>`
      await scene.publish(sphere("work"))
      assert.equal((await one.subscribe(lamp)).raw.status, 200)
      assert.equal(await told(one), "active secret")
      await scene.publish(sphere("home"))
      assert.equal(await told(one), "terminated;reason=rejected")
    },
  )

  it(
    "a list of watchers by rules: block and polite-block are refused, and a rule for presence says nothing of it",
    { tags: ["AUT-13"] },
    async (context) => {
      const scene = await openScene(context, {
        policy: "rules",
        watch_policy: ["dialog.winfo=rules"],
        admin: "127.0.0.1:0",
      })
      const winfo = { Event: "dialog.winfo", Accept: "application/watcherinfo+xml", Expires: "600" }
      const rules = ruleset(ruleFor(bob, "allow") + ruleFor(carol, "polite-block"))
      assert.equal(await put(scene.server.admin!, "package=dialog.winfo", rules), 204)
      const statuses = []
      for (const user of ["bob", "carol", "alice"])
        statuses.push((await (await scene.another(user)).subscribe(winfo)).raw.status)
      assert.deepEqual(statuses, [200, 403, 403])
    },
  )

  it("members of a line and owners of a mailbox", { tags: ["AUT-13"] }, async (context) => {
    const scene = await openScene(context, {
      policy: "rules",
      line_members: [`${alice}=${bob}|sip:eve@elsewhere.test`],
      mailbox_owners: [`${alice}=${carol}`],
    })
    const statuses = []
    for (const user of ["alice", "bob", "carol"]) {
      for (const event of ["dialog", "call-info", "message-summary", "message-summary.winfo", "reg"]) {
        const one = await scene.another(user)
        statuses.push([
          user,
          event,
          (await one.subscribe({ Event: event, Accept: null, Expires: "60" })).raw.status,
        ])
      }
    }
    const refused = statuses
      .filter(([, , status]) => status === 403)
      .map(([user, event]) => `${user} ${event}`)
    assert.deepEqual(refused, [
      "bob message-summary",
      "bob message-summary.winfo",
      "bob reg",
      "carol dialog",
      "carol call-info",
      "carol reg",
    ])
    // a list narrows, it lets nobody in from elsewhere
    const eve = await scene.another("eve")
    const from = `<sip:eve@elsewhere.test>;tag=${eve.fromTag}`
    assert.equal((await eve.subscribe({ ...lamp, From: from })).raw.status, 403)
  })
})

describe("a program", () => {
  const begin = async ({ onTestFinished }: TestContext, options: MakeOptions) => {
    const presence = await Presence.make(options)
    onTestFinished(() => presence.close())
    return presence
  }
  const statusOf = async (asked: Promise<unknown>): Promise<number> =>
    asked.then(
      () => 200,
      (refusal: { readonly status: number }) => refusal.status,
    )

  it(
    "asks policies when it is told to, and its own authorize before them",
    { tags: ["LIB-1", "AUT-13"] },
    async (context) => {
      const open = await begin(context, {})
      const judged = await begin(context, {
        watching: { mailboxOwners: { "alice@example.com": [carol] }, policies: { reg: "domain" } },
      })
      const own = await begin(context, {
        watching: {},
        authorize: ({ watcher }) => (watcher === bob ? "allow" : null),
      })
      const statuses = async (presence: Presence) => {
        const found = []
        for (const event of ["message-summary", "reg", "dialog"] as const)
          for (const watcher of [bob, carol, "sip:eve@elsewhere.test"])
            found.push(await statusOf(presence.fetch({ presentity: alice, watcher, event })))
        return found
      }
      assert.deepEqual(
        await statuses(open),
        Array.from({ length: 9 }, () => 200),
      )
      assert.deepEqual(await statuses(judged), [403, 200, 403, 200, 200, 403, 200, 200, 403])
      assert.deepEqual(await statuses(own), [200, 403, 403, 200, 403, 403, 200, 200, 403])
      await assert.rejects(
        Presence.make({ watching: { policies: { dialogue: "owner" } } }),
        /watching\.policies: dialogue=owner: there is no event package dialogue; did you mean dialog\?/,
      )
    },
  )

  it("rules of any package, from the source and set", { tags: ["LIB-1", "AUT-13"] }, async (context) => {
    const presence = await begin(context, {
      watching: { policies: { dialog: "rules" } },
      rules: (_, event) => (event === "dialog" ? ruleset(ruleFor(bob, "allow")) : null),
    })
    assert.equal(await statusOf(presence.fetch({ presentity: alice, watcher: bob, event: "dialog" })), 200)
    assert.equal(await statusOf(presence.fetch({ presentity: alice, watcher: carol, event: "dialog" })), 403)
    await presence.setRules(alice, ruleset(ruleFor(bob, "allow")), "reg")
    assert.equal(await statusOf(presence.fetch({ presentity: alice, watcher: bob, event: "reg" })), 403)
  })

  const reginfo = `<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"/>`

  it("why names the policy", { tags: ["A3", "AUT-13"] }, async (context) => {
    const presence = await begin(context, { watching: {} })
    await presence.publish({ presentity: alice, event: "message-summary", body: "Messages-Waiting: yes\r\n" })
    const { text } = await presence.why(alice, bob, { event: "message-summary" })
    assert.match(
      text,
      /policy {4}the policy owner of package message-summary is for the presentity itself and those that mailbox_owners lists with it \(the package's own, watch_policy can say otherwise\)$/m,
    )
    const set = await begin(context, {
      watching: {
        policies: { "*@example.com": "owner", "reg@example.com": "domain" },
        mailboxOwners: { [alice]: [carol] },
      },
    })
    await set.publish({ presentity: alice, event: "message-summary", body: "Messages-Waiting: yes\r\n" })
    const listed = await set.why(alice, bob, { event: "message-summary" })
    assert.match(
      listed.text,
      /\(watch_policy = \*@example\.com=owner; mailbox_owners = sip:alice@example\.com=sip:carol@example\.com\)$/m,
    )
    await set.publish({ presentity: alice, event: "reg", body: reginfo })
    const domain = await set.why(alice, "sip:eve@elsewhere.test", { event: "reg" })
    assert.match(
      domain.text,
      /the policy domain of package reg is for identities of the same domain \(watch_policy = reg@example\.com=domain\)$/m,
    )
  })

  it(
    "why tells who is shown nothing and by whose word, though nothing was published",
    { tags: ["A3", "AUT-13"] },
    async (context) => {
      const presence = await begin(context, { watching: {} })
      const nothing = await presence.why(alice, bob)
      assert.match(nothing.text, /was told of nothing: nothing that presence of/)
      await presence.watch({ presentity: alice, watcher: bob, expires: 600 })
      await presence.settle()
      const pending = await presence.why(alice, bob)
      assert.equal(pending.change, null)
      assert.match(
        pending.sentence,
        /^sip:bob@example\.com is shown nothing of presence of sip:alice@example\.com\. Since .* \(position 1\) its subscription is pending: nobody has decided whether it may watch\.$/,
      )
      assert.match(pending.policy.join("\n"), /the presentity has no rules: no_rules = confirm/)
      assert.match(pending.advice.join("\n"), /^presently rules put sip:alice@example\.com FILE with a rule/)

      await presence.watch({ presentity: alice, watcher: bob, event: "dialog", expires: 600 })
      await presence.terminate({ presentity: alice, event: "dialog", watcher: bob, reason: "noresource" })
      await presence.settle()
      const ended = await presence.why(alice, bob, { event: "dialog" })
      assert.match(ended.sentence, /Since .* its subscription was ended by the operator \(noresource\)\.$/)
      assert.match(
        ended.facts.join("\n"),
        /^ended {5}position \d+, .*: #\d+ its subscription was ended by the operator/,
      )

      // told of a change before, and not any more
      await presence.setRules(alice, ruleset(ruleFor(bob, "allow")))
      await presence.publish({ presentity: alice, body: phoneOpen })
      await presence.settle()
      const told = await presence.why(alice, bob)
      assert.match(told.sentence, /told (?:yet )?of the change at .*\.$/)
      await presence.terminate({ presentity: alice, event: "presence", watcher: bob, reason: "deactivated" })
      await presence.settle()
      const later = await presence.why(alice, bob)
      assert.match(
        later.sentence,
        /told (?:yet )?of the change at .*\. Since .* its subscription was ended by the operator \(deactivated\)\.$/,
      )
      // and a position is explained as it stands there
      const { position } = told.change as { readonly position: number }
      const again = await presence.why(alice, bob, { position })
      assert.deepEqual([again.change, again.treatment], [told.change, null])
      const first = await presence.why(alice, bob, { position: 1 })
      assert.match(first.sentence, /\(position 1\) its subscription is pending/)
    },
  )
})

describe.skipIf(cluster === null)("a log that is older than policies", () => {
  it(
    "doctor names who is ended and how to keep them, serve says it before it does, history and why say which policy",
    { ...patient, tags: ["AUT-13", "CLI"] },
    async (context) => {
      const url = cluster!.database()
      const open = await startPresence({ memory: false, database_url: url, domain: ["example.com"] })
      const phone = await openPhone(open, "udp")
      context.onTestFinished(() => phone.close())
      const voice = { Event: "message-summary", Accept: null, Expires: "600" }
      const one = Object.assign(script(phone, { user: "bob" }), { phone })
      assert.equal((await one.subscribe(voice)).raw.status, 200)
      answer(phone, await one.notify())
      await open.stop()

      const users = usersFile(context, userLine("alice", "example.com", "wonder", "SHA-256"))
      const flags = ["--database-url", url, "--domain", "example.com", "--users-file", users]
      const more = ["--listen", "udp:127.0.0.1:0", "--admin", "off"]
      const line = (verb: string): string =>
        `1 subscription of message-summary ${verb}: ${bob} to ${alice} (policy owner); watch_policy = message-summary=domain keeps them`
      const ill = await run(["doctor", ...flags, ...more])
      assert.ok(ill.stdout.includes(`warn  watchers: ${line("will be ended by the next start")}`), ill.stdout)
      assert.ok(ill.stdout.includes("ok    watching dialog: domain (its own)"), ill.stdout)
      const well = await run(["doctor", ...flags, ...more, "--set", "watch_policy=*=everybody"])
      assert.ok(
        well.stdout.includes("ok    watchers: nobody who watches is treated differently"),
        well.stdout,
      )
      assert.ok(well.stdout.includes("ok    watching message-summary: everybody (watch_policy)"), well.stdout)

      const server = start(["serve", ...flags, ...more, "--set", "log=json"])
      const said = await server.says(/ready in/)
      assert.ok(said.includes(line("is ended")), said)
      assert.ok(said.indexOf(line("is ended")) < said.indexOf("ready in"))
      assert.match(said, /"watching":"rules: presence \| domain: dialog, /)
      const ended = await one.notify()
      answer(phone, ended)
      assert.equal(ended.header("subscription-state"), "terminated;reason=rejected")
      assert.equal(ended.raw.body.length, 0)
      server.signal("SIGTERM")
      await server.ended

      const after = await run(["doctor", ...flags, ...more])
      assert.ok(
        after.stdout.includes("ok    watchers: nobody who watches is treated differently"),
        after.stdout,
      )
      const history = await run(["history", alice, "--database-url", url])
      assert.match(history.stdout, /SubscriptionTerminated +#1 +rejected +by policy owner/)
      const why = await run([
        "why",
        alice,
        "--watcher",
        bob,
        "--event",
        "message-summary",
        ...flags.slice(0, 2),
      ])
      assert.match(
        why.stdout,
        /Since .* its subscription was ended because it may not watch any more by the policy owner of package message-summary/,
      )
      assert.equal(why.code, 0, why.stderr)
      assert.equal((await run(["verify", "--database-url", url])).code, 0)
      // the same decisions with the same settings
      const drift = await run(["verify", "--drift", ...flags])
      assert.ok(!drift.stdout.includes("ApplyPolicies"), drift.stdout)
    },
  )
})
