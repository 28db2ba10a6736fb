/**
 * Trusted peers over real sockets: a real Kamailio as docs/behind-a-proxy.md configures it, with and without
 * P-Asserted-Identity, and publishing calls; and peers and strangers that say what they like.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import type { Message } from "../../src/app/client/wire.ts"
import { userLine } from "../../src/app/config/users.ts"
import { afterReading, read } from "../support/dialog-info.ts"
import type { ReaderTable } from "../support/dialog-info.ts"
import { noKamailioProxy, startKamailioProxy } from "../support/kamailio-proxy.ts"
import type { KamailioProxy, ProxyOptions } from "../support/kamailio-proxy.ts"
import { freePort } from "../support/postgres.ts"
import { ruleFor, ruleset } from "../support/rules-builders.ts"
import { openScene, phoneOpen, toldOfWatchers, winfo } from "../support/scene.ts"
import type { Call, Scene, SceneSettings } from "../support/scene.ts"
import { answer, openPhone, script } from "../support/sip-client.ts"
import type { Headers, Phone } from "../support/sip-client.ts"
import { usersFile } from "../support/users.ts"

const proxyAddress = "127.0.0.20"
const lampHeaders = { Event: "dialog", Accept: "application/dialog-info+xml", Expires: "600" }

interface Behind extends Scene {
  readonly proxy: KamailioProxy
  /** A phone that talks to the proxy. */
  readonly phone: () => Promise<Phone>
  /** A call of that user on a phone of its own, through the proxy. */
  readonly user: (name: string) => Promise<Call>
  /** Sends through the proxy, and answers its challenge. */
  readonly ask: (call: Call, method: string, headers?: Headers, body?: string) => Promise<Message>
}

const behind = async (
  context: TestContext,
  settings: SceneSettings,
  more: Pick<ProxyOptions, "edit" | "calls" | "port"> = {},
): Promise<Behind> => {
  const scene = await openScene(context, { admin: "127.0.0.1:0", ...settings })
  // Alice lets Bob watch, and nobody else
  assert.equal(await scene.rules(ruleset(ruleFor("sip:bob@example.com", "allow"))), 204)
  const proxy = await startKamailioProxy(context, {
    address: proxyAddress,
    presently: `127.0.0.1:${scene.server.udpPort}`,
    users: { alice: "secret-alice", bob: "secret-bob", carol: "secret-carol" },
    ...more,
  })
  const phone = async (): Promise<Phone> => {
    const one = await openPhone({ portOf: () => proxy.port }, "udp", { to: proxyAddress })
    context.onTestFinished(() => one.close())
    return one
  }
  const user = async (name: string): Promise<Call> => {
    const one = await phone()
    return Object.assign(script(one, { user: name }), { phone: one })
  }
  return {
    ...scene,
    proxy,
    phone,
    user,
    ask: async (call, method, headers = {}, body = "") => {
      const send = (more: Headers): Promise<Message> =>
        method === "SUBSCRIBE"
          ? call.subscribe({ ...headers, ...more }, body)
          : call.ask(method, { ...headers, ...more }, body)
      const first = await send({})
      if (first.raw.status !== 407) return first
      const challenge = challengeOf({
        ...first,
        headers: () => first.headers("proxy-authenticate"),
      })
      assert.ok(challenge !== null, "a challenge")
      const name = /^<sip:(\w+)@/.exec(call.write("OPTIONS").match(/^From: (.*)$/m)?.[1] ?? "")?.[1] ?? ""
      const credentials = { user: name, password: `secret-${name}` }
      return send({ "Proxy-Authorization": authorize(challenge, credentials, method, call.target) })
    },
  }
}

const routeOf = (response: Message): Headers => ({ Route: response.headers("record-route") })

