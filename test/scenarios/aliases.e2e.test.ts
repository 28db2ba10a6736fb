/**
 * A domain under several names: whoever is known at one of them is the same at all (`domain_aliases`).
 */
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { aliasFaults, makeCanonical, readAliases } from "../../src/adapters/sip/domain-aliases.ts"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import { readMessage } from "../../src/app/client/wire.ts"
import { userLine } from "../../src/app/config/users.ts"
import type { Uri } from "../../src/domain/vocabulary.ts"
import { asking } from "../support/admin.ts"
import { startPresence } from "../support/server.ts"
import type { PresenceServer } from "../support/server.ts"
import { pidf, tuple } from "../support/sip-client.ts"
import { headerValue, requestText, statusOf } from "../support/sip-messages.ts"
import { answerTo, eventually, udpPeer } from "../support/sip-peer.ts"
import { usersFile } from "../support/users.ts"

interface Phone {
  /** @returns the final response, after a challenge with the password of the user */
  readonly ask: (
    method: string,
    uri: string,
    headers: Record<string, string>,
    body?: string,
  ) => Promise<string>
  readonly notifies: () => readonly string[]
}

let calls = 0

/** A phone of that user, whose From and To are at that host. */
const phoneAt = async (
  { onTestFinished }: TestContext,
  server: PresenceServer,
  user: string,
  host: string,
): Promise<Phone> => {
  const peer = await udpPeer(server.udpPort)
  onTestFinished(() => peer.close())
  const answered = new Set<string>()
  const notifies = (): readonly string[] => {
    const all = peer.messages.filter((message) => message.startsWith("NOTIFY "))
    for (const notify of all)
      if (!answered.has(notify)) {
        answered.add(notify)
        peer.send(answerTo(notify))
      }
    return all
  }
  const from = `<sip:${user}@${host}>;tag=${user}`
  const ask: Phone["ask"] = async (method, uri, headers, body = "") => {
    const callId = `aliases-${calls++}`
    let authorization: Record<string, string> = {}
    for (let cseq = 1; ; cseq++) {
      const isResponse = (message: string): boolean =>
        message.startsWith("SIP/2.0 ") && message.includes(callId) && message.includes(`CSeq: ${cseq} `)
      peer.send(
        requestText({
          method,
          uri,
          headers: {
            Via: `SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK-${callId}-${cseq}`,
            From: from,
            To: `<${method === "REGISTER" ? `sip:${user}@${host}` : uri}>`,
            "Call-ID": callId,
            CSeq: `${cseq} ${method}`,
            Contact: `<sip:${user}@127.0.0.1:${peer.port}>`,
            ...headers,
            ...authorization,
          },
          body,
        }),
      )
      await eventually(() => peer.messages.some(isResponse))
      const response = peer.messages.find(isResponse)!
      if (statusOf(response) !== 401 || cseq > 1) return response
      const challenge = challengeOf(readMessage(Buffer.from(response, "latin1"))!)!
      assert.strictEqual(challenge.realm, "example.com")
      authorization = {
        Authorization: authorize(challenge, { user, password: `of-${user}` }, method, uri),
      }
    }
  }
  return { ask, notifies }
}

const presence = { Event: "presence", Expires: "600", "Content-Type": "application/pidf+xml" }
const alices = "sip:alice@example.com"

const begin = async (context: TestContext): Promise<PresenceServer> => {
  const users = ["alice", "bob"].map((user) => userLine(user, "example.com", `of-${user}`, "SHA-256"))
  const server = await startPresence({
    domain: ["example.com"],
    domain_aliases: ["10.0.0.5", "pbx.local=example.com", "[2001:db8::5]"],
    users_file: usersFile(context, ...users),
    policy: "open",
    admin: "127.0.0.1:0",
  })
  context.onTestFinished(server.stop)
  return server
}

