/**
 * NOTIFYs cannot be aimed at strangers: every way of naming somebody else, over real sockets, with what reaches him (C2, M1),
 * and the phones that are where they say, which notice nothing.
 */
import assert from "node:assert/strict"
import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { afterAll, beforeAll, describe, it } from "vitest"
import type { Message } from "../../src/app/client/wire.ts"
import { userLine } from "../../src/app/config/users.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { answer, messageText, mint, openPhone, pause, script } from "../support/sip-client.ts"
import type { Headers, Phone, Script } from "../support/sip-client.ts"
import { subscribeAs, usersFile } from "../support/users.ts"

const document = (entity: string, octets: number): string => {
  const text = (note: string): string =>
    `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${entity}"><tuple id="t1"><status><basic>open</basic></status><note>${note}</note></tuple></presence>`
  return text("n".repeat(Math.max(0, octets - text("").length)))
}

/** Somebody who never asked for anything, and answers nothing. */
interface Stranger {
  readonly port: number
  packets: number
  octets: number
  connections: number
  readonly close: () => void
}

const stranger = async (): Promise<Stranger> => {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.9", resolve))
  const { port } = socket.address()
  const one: Stranger = { port, packets: 0, octets: 0, connections: 0, close: () => {} }
  socket.on("message", (bytes) => {
    one.packets++
    one.octets += bytes.length
  })
  const listener = createServer((connection) => {
    one.connections++
    connection.on("data", (bytes) => {
      one.packets++
      one.octets += bytes.length
    })
    connection.on("error", () => {})
  })
  await new Promise<void>((resolve, reject) =>
    listener.once("error", reject).listen(port, "127.0.0.9", resolve),
  )
  return Object.assign(one, {
    close: () => {
      socket.close()
      listener.close()
    },
  })
}

/** Longer than three repetitions of a NOTIFY take (T1, 2·T1, 4·T1). */
const watchedMs = 4_200

