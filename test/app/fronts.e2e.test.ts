/**
 * Phones behind a registrar and proxy that stands in front of a server, both configured by the blocks of a page of docs:
 * over UDP and TLS, with the Contacts of a NAT, within a dialog, and while the proxy is restarted.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, it, onTestFinished } from "vitest"
import { parse } from "yaml"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import type { Message } from "../../src/app/client/wire.ts"
import { userLine } from "../../src/app/config/users.ts"
import { asking } from "../support/admin.ts"
import { makeAuthority } from "../support/certificates.ts"
import { holds } from "../support/condition.ts"
import { makeFrontKamailio, noFrontKamailio } from "../support/front-kamailio.ts"
import { makeFrontOpensips, noOpensips } from "../support/front-opensips.ts"
import { pageOf } from "../support/front.ts"
import type { Front, FrontOptions, Running } from "../support/front.ts"
import { makeNattedNetwork, whyNoNattedNetwork } from "../support/natted-network.ts"
import { phoneClosed, phoneOpen } from "../support/scene.ts"
import type { Call, SceneSettings } from "../support/scene.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { openPhone, script } from "../support/sip-client.ts"
import type { Headers, Phone, Transport } from "../support/sip-client.ts"

const [serverAddress, inside] = ["127.0.0.21", "127.0.0.20"] as const
const users = { alice: "secret-alice", bob: "secret-bob" }

/** The settings of the server as the page shows them, with other values in their place. */
const settingsOf = (
  page: string,
  name: string,
  values: readonly (readonly [from: string, to: string])[],
): SceneSettings => {
  const { block, replaced } = pageOf(page)
  let text = block(name)
  for (const [from, to] of values) text = replaced(text, from, to)
  return { ...(parse(text) as SceneSettings), admin: "127.0.0.1:0", policy: "open" }
}

interface Behind {
  /** The one that runs. */
  readonly server: () => PresenceServer
  /** Another in its place, with an empty memory. */
  readonly replaceServer: () => Promise<void>
  readonly front: Front
  readonly restart: (meanwhile?: () => Promise<void>) => Promise<void>
  readonly close: () => Promise<void>
}

type MakeFront = (options: FrontOptions) => Promise<Front>

const openBehind = async (make: MakeFront, page: string, outside: string): Promise<Behind> => {
  const start = (port: number): Promise<PresenceServer> =>
    startPresence(
      settingsOf(page, "presently.yaml", [
        ["10.0.0.2:5060", `${serverAddress}:${port}`],
        ["10.0.0.1", inside],
      ]),
    )
  let server = await start(0)
  const { tcpPort } = server
  const front = await make({ outside, inside, presently: `${serverAddress}:${tcpPort}`, users })
  let running: Running = await front.start()
  return {
    server: () => server,
    replaceServer: async () => {
      await server.stop()
      server = await start(tcpPort)
    },
    front,
    restart: async (meanwhile = () => Promise.resolve()) => {
      await running.stop()
      await meanwhile()
      running = await front.start()
    },
    close: async () => {
      await server.stop()
      await running.stop()
      front.remove()
    },
  }
}

/** What a phone that knows its password does when it is challenged. */
const asks = async (
  call: Call,
  user: keyof typeof users,
  method: string,
  headers: Headers = {},
  body = "",
  target = call.target,
): Promise<Message> => {
  const send = (more: Headers): Promise<Message> =>
    method === "SUBSCRIBE"
      ? call.subscribe({ ...headers, ...more }, body)
      : call.ask(method, { ...headers, ...more }, body, target)
  const first = await send({})
  const { status } = first.raw
  if (status !== 401 && status !== 407) return first
  const [asked, answered] =
    status === 401 ? ["www-authenticate", "Authorization"] : ["proxy-authenticate", "Proxy-Authorization"]
  const challenge = challengeOf({ ...first, headers: () => first.headers(asked) })
  assert.ok(challenge !== null, "a challenge")
  return send({ [answered]: authorize(challenge, { user, password: users[user] }, method, target) })
}

/** A phone behind a NAT does not know under which address others see it. */
const unseen = (user: string, { transport }: Phone, host = "192.168.77.10:5070"): string =>
  `<sip:${user}@${host}${transport === "udp" ? "" : `;transport=${transport}`}>`

const routeOf = (subscribed: Message): Headers => ({
  Route: subscribed.headers("record-route").toReversed(),
})