describe.skipIf(noKamailioProxy !== null)("a Kamailio in front, as docs/behind-a-proxy.md shows it", () => {
  it(
    "with P-Asserted-Identity each is who he is: watches what he may, publishes for himself, and owns his watcher list",
    { tags: ["OPS-trusted_peers", "3325-5-a", "T4", "T14"], timeout: 60_000 },
    async (context) => {
      const { user, ask, another } = await behind(context, {
        trusted_peers: [`${proxyAddress};identity=pai`],
      })
      const [alice, bob, carol] = [await user("alice"), await user("bob"), await user("carol")]
      const owner = await user("alice")
      assert.equal((await ask(owner, "SUBSCRIBE", { ...winfo, Expires: "600" })).raw.status, 200)
      assert.deepEqual((await toldOfWatchers(owner)).rows, [])
      const subscribed = await ask(bob, "SUBSCRIBE", { Expires: "600" })
      assert.equal(subscribed.raw.status, 200)
      await bob.notified({ state: "active" })
      assert.deepEqual((await toldOfWatchers(owner)).rows, ["sip:bob@example.com active subscribe"])
      assert.equal((await ask(alice, "PUBLISH", { Expires: "600" }, phoneOpen)).raw.status, 200)
      await bob.notified({ state: "active", body: phoneOpen })
      // within the dialog the proxy says nobody's name, and the lamp goes on
      assert.equal((await bob.subscribe({ Expires: "600", ...routeOf(subscribed) })).raw.status, 200)
      await bob.notified({ state: "active", body: phoneOpen })
      assert.equal((await ask(carol, "SUBSCRIBE", { Expires: "600" })).raw.status, 403)
      // what a phone writes itself is not what the proxy says
      const forged = { "P-Asserted-Identity": "<sip:alice@example.com>" }
      assert.equal((await ask(await user("bob"), "SUBSCRIBE", { ...winfo, ...forged })).raw.status, 403)
      // this the proxy finds out already: To is not who authenticated
      assert.equal((await ask(await user("bob"), "PUBLISH", forged, phoneOpen)).raw.status, 407)
      // nobody else is served
      const direct = await another("bob")
      const refused = await direct.subscribe({ Expires: "600" })
      assert.deepEqual([refused.raw.status, refused.header("www-authenticate")], [403, null])
      assert.equal((await direct.ask("OPTIONS")).raw.status, 200)
    },
  )

  it(
    "a watcher whose phone writes Privacy: id is let in by name and shown to others without",
    { tags: ["3325-9.3-a"], timeout: 60_000 },
    async (context) => {
      const { user, ask } = await behind(context, { trusted_peers: [`${proxyAddress};identity=pai`] })
      const [owner, bob] = [await user("alice"), await user("bob")]
      assert.equal((await ask(owner, "SUBSCRIBE", { ...winfo, Expires: "600" })).raw.status, 200)
      await toldOfWatchers(owner)
      const subscribed = await ask(bob, "SUBSCRIBE", { Expires: "600", Privacy: "id" })
      assert.equal(subscribed.raw.status, 200)
      await bob.notified({ state: "active" })
      const nobody = "sip:anonymous@anonymous.invalid"
      assert.deepEqual((await toldOfWatchers(owner)).rows, [`${nobody} active subscribe`])
      await bob.subscribe({ Expires: "0", ...routeOf(subscribed) })
      await bob.notified({ state: "terminated;reason=timeout" })
      assert.deepEqual((await toldOfWatchers(owner)).rows, [`${nobody} terminated timeout`])
    },
  )

  it(
    "without P-Asserted-Identity nobody is anybody, whatever From says; with identity=from From counts",
    { tags: ["OPS-trusted_peers", "3325-5-a", "T4", "T14"], timeout: 90_000 },
    async (context) => {
      const silent = (text: string): string => text.replace(/^ *append_hf.*$/m, "")
      for (const [identity, watches, owns, publishes] of [
        ["pai", 403, 403, 403],
        ["none", 403, 403, 403],
        ["from", 200, 200, 200],
      ] as const) {
        const { user, ask } = await behind(
          context,
          { trusted_peers: [`${proxyAddress};identity=${identity}`] },
          { edit: silent },
        )
        const statuses = [
          await ask(await user("bob"), "SUBSCRIBE", { Expires: "0" }),
          await ask(await user("alice"), "SUBSCRIBE", { ...winfo, Expires: "0" }),
          await ask(await user("alice"), "PUBLISH", { Expires: "60" }, phoneOpen),
        ].map(({ raw }) => raw.status)
        assert.deepEqual(statuses, [watches, owns, publishes], identity)
      }
    },
  )

  it(
    "pua_dialoginfo lights a lamp by publishes_for, and shows in presence (mix_dialog_presence); without, it does not",
    { tags: ["OPS-trusted_peers"], timeout: 120_000 },
    async (context) => {
      for (const speaks of [true, false]) {
        // the phone that is called: the proxy sends calls there
        const port = await freePort()
        const callee = await openPhone({ portOf: () => port }, "udp", { to: proxyAddress })
        context.onTestFinished(() => callee.close())
        const said = speaks ? ";publishes_for=example.com" : ""
        const { user, ask, server } = await behind(
          context,
          {
            trusted_peers: [`${proxyAddress};identity=pai${said}`],
            mix_dialog_presence: true,
          },
          { calls: callee.address, port },
        )
        const [lamp, friend, caller] = [await user("bob"), await user("bob"), await user("carol")]
        let table: ReaderTable = new Map()
        const states = (): readonly (string | undefined)[] =>
          [...table.values()].map((text) => /confirmed|early|trying|terminated/.exec(text)?.[0])
        const next = async (): Promise<void> => {
          const notify = await lamp.notify()
          answer(lamp.phone, notify)
          table = afterReading(table, read(notify.raw.body.toString("utf8")))
        }
        assert.equal((await ask(lamp, "SUBSCRIBE", lampHeaders)).raw.status, 200)
        await next()
        assert.equal((await ask(friend, "SUBSCRIBE", { Expires: "600" })).raw.status, 200)
        await friend.notified({ state: "active" })

        const contact = { Contact: `<sip:carol@${caller.phone.address}>` }
        caller.phone.send(caller.write("INVITE", contact))
        const invite = await callee.next(({ raw }) => raw.isRequest && raw.method === "INVITE")
        const answered = (status: string): void =>
          answer(callee, invite, status, {
            To: `${invite.raw.to};tag=callee`,
            "Record-Route": invite.headers("record-route"),
            Contact: `<sip:alice@${callee.address}>`,
          })
        answered("180 Ringing")
        if (speaks) {
          while (!states().includes("early")) await next()
          answered("200 OK")
          const ok = await caller.phone.next(({ raw }) => raw.status === 200 && raw.method === "INVITE")
          const within = {
            To: ok.raw.to,
            Route: ok.headers("record-route").toReversed(),
          }
          caller.phone.send(
            caller.write("ACK", { ...within, CSeq: "1 ACK" }, "", `sip:alice@${callee.address}`),
          )
          while (!states().includes("confirmed")) await next()
          let shown = ""
          while (!shown.includes("on-the-phone")) {
            const notify = await friend.notify()
            answer(friend.phone, notify)
            shown = notify.raw.body.toString("utf8")
          }
          // and the end of the call puts it out
          caller.phone.send(caller.write("BYE", within, "", `sip:alice@${callee.address}`))
          const bye = await callee.next(({ raw }) => raw.isRequest && raw.method === "BYE")
          answer(callee, bye)
          while (states().includes("confirmed")) await next()
        } else {
          const refused = /^presently_sip_peer_requests_total\{what="refused"\} ([1-9]\d*)$/m
          let metrics = ""
          while (!refused.test(metrics)) {
            metrics = await (await fetch(`${server.admin}/metrics`)).text()
            await new Promise((done) => setTimeout(done, 50))
          }
          assert.match(metrics, /^presently_sip_requests_total\{method="PUBLISH",status="403"\} [1-9]/m)
          await lamp.phone.hearsNothing()
          answered("486 Busy Here")
        }
      }
    },
  )
})

