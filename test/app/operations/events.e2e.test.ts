/**
 * What happens, told to other programs: as an event stream, and by webhooks.
 */
import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { createServer } from "node:http"
import type { IncomingHttpHeaders } from "node:http"
import type { AddressInfo } from "node:net"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { asking } from "../../support/admin.ts"
import type { Ask } from "../../support/admin.ts"
import { holds } from "../../support/condition.ts"
import { sharedPostgres } from "../../support/postgres.ts"
import { openScene, phoneClosed, phoneOpen } from "../../support/scene.ts"
import { startPresence } from "../../support/server.ts"
import { pause } from "../../support/sip-client.ts"

const cluster = await sharedPostgres()
afterAll(() => cluster?.remove())

interface Told {
  readonly id: string
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

/** Reads an event stream until it has so many; then hangs up. */
const told = async (
  admin: string | null | undefined,
  count: number,
  query = "",
  headers: Record<string, string> = {},
  onOpen: () => void = () => {},
): Promise<readonly Told[]> => {
  const abort = new AbortController()
  const response = await fetch(`${admin}/v1/events${query}`, { headers, signal: abort.signal })
  onOpen()
  assert.equal(response.status, 200)
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/)
  const found: Told[] = []
  let text = ""
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response.body!) {
      text += decoder.decode(chunk as Uint8Array, { stream: true })
      for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
        const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(text.slice(0, end))?.[1] ?? ""
        if (field("event") !== "") {
          const data = JSON.parse(field("data")) as Told["data"]
          found.push({ id: field("id"), event: field("event"), data })
        }
        text = text.slice(end + 2)
      }
      if (found.length >= count) break
    }
  } finally {
    abort.abort()
  }
  return found
}

const publish = async (ask: Ask, user: string, wish: Record<string, unknown> = { body: phoneOpen }) => {
  const answer = await ask("POST", "/v1/publications", { presentity: `sip:${user}@example.com`, ...wish })
  assert.equal(answer.status, 200, answer.text)
  return (answer.json as { entityTag: string }).entityTag
}