const basicOf = ({ raw }: Message): string | undefined =>
  /<basic>(\w+)<\/basic>/.exec(raw.body.toString("utf8"))?.[1]

/** The dialog of a call on another phone, or on the same one after it was moved. */
const movedTo = (call: Call, { callId, fromTag, toTag, cseq, target, notifyCseq }: Call): Call =>
  Object.assign(call, { callId, fromTag, toTag, cseq, target, notifyCseq })

const scenes = (make: MakeFront, page: string, contactIn: (phone: Phone) => string): void => {
  let behind: Behind
  beforeAll(async () => {
    behind = await openBehind(make, page, "127.0.0.30")
  })
  afterAll(() => behind?.close())

  const phoneOver = async (transport: Transport): Promise<Phone> => {
    const phone = await openPhone(behind.front, transport, { to: "127.0.0.30" })
    onTestFinished(() => phone.close())
    return phone
  }
  const callOf = async (user: string, presentity: string, transport: Transport): Promise<Call> => {
    const phone = await phoneOver(transport)
    return Object.assign(script(phone, { user, presentity }), { phone })
  }
  const alice = "sip:alice@example.com"
  /** Publishes for Alice, each time with the tag of the time before. */
  const publisher = async (transport: Transport): Promise<(body: string) => Promise<void>> => {
    let etag: string | null = null
    const call = await callOf("alice", alice, transport)
    onTestFinished(async () => {
      const phone = await openPhone(behind.front, "udp", { to: "127.0.0.30" })
      const after = Object.assign(script(phone, { user: "alice" }), { phone })
      await asks(after, "alice", "PUBLISH", { Expires: "0", "SIP-If-Match": etag ?? "" })
      phone.close()
    })
    return async (body) => {
      const match: Headers = etag === null ? {} : { "SIP-If-Match": etag }
      const response = await asks(call, "alice", "PUBLISH", { Expires: "600", ...match }, body)
      assert.equal(response.raw.status, 200)
      etag = response.header("sip-etag")
    }
  }
  const shows = async (call: Call, basic: string): Promise<Message> => {
    const notify = await call.notified({ state: "active" })
    assert.equal(basicOf(notify), basic)
    return notify
  }
  const subscriptions = async (): Promise<number> => {
    const { text } = await asking(behind.server().admin)("GET", "/v1/subscriptions")
    return text.split("sip:bob@example.com").length - 1
  }

  describe.each(["udp", "tls"] as const)("over %s", (transport) => {
    it("a phone is registered there, and a Path is kept", { tags: ["3327-5.3-a"] }, async () => {
      const call = await callOf("bob", "sip:bob@example.com", transport)
      const contact = unseen("bob", call.phone)
      const path = "<sip:edge.example.com;lr>"
      const registered = await asks(
        call,
        "bob",
        "REGISTER",
        { Contact: contact, Expires: "600", Supported: "path", Path: path },
        "",
        "sip:example.com",
      )
      assert.equal(registered.raw.status, 200)
      assert.match(registered.header("contact") ?? "", /^<sip:bob@192\.168\.77\.10:5070/)
      assert.equal(registered.header("path"), path)
      const stranger = await call.ask("REGISTER", { Contact: contact }, "", "sip:example.com")
      assert.equal(stranger.raw.status, 401)
    })

    it("behind a NAT, it hears NOTIFYs, and refreshes within its dialog", async () => {
      const bob = await callOf("bob", alice, transport)
      const contact = { Contact: unseen("bob", bob.phone), Expires: "600" }
      const subscribed = await asks(bob, "bob", "SUBSCRIBE", contact)
      assert.equal(subscribed.raw.status, 200)
      const first = await bob.notified({ state: "active" })
      assert.equal(`<${first.raw.uri}>`, contactIn(bob.phone))
      const publish = await publisher(transport === "udp" ? "tls" : "udp")
      await publish(phoneOpen)
      await shows(bob, "open")
      assert.equal((await bob.subscribe({ ...contact, ...routeOf(subscribed) })).raw.status, 200)
      await shows(bob, "open")
      await publish(phoneClosed)
      await shows(bob, "closed")
      await bob.subscribe({ ...contact, ...routeOf(subscribed), Expires: "0" })
      await bob.notified({ state: "terminated;reason=timeout" })
      await bob.phone.hearsNothing()
    })

    it("a refresh from another port moves the NOTIFYs there", { tags: ["6665-4.2.1.2-a"] }, async () => {
      const bob = await callOf("bob", alice, transport)
      const contact = { Contact: unseen("bob", bob.phone), Expires: "600" }
      const subscribed = await asks(bob, "bob", "SUBSCRIBE", contact)
      await bob.notified({ state: "active" })
      const again = movedTo(await callOf("bob", alice, transport), bob)
      assert.equal((await again.subscribe({ ...contact, ...routeOf(subscribed) })).raw.status, 200)
      await again.notified({ state: "active" })
      const publish = await publisher("udp")
      await publish(phoneOpen)
      await shows(again, "open")
      await again.subscribe({ ...contact, ...routeOf(subscribed), Expires: "0" })
      await again.notified({ state: "terminated;reason=timeout" })
      await bob.phone.hearsNothing()
    })
  })

  it("a document of 40 kB comes through", async () => {
    const bob = await callOf("bob", alice, "tls")
    const subscribed = await asks(bob, "bob", "SUBSCRIBE", {
      Contact: unseen("bob", bob.phone),
      Expires: "600",
    })
    await bob.notified({ state: "active" })
    const publish = await publisher("tls")
    const note = "x".repeat(40_000)
    await publish(phoneOpen.replace("</tuple>", `<note>${note}</note></tuple>`))
    assert.ok((await shows(bob, "open")).raw.body.toString("utf8").includes(note))
    await bob.subscribe({ ...routeOf(subscribed), Expires: "0" })
    await bob.notified({ state: "terminated;reason=timeout" })
  })

  it("a restart of the proxy ends no subscription; phones over UDP hear what happens next", async () => {
    const [udp, tls] = [await callOf("bob", alice, "udp"), await callOf("bob", alice, "tls")]
    const subscribed: Message[] = []
    for (const call of [udp, tls]) {
      const contact = { Contact: unseen("bob", call.phone), Expires: "600" }
      subscribed.push(await asks(call, "bob", "SUBSCRIBE", contact))
      await call.notified({ state: "active" })
    }
    const before = await subscriptions()
    await behind.restart(async () => {
      // while there is no proxy, somebody else publishes
      const server = behind.server()
      const other = await openPhone(server, "tcp", { own: inside, to: serverAddress })
      onTestFinished(() => other.close())
      const direct = script(other, { user: "alice" })
      const headers = { "P-Asserted-Identity": `<${alice}>`, Expires: "600" }
      const published = await direct.publish(headers, phoneClosed)
      assert.equal(published.raw.status, 200)
      await server.settle?.()
      const etag = { "SIP-If-Match": published.header("sip-etag")! }
      assert.equal((await direct.publish({ ...headers, ...etag, Expires: "0" })).raw.status, 200)
      await server.settle?.()
    })
    const publish = await publisher("udp")
    await publish(phoneOpen)
    let heard = await udp.notify()
    while (basicOf(heard) !== "open") heard = await udp.notify()
    // the phone over TLS has lost its connection, and its subscription waits for it
    await holds("the proxy says that the connection is gone", async () => {
      const metrics = await (await fetch(`${behind.server().admin}/metrics`)).text()
      return /^presently_notify_outcomes_total\{outcome="refused"\} [1-9]/m.test(metrics)
    })
    assert.equal(await subscriptions(), before)
    const again = movedTo(await callOf("bob", alice, "tls"), tls)
    // those that were not delivered have their numbers
    again.notifyCseq = null
    const contact = { Contact: unseen("bob", again.phone), Expires: "600" }
    assert.equal((await again.subscribe({ ...contact, ...routeOf(subscribed[1]!) })).raw.status, 200)
    await shows(again, "open")
    await publish(phoneClosed)
    await shows(again, "closed")
  })

  it("a restart of the server costs the proxy a connection and nothing else", async () => {
    await behind.replaceServer()
    const bob = await callOf("bob", alice, "tls")
    const subscribed = await asks(bob, "bob", "SUBSCRIBE", { Expires: "600" })
    assert.equal(subscribed.raw.status, 200)
    await bob.notified({ state: "active" })
    await bob.subscribe({ ...routeOf(subscribed), Expires: "0" })
    await bob.notified({ state: "terminated;reason=timeout" })
  })
}