describe("peers and strangers that say what they like", () => {
  /** A call whose messages come from that address. */
  const from = async (
    context: TestContext,
    { server }: Scene,
    own: string,
    user: string,
    transport: "udp" | "tcp" = "udp",
  ): Promise<Call> => {
    const phone = await openPhone(server, transport, { own })
    context.onTestFinished(() => phone.close())
    return Object.assign(script(phone, { user }), { phone })
  }
  const pai = { "P-Asserted-Identity": "<sip:bob@example.com>" }

  it(
    "a datagram with the peer's source and somebody else's Contact gets nothing, with users and without",
    { tags: ["3261-8.2.7-a", "T4"] },
    async (context) => {
      const users_file = usersFile(context, userLine("bob", "example.com", "secret", "SHA-256"))
      for (const [settings, status] of [
        [{}, 403],
        [{ users_file }, 401],
      ] as const) {
        const scene = await openScene(context, { policy: "open", trusted_peers: [proxyAddress], ...settings })
        const victim = await from(context, scene, "127.0.0.9", "victim")
        const aimed = { ...pai, Expires: "600", Contact: `<sip:v@${victim.phone.address}>` }
        for (const more of [
          {},
          { "Record-Route": `<sip:${victim.phone.address};lr>` },
          { "Record-Route": `<sip:${victim.phone.address};lr>, <sip:${proxyAddress};lr>` },
          { Contact: `<sip:v@${proxyAddress};maddr=127.0.0.9>` },
        ]) {
          const forger = await from(context, scene, proxyAddress, "alice")
          assert.equal((await forger.subscribe({ ...aimed, ...more })).raw.status, status)
        }
        await victim.phone.hearsNothing()
        // the source of a connection is proven
        const proxy = await from(context, scene, proxyAddress, "alice", "tcp")
        assert.equal((await proxy.subscribe({ ...pai, Expires: "600" })).raw.status, 200)
        await proxy.notified({ state: "active" })
      }
    },
  )

  it(
    "networks and the narrowest entry decide on the wire as they read",
    { tags: ["OPS-trusted_peers"] },
    async (context) => {
      const scene = await openScene(context, {
        policy: "open",
        trusted_peers: ["127.0.0.16/28", "127.0.0.21;identity=none", "127.0.0.22;transport=tcp"],
      })
      const statusOf = async (
        own: string,
        event: string,
        transport: "udp" | "tcp" = "udp",
      ): Promise<number> =>
        (
          await (
            await from(context, scene, own, "alice", transport)
          ).subscribe({
            "P-Asserted-Identity": "<sip:alice@example.com>",
            Event: event,
            Accept: null,
            Expires: "0",
          })
        ).raw.status
      assert.equal(await statusOf("127.0.0.20", "presence.winfo"), 200)
      assert.equal(await statusOf("127.0.0.31", "presence.winfo"), 200)
      assert.equal(await statusOf("127.0.0.32", "presence"), 403)
      assert.equal(await statusOf("127.0.0.21", "presence.winfo"), 403)
      assert.equal(await statusOf("127.0.0.21", "presence"), 200)
      assert.equal(await statusOf("127.0.0.22", "presence"), 403)
      assert.equal(await statusOf("127.0.0.22", "presence.winfo", "tcp"), 200)
    },
  )

  it(
    "what a peer may publish for, it may in each of the four ways, and nobody it may not in any",
    { tags: ["3903-6-a", "T14"] },
    async (context) => {
      const scene = await openScene(context, {
        policy: "open",
        trusted_peers: [`${proxyAddress};publishes_for=sip:alice@example.com`],
      })
      const pbx = await from(context, scene, proxyAddress, "pbx")
      const created = await pbx.publish({ Expires: "600" }, phoneOpen)
      assert.equal(created.raw.status, 200)
      const etag = (one: Message): Headers => ({ "SIP-If-Match": one.header("sip-etag")! })
      const modified = await pbx.publish({ ...etag(created), Expires: "600" }, phoneOpen)
      const others: Headers = { ...pai, ...etag(modified) }
      for (const [headers, body] of [
        [{ ...others, Expires: "600" }, phoneOpen],
        [{ ...others, Expires: "600" }, ""],
        [{ ...others, Expires: "0" }, ""],
        [pai, phoneOpen],
      ] as const)
        assert.equal((await pbx.publish(headers, body)).raw.status, 403)
      const refreshed = await pbx.publish({ ...etag(modified), Expires: "600" })
      assert.equal(refreshed.raw.status, 200)
      assert.equal((await pbx.publish({ ...etag(refreshed), Expires: "0" })).raw.status, 200)
      const lab = await pbx.ask("PUBLISH", { Expires: "60" }, phoneOpen, "sip:lab@example.com")
      assert.equal(lab.raw.status, 403)
    },
  )

  it(
    "with a password, the anonymous URI in From hides who is let in by it",
    { tags: ["3325-9.3-a", "3323-4.1.1.3-a"] },
    async (context) => {
      const scene = await openScene(context, {
        policy: "open",
        users_file: usersFile(
          context,
          userLine("alice", "example.com", "secret", "SHA-256"),
          userLine("4711", "example.com", "secret", "SHA-256", "sip:bob@example.com" as never),
        ),
      })
      const ask = async (call: Call, user: string, headers: Headers): Promise<number> => {
        const challenge = challengeOf(await call.subscribe(headers))
        assert.ok(challenge !== null)
        const { target } = call
        const credentials = { user, password: "secret" }
        return (
          await call.subscribe({
            ...headers,
            Authorization: authorize(challenge, credentials, "SUBSCRIBE", target),
          })
        ).raw.status
      }
      const owner = await scene.another("alice")
      assert.equal(await ask(owner, "alice", { ...winfo, Expires: "600" }), 200)
      await toldOfWatchers(owner)
      const call = await scene.another("bob")
      const nobody = "sip:anonymous@anonymous.invalid"
      const hidden = { From: `"Anonymous" <${nobody}>;tag=${call.fromTag}`, Expires: "600" }
      assert.equal(await ask(call, "4711", hidden), 200)
      assert.deepEqual((await toldOfWatchers(owner)).rows, [`${nobody} active subscribe`])
      // the account is bob's: under its own name it is nobody's
      assert.equal(await ask(await scene.another("bob"), "4711", { Expires: "0" }), 200)
      assert.equal(await ask(await scene.another("4711"), "4711", { Expires: "0" }), 403)
    },
  )
})