describe("the event stream", () => {
  it(
    "tells each publication once, in order, from any log position, nothing missed between two readers",
    { tags: ["OPS-E_PRESENCE_PUBLISH", "X-10", "A13"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const first = await publish(ask, "alice")
      const second = await publish(ask, "alice", { body: phoneClosed, entityTag: first, expires: 60 })
      const third = await publish(ask, "alice", { entityTag: second, expires: 120 })
      await publish(ask, "bob", { body: phoneOpen })
      const end = await ask("DELETE", `/v1/publications/${third}?presentity=sip:alice@example.com`)
      assert.equal(end.status, 204)

      const all = await told(server.admin, 5, "", { "last-event-id": "0" })
      assert.deepEqual(
        all.map(({ event, data }) => [event, data["user"], data["cause"], data["expires"], data["body"]]),
        [
          ["E_PRESENCE_PUBLISH", "alice", "published", 3600, phoneOpen],
          ["E_PRESENCE_PUBLISH", "alice", "modified", 60, phoneClosed],
          ["E_PRESENCE_PUBLISH", "alice", "refreshed", 120, ""],
          ["E_PRESENCE_PUBLISH", "bob", "published", 3600, phoneOpen],
          ["E_PRESENCE_PUBLISH", "alice", "removed", 0, ""],
        ],
      )
      assert.deepEqual(
        all.slice(0, 3).map(({ data }) => [data["old_etag"], data["etag"]]),
        [
          ["", first],
          [first, second],
          [second, third],
        ],
      )
      for (const [index, one] of all.entries()) {
        if (index === all.length - 1) continue
        const rest = await told(server.admin, all.length - 1 - index, "", { "last-event-id": one.id })
        assert.deepEqual(rest, all.slice(index + 1))
      }
      // live: who does not say where to begin hears what comes from now on
      let live: ReturnType<typeof told> | null = null
      await new Promise<void>((open) => {
        live = told(server.admin, 1, "?uri=sip:c*&type=E_PRESENCE_PUBLISH", {}, open)
      })
      await publish(ask, "alice")
      await publish(ask, "carol")
      assert.deepEqual(
        (await live!).map(({ data }) => data["user"]),
        ["carol"],
      )
    },
  )

  it(
    "tells what was exposed to whoever listens, all of it",
    { tags: ["OPS-E_PRESENCE_EXPOSED"] },
    async (context) => {
      const { server } = await openScene(context, { admin: "127.0.0.1:0" })
      const ask = asking(server.admin)
      const users = Array.from({ length: 50 }, (_, n) => `user${n}`)
      for (const user of users) await publish(ask, user)
      let heard: ReturnType<typeof told> | null = null
      await new Promise<void>((open) => {
        heard = told(server.admin, users.length, "?type=E_PRESENCE_EXPOSED", {}, open)
      })
      const rows = (await ask("POST", "/v1/presentities/expose", { event: "presence" })).json as unknown[]
      const events = await heard!
      assert.deepEqual(
        events.map(({ data }) => data),
        rows,
      )
      assert.deepEqual(Object.keys(events[0]?.data ?? {}), [
        "user",
        "domain",
        "event",
        "expires",
        "etag",
        "body",
      ])
    },
  )

  it("a wrong place to begin is told", { tags: ["F8"] }, async (context) => {
    const { server } = await openScene(context, { admin: "127.0.0.1:0" })
    const answer = await asking(server.admin)("GET", "/v1/events", undefined, { "last-event-id": "soon" })
    assert.equal(answer.status, 400)
    assert.match(answer.text, /Last-Event-ID: soon: expected the id of an event, a log position/)
  })
})

interface Delivery {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A receiver that answers as told; 200 when it was told nothing. */
const receiver = async ({ onTestFinished }: TestContext) => {
  const got: Delivery[] = []
  let answerOf: (delivery: Delivery, count: number) => number = () => 200
  const server = createServer((request, response) => {
    let body = ""
    request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk))
    request.on("end", () => {
      const delivery = { headers: request.headers, body }
      got.push(delivery)
      response.writeHead(answerOf(delivery, got.length)).end()
    })
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    got,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    answers: (as: typeof answerOf) => (answerOf = as),
  }
}

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  await holds("what the test waits for", condition)
}

const dataOf = ({ body }: Delivery) =>
  (JSON.parse(body) as { readonly data: Readonly<Record<string, unknown>> }).data

const hooks = { admin: "127.0.0.1:0", webhook_hosts: ["127.0.0.1"], webhook_give_up: 0 }