describe.skipIf(noFrontKamailio !== null)("phones behind Kamailio", () => {
  scenes(makeFrontKamailio, "behind-kamailio.md", (phone) => unseen("bob", phone))
})

describe.skipIf(noOpensips !== null)("phones behind OpenSIPS", () => {
  // it writes into the Contact where the phone was seen
  scenes(makeFrontOpensips, "behind-opensips.md", (phone) => unseen("bob", phone, phone.address))
})

const noNattedNetwork = whyNoNattedNetwork()

/** What phones connect to. */
interface Entrance {
  readonly portOf: PresenceServer["portOf"]
  readonly close: () => Promise<void>
}

const hearThroughNat = async (
  transport: Transport,
  open: (address: string) => Promise<Entrance>,
): Promise<void> => {
  const network = makeNattedNetwork()
  onTestFinished(() => network.remove())
  const entrance = await open(network.publicAddress)
  onTestFinished(() => entrance.close())
  const natted = async (user: string): Promise<Call> => {
    const phone = await network.phone(entrance, transport)
    onTestFinished(() => phone.close())
    return Object.assign(script(phone, { user }), { phone })
  }
  const [bob, alice] = [await natted("bob"), await natted("alice")]
  const subscribed = await asks(bob, "bob", "SUBSCRIBE", { Expires: "600" })
  assert.equal(subscribed.raw.status, 200)
  await bob.notified({ state: "active" })
  assert.equal((await asks(alice, "alice", "PUBLISH", { Expires: "600" }, phoneOpen)).raw.status, 200)
  assert.equal(basicOf(await bob.notified({ state: "active" })), "open")
  network.forget()
  // over UDP the same socket has another port now, otherwise the phone connects again
  const again = transport === "udp" ? bob : movedTo(await natted("bob"), bob)
  const other = await natted("alice")
  const refresh = { Expires: "600", ...routeOf(subscribed) }
  assert.equal((await asks(again, "bob", "SUBSCRIBE", refresh)).raw.status, 200)
  assert.equal(basicOf(await again.notified({ state: "active" })), "open")
  const lab = phoneClosed.replace('id="phone"', 'id="lab"')
  assert.equal((await asks(other, "alice", "PUBLISH", { Expires: "600" }, lab)).raw.status, 200)
  assert.match((await again.notified({ state: "active" })).raw.body.toString("utf8"), /"lab"[^]*closed/)
}