describe("NOTIFYs aimed at strangers", () => {
  let server: PresenceServer
  let phone: Phone
  const strangers: Stranger[] = []
  const presentity = "sip:big@example.com"

  const call = (user = mint("w")): Script => script(phone, { user, presentity })
  /** Sends the request without waiting. @returns its octets */
  const throwIn = (one: Script, headers: Headers): number => {
    const text = one.write("SUBSCRIBE", { Expires: "600", ...headers })
    phone.send(text)
    return Buffer.byteLength(text)
  }
  const someone = async (): Promise<Stranger> => {
    const one = await stranger()
    strangers.push(one)
    return one
  }

  beforeAll(async () => {
    server = await startPresence({ notify_to: ["contact"] })
    phone = await openPhone(server, "udp")
    const tcp = await openPhone(server, "tcp")
    const published = await script(tcp, { user: "big", presentity }).publish(
      { Expires: "3600" },
      document(presentity, 8_000),
    )
    assert.equal(published.raw.status, 200)
    tcp.close()
  })
  afterAll(async () => {
    for (const one of strangers) one.close()
    phone.close()
    await server.stop()
  })

  it(
    "at most three times the octets and three packets, whichever way he is named",
    { tags: ["C2"] },
    async () => {
      const aims: [string, Stranger, number][] = []
      const aim = async (way: string, headers: (at: string) => Headers, times = 1): Promise<void> => {
        const victim = await someone()
        let octets = 0
        for (let count = 0; count < times; count++)
          octets += throwIn(call(), headers(`127.0.0.9:${victim.port}`))
        aims.push([way, victim, octets])
      }
      await aim("Contact", (at) => ({ Contact: `<sip:w@${at}>` }))
      await aim("Record-Route", (at) => ({ "Record-Route": `<sip:${at};lr>` }))
      await aim("a strict Record-Route", (at) => ({ "Record-Route": `<sip:${at}>` }))
      await aim("two Record-Routes", (at) => ({ "Record-Route": [`<sip:${at};lr>`, "<sip:127.0.0.1;lr>"] }))
      await aim("maddr in Contact", (at) => ({
        Contact: `<sip:w@${phone.address.split(":")[0]}:${at.split(":")[1]};maddr=127.0.0.9>`,
      }))
      await aim("transport=tcp", (at) => ({ Contact: `<sip:w@${at};transport=tcp>` }))
      await aim("transport=tcp, many", (at) => ({ Contact: `<sip:w@${at};transport=tcp>` }), 20)
      await aim("a run of fetches", (at) => ({ Contact: `<sip:w@${at}>`, Expires: "0" }), 50)
      await aim("many SUBSCRIBEs", (at) => ({ Contact: `<sip:w@${at}>` }), 400)
      await aim("a pending one, many", (at) => ({ Contact: `<sip:w@${at}>`, Event: "presence.winfo" }), 20)
      const named = `127.0.0.9:${(await someone()).port}`
      const victim = strangers.at(-1)!
      const one = script(phone, { user: "one", presentity })
      let octets = 0
      for (let count = 0; count < 200; count++)
        octets += throwIn({ ...one, fromTag: mint("t") }, { Contact: `<sip:w@${named}>` })
      aims.push(["many SUBSCRIBEs of one Call-ID", victim, octets])
      await pause(watchedMs)
      for (const [way, { packets, octets: received, connections }, sent] of aims) {
        assert.ok(received <= 3 * sent, `${way}: ${received} octets for ${sent}`)
        assert.ok(packets <= 3, `${way}: ${packets} packets`)
        assert.ok(connections <= 1, `${way}: ${connections} connections`)
      }
      assert.ok(
        aims.some(([, { packets }]) => packets > 0),
        "somebody was sent something",
      )
    },
  )

  it(
    "a target that answered is not moved to a stranger, neither by a 200 nor, with documents, by a refresh",
    { tags: ["C2"] },
    async () => {
      const [inAnswer, inRefresh] = [await someone(), await someone()]
      const answering = call()
      assert.equal((await answering.subscribe({ Expires: "600" })).raw.status, 200)
      answer(phone, await answering.notify(), "200 OK", {
        Contact: `<sip:w@127.0.0.9:${inAnswer.port}>`,
      })
      // the whole document, to the one who answered
      const whole = await answering.notify()
      assert.ok(whole.raw.body.length > 7_000)
      answer(phone, whole, "200 OK", { Contact: `<sip:w@127.0.0.9:${inAnswer.port};transport=tcp>` })
      const refreshing = call()
      assert.equal((await refreshing.subscribe({ Expires: "600" })).raw.status, 200)
      answer(phone, await refreshing.notify())
      answer(phone, await refreshing.notify())
      const sent = throwIn(refreshing, { Contact: `<sip:w@127.0.0.9:${inRefresh.port}>` })
      await pause(watchedMs)
      assert.deepEqual([inAnswer.packets, inAnswer.connections], [0, 0])
      assert.ok(inRefresh.packets >= 1 && inRefresh.packets <= 3, `${inRefresh.packets} packets`)
      assert.ok(inRefresh.octets <= 3 * sent, `${inRefresh.octets} octets for ${sent}`)
    },
  )

  it(
    "a response goes to where the request came from, whatever maddr in Via says",
    { tags: ["M1", "3261-18.2.2-a"] },
    async () => {
      const victim = await someone()
      const request = (branch: string): string =>
        messageText("OPTIONS sip:example.com SIP/2.0", {
          Via: `SIP/2.0/UDP ${phone.address};maddr=127.0.0.9;branch=${branch};rport`,
          From: "<sip:a@example.com>;tag=1",
          To: "<sip:example.com>",
          "Call-ID": mint("o"),
          CSeq: "1 OPTIONS",
        })
      const same = mint("z9hG4bK")
      for (let count = 0; count < 20; count++) {
        phone.send(request(count % 2 === 0 ? same : mint("z9hG4bK")))
        const isOptions = ({ raw }: Message): boolean => !raw.isRequest && raw.method === "OPTIONS"
        assert.equal((await phone.next(isOptions)).raw.status, 200)
      }
      assert.equal(victim.packets, 0)
    },
  )

  it("a fetch that does not fit is refused with 403 and what to do about it", { tags: ["C2"] }, async () => {
    const refused = await call().ask("SUBSCRIBE", { Expires: "0" })
    assert.equal(refused.raw.status, 403)
    assert.match(refused.header("warning") ?? "", /^399 \S+ ".*TCP.*"$/)
  })

  it(
    "who closes its connection is not sent the document where its Contact leads",
    { tags: ["C2"] },
    async () => {
      const victim = await someone()
      const tcp = await openPhone(server, "tcp")
      const streamed = script(tcp, { user: "streamed", presentity })
      const contact = `<sip:w@127.0.0.9:${victim.port};transport=udp>`
      assert.equal((await streamed.subscribe({ Expires: "600", Contact: contact })).raw.status, 200)
      const notify = await streamed.notify()
      assert.ok(notify.raw.body.length > 7_000, "over its connection it gets everything at once")
      answer(tcp, notify)
      tcp.close()
      const publisher = await openPhone(server, "tcp")
      const changed = await script(publisher, { user: "big", presentity }).publish(
        { Expires: "3600" },
        document(presentity, 9_000),
      )
      assert.equal(changed.raw.status, 200)
      publisher.close()
      await pause(watchedMs)
      assert.ok(victim.packets <= 3 && victim.octets < 2_000, `${victim.packets} packets, ${victim.octets}`)
    },
  )
})