describe("webhooks", () => {
  it(
    "are told each publication in order, signed with their secret",
    { tags: ["A13", "X-10"] },
    async (context) => {
      const { server } = await openScene(context, hooks)
      const ask = asking(server.admin)
      const { got, url } = await receiver(context)
      const added = await ask("POST", "/v1/webhooks", { url, presentity: "sip:a*@example.com" })
      assert.equal(added.status, 200, added.text)
      const { id, secret } = added.json as { id: string; secret: string }
      const began = Date.now()
      for (const user of ["alice", "bob", "alfred"]) await publish(ask, user)
      await until(() => got.length === 2)
      assert.deepEqual(
        got.map((one) => dataOf(one)["user"]),
        ["alice", "alfred"],
      )
      const [{ headers, body } = assert.fail()] = got
      const stamp = String(headers["webhook-timestamp"])
      assert.ok(Number(stamp) >= Math.floor(began / 1000) && Number(stamp) * 1000 <= Date.now())
      const key = Buffer.from(secret.replace("whsec_", ""), "base64")
      const mac = createHmac("sha256", key)
        .update(`${String(headers["webhook-id"])}.${stamp}.${body}`)
        .digest("base64")
      assert.equal(headers["webhook-signature"], `v1,${mac}`)
      assert.equal(headers["content-type"], "application/json")
      const message = JSON.parse(body) as Record<string, unknown>
      assert.deepEqual(Object.keys(message), ["type", "timestamp", "data"])
      assert.equal(message["type"], "E_PRESENCE_PUBLISH")
      assert.equal(new Date(String(message["timestamp"])).getTime(), dataOf(got[0]!)["at"])

      await until(async () => {
        const { items } = (await ask("GET", "/v1/webhooks")).json as { items: Record<string, unknown>[] }
        return items[0]?.["behind"] === 0
      })
      const { items } = (await ask("GET", "/v1/webhooks")).json as { items: Record<string, unknown>[] }
      assert.deepEqual([items[0]?.["id"], items[0]?.["state"], items[0]?.["taken"]], [id, "sending", 2])
      assert.ok(!JSON.stringify(items).includes(secret))
      assert.equal((await ask("DELETE", `/v1/webhooks/${id}`)).status, 204)
      await publish(ask, "alina")
      await pause(200)
      assert.equal(got.length, 2)
      assert.equal((await ask("DELETE", `/v1/webhooks/${id}`)).status, 404)
    },
  )

  it(
    "what is not taken is sent again, the same, and nothing overtakes it; also what was exposed",
    { tags: ["A13"] },
    async (context) => {
      const { server } = await openScene(context, { ...hooks, webhook_give_up: 60 })
      const ask = asking(server.admin)
      const { got, url, answers } = await receiver(context)
      answers((_, count) => (count <= 2 ? 503 : 200))
      await ask("POST", "/v1/webhooks", { url })
      for (const user of ["alice", "bob"]) await publish(ask, user)
      await until(() => got.length >= 1)
      await until(async () => {
        const { items } = (await ask("GET", "/v1/webhooks")).json as { items: Record<string, unknown>[] }
        return items[0]?.["state"] === "retrying" && items[0]["reason"] === "answered 503"
      })
      await until(() => got.length >= 4)
      assert.deepEqual(
        got.map((one) => dataOf(one)["user"]),
        ["alice", "alice", "alice", "bob"],
      )
      assert.equal(new Set(got.slice(0, 3).map(({ headers }) => headers["webhook-id"])).size, 1)
      assert.equal(new Set(got.slice(0, 3).map(({ body }) => body)).size, 1)
      await ask("POST", "/v1/presentities/expose", { event: "presence" })
      await until(() => got.length >= 6)
      assert.deepEqual(
        got.slice(4).map(({ body }) => (JSON.parse(body) as { type: string }).type),
        ["E_PRESENCE_EXPOSED", "E_PRESENCE_EXPOSED"],
      )
    },
  )

  it(
    "what is given up is a dead letter, can be sent again or discarded, and the rest goes on; 410 ends it all",
    { tags: ["A13"] },
    async (context) => {
      const { server } = await openScene(context, hooks)
      const ask = asking(server.admin)
      const { got, url, answers } = await receiver(context)
      answers((one) => (dataOf(one)["user"] === "alice" ? 500 : 200))
      const { id } = (await ask("POST", "/v1/webhooks", { url })).json as { id: string }
      for (const user of ["alice", "bob", "alice"]) await publish(ask, user)
      const letters = async () =>
        ((await ask("GET", `/v1/webhooks/${id}/dead-letters`)).json as { items: Record<string, string>[] })
          .items
      await until(async () => (await letters()).length === 2)
      const [newest, oldest] = await letters()
      assert.deepEqual([newest?.["error"], newest?.["presentity"]], ["answered 500", "sip:alice@example.com"])
      assert.deepEqual(
        got.map((one) => dataOf(one)["user"]),
        ["alice", "bob", "alice"],
      )
      const place = `/v1/webhooks/${id}/dead-letters/${oldest?.["id"]}`
      const again = await ask("POST", `${place}/redeliver`)
      assert.equal(again.status, 409)
      assert.match(again.text, /it was not taken: answered 500/)
      answers(() => 200)
      assert.equal((await ask("POST", `${place}/redeliver`)).status, 204)
      assert.equal(got.at(-1)?.body, oldest?.["body"])
      assert.equal(got.at(-1)?.headers["webhook-id"], oldest?.["id"])
      assert.equal((await ask("POST", `${place}/redeliver`)).status, 404)
      assert.equal((await ask("DELETE", `/v1/webhooks/${id}/dead-letters/${newest?.["id"]}`)).status, 204)
      assert.deepEqual(await letters(), [])

      answers(() => 410)
      await publish(ask, "carol")
      await until(async () => {
        const { items } = (await ask("GET", "/v1/webhooks")).json as { items: Record<string, unknown>[] }
        return items[0]?.["state"] === "stopped"
      })
      const count = got.length
      await publish(ask, "carol")
      await pause(200)
      assert.equal(got.length, count)
    },
  )

  it.skipIf(cluster === null)(
    "a restart goes on where it was, and from any log position when asked",
    { tags: ["A13"] },
    async (context) => {
      const settings = { ...hooks, memory: false, database_url: cluster!.database(), domain: ["example.com"] }
      const { got, url, answers } = await receiver(context)
      let server = await startPresence(settings)
      let ask = asking(server.admin)
      await publish(ask, "before")
      await ask("POST", "/v1/webhooks", { url })
      await publish(ask, "alice")
      await until(() => got.length === 1)
      await server.stop()
      server = await startPresence({ ...settings, webhook_give_up: 3600 })
      ask = asking(server.admin)
      answers(() => 503)
      for (const user of ["bob", "carol"]) await publish(ask, user)
      await until(() => got.length === 2)
      await server.stop()
      answers(() => 200)
      server = await startPresence(settings)
      context.onTestFinished(() => server.stop())
      ask = asking(server.admin)
      await until(() => got.length >= 4)
      assert.deepEqual(
        got.map((one) => dataOf(one)["user"]),
        ["alice", "bob", "bob", "carol"],
      )
      got.length = 0
      await ask("POST", "/v1/webhooks", { url, from: 0 })
      await until(() => got.length === 4)
      assert.deepEqual(
        got.map((one) => dataOf(one)["user"]),
        ["before", "alice", "bob", "carol"],
      )
    },
  )

  it("a webhook that may not be is refused with the reason", { tags: ["T36", "F8"] }, async (context) => {
    const { server } = await openScene(context, hooks)
    const ask = asking(server.admin)
    const url = "http://127.0.0.1:1/"
    for (const [wish, status, why] of [
      [{}, 400, "body.url: Missing key"],
      [{ url: "example.com" }, 400, "url: expected https://HOST/PATH"],
      [{ url: "ftp://127.0.0.1/" }, 400, "url: expected https://HOST/PATH"],
      [{ url: "http://me:pass@127.0.0.1/" }, 400, "url: expected no password in it: what is sent is signed"],
      [{ url: "http://localhost:5080/" }, 400, "url: webhook_hosts does not list localhost"],
      [{ url: "http://169.254.169.254/latest" }, 400, "url: webhook_hosts does not list 169.254.169.254"],
      [{ url, secret: "short" }, 400, "secret: expected whsec_ and 24 to 64 bytes in base64"],
      [{ url, from: 99 }, 400, "from = 99: the log ends at 0"],
      [
        { url, types: ["E_OTHER"] },
        400,
        'body.types.0: Expected "E_PRESENCE_PUBLISH" | "E_PRESENCE_EXPOSED"',
      ],
    ] as const) {
      const answer = await ask("POST", "/v1/webhooks", wish)
      const { detail } = answer.json as { detail: string }
      assert.deepEqual([answer.status, detail], [status, why])
    }
    assert.deepEqual((await ask("GET", "/v1/webhooks")).json, { items: [] })
  })
})