describe.skipIf(noFrontKamailio !== null || noNattedNetwork !== null)(
  "phones behind a NAT and Kamailio",
  () => {
    it.each(["udp", "tls"] as const)(
      "hear NOTIFYs before and after it has forgotten them (%s)",
      { tags: ["6665-4.2.1.2-a"] },
      (transport) =>
        hearThroughNat(transport, async (address) => {
          const { front, close } = await openBehind(makeFrontKamailio, "behind-kamailio.md", address)
          return { ...front, close }
        }),
    )
  },
)

describe.skipIf(noOpensips !== null || noNattedNetwork !== null)("phones behind a NAT and OpenSIPS", () => {
  it.each(["udp", "tls"] as const)(
    "hear NOTIFYs before and after it has forgotten them (%s)",
    { tags: ["6665-4.2.1.2-a"] },
    (transport) =>
      hearThroughNat(transport, async (address) => {
        const { front, close } = await openBehind(makeFrontOpensips, "behind-opensips.md", address)
        return { ...front, close }
      }),
  )
})

describe.skipIf(noNattedNetwork !== null)("phones behind a NAT, with presently alone", () => {
  it.each(["udp", "tcp", "tls"] as const)(
    "hear NOTIFYs before and after it has forgotten them (%s)",
    { tags: ["6665-4.2.1.2-a"] },
    (transport) =>
      hearThroughNat(transport, async (address) => {
        const folder = mkdtempSync(join(tmpdir(), "presently-alone-"))
        onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
        const { certificate, key } = await (await makeAuthority()).sign({ dns: ["example.com"] })
        writeFileSync(join(folder, "example.com.pem"), certificate)
        writeFileSync(join(folder, "example.com.key"), key)
        const lines = Object.entries(users).map(([name, password]) =>
          userLine(name, "example.com", password, "SHA-256"),
        )
        writeFileSync(join(folder, "users.txt"), `${lines.join("\n")}\n`)
        const { portOf, stop } = await startPresence(
          settingsOf("behind-kamailio.md", "alone.yaml", [
            ["203.0.113.1:5060", `${address}:0`],
            ["203.0.113.1:5061", `${address}:0`],
            ["/etc/presently", folder],
          ]),
        )
        return { portOf, close: stop }
      }),
  )
})