describe("phones that are where they say", () => {
  const presentity = "sip:alice@example.com"
  const publishAs = async (
    server: PresenceServer,
    octets: number,
    credentials?: { readonly user: string; readonly password: string },
  ): Promise<string> => {
    const phone = await openPhone(server, "tcp")
    const body = document(presentity, octets)
    const one = script(phone, { user: "alice", presentity })
    if (credentials === undefined)
      assert.equal((await one.publish({ Expires: "3600" }, body)).raw.status, 200)
    phone.close()
    return body
  }
  const usual: Headers = {
    Expires: "600",
    "User-Agent": "Desk Phone 1.2.3.4",
    Allow: "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, NOTIFY, REFER, UPDATE",
    Supported: "replaces",
  }

  it("a usual document is in the first NOTIFY over UDP", { tags: ["C2"] }, async ({ onTestFinished }) => {
    const server = await startPresence()
    onTestFinished(() => server.stop())
    const phone = await openPhone(server, "udp")
    onTestFinished(() => phone.close())
    const body = await publishAs(server, 900)
    const one = script(phone, { user: "bob", presentity })
    assert.equal((await one.subscribe(usual)).raw.status, 200)
    const first = await one.notified({ state: "active", body })
    assert.ok(first.header("sip-etag") !== undefined)
  })

  it(
    "a big one follows the first 2xx over UDP; over TCP it is there at once",
    { tags: ["C2"] },
    async ({ onTestFinished }) => {
      const server = await startPresence()
      onTestFinished(() => server.stop())
      const body = await publishAs(server, 20_000)
      for (const transport of ["udp", "tcp"] as const) {
        const phone = await openPhone(server, transport)
        onTestFinished(() => phone.close())
        const one = script(phone, { user: "bob", presentity })
        assert.equal((await one.subscribe(usual)).raw.status, 200)
        if (transport === "udp") {
          const first = await one.notified({ state: "active", body: null })
          assert.equal(first.header("sip-etag") ?? null, null)
        }
        await one.notified({ state: "active", body })
        // and from then on like any other
        await one.subscribe({ ...usual, Expires: "0" })
        await one.notified({ state: "terminated;reason=timeout", body })
      }
    },
  )

  it(
    "with digest authentication from where the Contact is, a document of 60 kB is there at once",
    { tags: ["C2"] },
    async (context) => {
      const users = usersFile(
        context,
        userLine("alice", "example.com", "secret-alice", "SHA-256"),
        userLine("bob", "example.com", "secret-bob", "SHA-256"),
      )
      const server = await startPresence({
        domain: ["example.com"],
        users_file: users,
        policy: "open",
        notify_to: ["contact"],
      })
      context.onTestFinished(() => server.stop())
      const phone = await openPhone(server, "udp")
      context.onTestFinished(() => phone.close())
      const tcp = await openPhone(server, "tcp")
      context.onTestFinished(() => tcp.close())
      const body = document(presentity, 50_000)
      const publisher = script(tcp, { user: "alice", presentity })
      const { authorize, challengeOf } = await import("../../src/app/client/credentials.ts")
      const challenge = challengeOf(await publisher.publish({ Expires: "3600" }, body))
      assert.ok(challenge !== null)
      const credentials = { user: "alice", password: "secret-alice" }
      const published = await publisher.publish(
        { Expires: "3600", Authorization: authorize(challenge, credentials, "PUBLISH", presentity) },
        body,
      )
      assert.equal(published.raw.status, 200)
      const bob = { user: "bob", password: "secret-bob" }
      const one = script(phone, { user: "bob", presentity })
      assert.equal((await subscribeAs(one, bob, usual)).raw.status, 200)
      await one.notified({ state: "active", body })
      // but an account is no leave to send to somebody else
      const victim = await stranger()
      context.onTestFinished(() => victim.close())
      const aimed = script(phone, { user: "bob", presentity })
      const contact = { ...usual, Contact: `<sip:bob@127.0.0.9:${victim.port}>` }
      assert.equal((await subscribeAs(aimed, bob, contact)).raw.status, 200)
      const fetch = script(phone, { user: "bob", presentity })
      assert.equal((await subscribeAs(fetch, bob, { ...contact, Expires: "0" })).raw.status, 403)
      await pause(watchedMs)
      assert.ok(victim.packets >= 1 && victim.packets <= 3 && victim.octets <= 3_000)
    },
  )

  it("where the operator says so, nothing has to be proven", { tags: ["C2"] }, async ({ onTestFinished }) => {
    const server = await startPresence({ notify_targets: ["127.0.0.0/8"] })
    onTestFinished(() => server.stop())
    const phone = await openPhone(server, "udp")
    onTestFinished(() => phone.close())
    const body = await publishAs(server, 5_000)
    const one = script(phone, { user: "bob", presentity })
    assert.equal((await one.subscribe(usual)).raw.status, 200)
    await one.notified({ state: "active", body })
  })
})