describe("a domain with aliases", () => {
  it("is one for publishers, watchers, watcher information and REGISTER, with one realm", async (context) => {
    const server = await begin(context)
    const alice = await phoneAt(context, server, "alice", "10.0.0.5")
    const bob = await phoneAt(context, server, "bob", "pbx.local")
    for (const host of ["10.0.0.5", "pbx.local", "example.com", "[2001:db8::5]", "[2001:DB8:0::5]"]) {
      const registered = await alice.ask("REGISTER", `sip:${host}`, {})
      assert.strictEqual(statusOf(registered), 200, host)
    }
    const wrong = await phoneAt(context, server, "alice", "10.0.0.6")
    assert.strictEqual(statusOf(await wrong.ask("REGISTER", "sip:10.0.0.6", {})), 404)
    // watches by one name, and is told of what is published by others
    const watched = await bob.ask("SUBSCRIBE", "sip:alice@pbx.local", {
      Event: "presence",
      Accept: "application/pidf+xml",
    })
    assert.strictEqual(statusOf(watched), 200)
    const winfo = await alice.ask("SUBSCRIBE", "sip:alice@10.0.0.5", {
      Event: "presence.winfo",
      Accept: "application/watcherinfo+xml",
    })
    assert.strictEqual(statusOf(winfo), 200)
    await eventually(() => alice.notifies().some((text) => text.includes("watcherinfo")))
    assert.include(alice.notifies().at(-1), "sip:bob@example.com")
    const published = await alice.ask("PUBLISH", "sip:alice@10.0.0.5", presence, pidf(tuple("desk", "open")))
    assert.strictEqual(statusOf(published), 200)
    await eventually(() => bob.notifies().some((text) => text.includes(">open<")))
    // the same publication by another of its names
    const etag = headerValue(published, "SIP-ETag")!
    const modified = await alice.ask(
      "PUBLISH",
      "sip:alice@example.com",
      { ...presence, "SIP-If-Match": etag },
      pidf(tuple("desk", "closed")),
    )
    assert.strictEqual(statusOf(modified), 200)
    await eventually(() => bob.notifies().some((text) => text.includes(">closed<")))
    // requests in the dialog keep the names that the phone wrote (RFC 3261 §12.2.1.1)
    const notify = bob.notifies().at(-1)!
    assert.match(headerValue(notify, "From")!, /^<sip:alice@pbx\.local>/)
    assert.match(headerValue(notify, "To")!, /^<sip:bob@pbx\.local>/)
    // nobody publishes for somebody else, by whatever name
    assert.strictEqual(
      statusOf(await bob.ask("PUBLISH", "sip:alice@10.0.0.5", presence, pidf(tuple("desk", "open")))),
      403,
    )
  })

  it("has one name in the log and at the management port, which understands the others", async (context) => {
    const server = await begin(context)
    const alice = await phoneAt(context, server, "alice", "10.0.0.5")
    const bob = await phoneAt(context, server, "bob", "10.0.0.5")
    await alice.ask("PUBLISH", "sip:alice@10.0.0.5", presence, pidf(tuple("desk", "open")))
    await bob.ask("SUBSCRIBE", "sip:alice@10.0.0.5", { Event: "presence", Accept: "application/pidf+xml" })
    await eventually(() => bob.notifies().length > 0)
    const ask = asking(server.admin)
    const { json } = await ask("GET", "/v1/presentities")
    const { items } = json as { readonly items: readonly { readonly pres_uri: string }[] }
    assert.deepStrictEqual(
      items.map((item) => item.pres_uri),
      [alices],
    )
    const [own, other] = await Promise.all(
      [alices, "sip:alice@10.0.0.5"].map((uri) =>
        ask("GET", `/v1/presentities/${encodeURIComponent(uri)}/history?causes=true`),
      ),
    )
    assert.strictEqual(own!.text, other!.text)
    assert.include(own!.text, '"watcher":"sip:bob@example.com"')
    const why = await ask(
      "GET",
      `/v1/presentities/${encodeURIComponent("sip:alice@pbx.local")}/why?watcher=${encodeURIComponent("sip:bob@10.0.0.5")}`,
    )
    assert.include(why.text, "sip:bob@example.com was")
    const published = await ask("POST", "/v1/publications", {
      presentity: "sip:alice@pbx.local",
      body: pidf(tuple("phone", "open")),
    })
    assert.strictEqual(published.status, 200)
    const { text } = await ask("GET", `/v1/presentities/${encodeURIComponent(alices)}`)
    assert.strictEqual(
      (JSON.parse(text) as { packages: { publications: unknown[] }[] }).packages[0]!.publications.length,
      2,
    )
  })
})

describe("entries of domain_aliases", () => {
  it("name an alias and a domain, or an alias of the first domain", () => {
    const canonical = makeCanonical(
      readAliases(["10.0.0.5", "PBX.local=Example.org", "[2001:db8:0::5]"], ["example.com", "example.org"]),
    )!
    for (const [written, known] of [
      ["sip:201@10.0.0.5", "sip:201@example.com"],
      ["sip:201@pbx.local", "sip:201@example.org"],
      ["sip:201@[2001:db8::5]", "sip:201@example.com"],
      ["sip:10.0.0.5", "sip:example.com"],
      ["sip:201@10.0.0.50", "sip:201@10.0.0.50"],
      ["sip:a@10.0.0.5@example.net", "sip:a@10.0.0.5@example.net"],
      ["tel:+4930123", "tel:+4930123"],
    ] as const)
      assert.strictEqual(canonical(written as Uri), known as Uri)
    assert.isNull(makeCanonical([]))
  })

  it("are refused when they contradict each other or the domains", () => {
    const of = (
      entries: readonly string[],
      domains: readonly string[] = ["example.com"],
    ): readonly string[] => aliasFaults(entries, domains).map(({ entry, why }) => `${entry}: ${why}`)
    const expected = "expected ALIAS=DOMAIN, or ALIAS of the first domain, for example 10.0.0.5=example.com"
    assert.deepStrictEqual(of(["10.0.0.5", "pbx=example.com"]), [])
    assert.deepStrictEqual(of(["10.0.0.5=example.com"], []), [])
    assert.deepStrictEqual(of(["10.0.0.5"], []), [`10.0.0.5: ${expected}`])
    assert.deepStrictEqual(of(["10.0.0.5:5060", "a b=example.com", "=example.com"]), [
      `10.0.0.5:5060: ${expected}`,
      `a b=example.com: ${expected}`,
      `=example.com: ${expected}`,
    ])
    assert.deepStrictEqual(of(["EXAMPLE.com"]), [
      "EXAMPLE.com: example.com is a domain of its own: leave it out of domain",
    ])
    assert.deepStrictEqual(of(["10.0.0.5=example.net"]), [
      "10.0.0.5=example.net: example.net is not served; domain = example.com",
    ])
    assert.deepStrictEqual(of(["a.example=b.example", "b.example=c.example"], []), [
      "a.example=b.example: b.example is an alias itself",
    ])
    assert.deepStrictEqual(of(["10.0.0.5", "10.0.0.5=example.com"]), [
      "10.0.0.5=example.com: 10.0.0.5 has an entry already",
    ])
  })
})
