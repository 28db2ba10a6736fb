/**
 * A function that gives rules and is slow: one question for whoever has the same, so many SUBSCRIBEs that wait and no more, and none
 * for longer than `rules_wait`.
 */
import assert from "node:assert/strict"
import { Layer } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryLog, makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { Server } from "../../../src/app/server/in-program.ts"
import type { ServerOptions } from "../../../src/app/server/in-program.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { holds } from "../../support/condition.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { openPhone, script } from "../../support/sip-client.ts"

const allowing = ruleset(ruleFor("sip:bob@example.com", "allow"))

const start = async (context: TestContext, options: ServerOptions) => {
  const server = await Server.start({ domain: ["example.com"], admin: "127.0.0.1:0", ...options })
  const closing: (() => void)[] = []
  context.onTestFinished(async () => {
    for (const close of closing) close()
    await server.close()
  })
  const address = server.addresses.find((listening) => listening.startsWith("udp:")) ?? ""
  const port = Number(address.slice(address.lastIndexOf(":") + 1))
  const fetchAs = async (watcher: string, presentity = "alice") => {
    const phone = await openPhone({ portOf: () => port }, "udp")
    closing.push(phone.close)
    const headers = { Expires: "0", To: `<sip:${presentity}@example.com>` }
    const call = script(phone, { user: watcher })
    return call.ask("SUBSCRIBE", { Event: "presence", ...headers }, "", `sip:${presentity}@example.com`)
  }
  const metric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${server.admin}/metrics`)).text()
    const line = text.split("\n").find((candidate) => candidate.startsWith(`${name} `))
    return Number(line?.slice(name.length))
  }
  return { server, fetchAs, metric }
}

describe("a function that gives rules and is slow", { tags: ["LIB-own-rules", "AUT-7"] }, () => {
  it(
    "is asked once for all who wait; one more than may wait gets 503 and is counted",
    { tags: ["OPS-rules_waiting_max"] },
    async (context) => {
      const asked: string[] = []
      const answers: ((text: string) => void)[] = []
      const { fetchAs, metric } = await start(context, {
        rules_waiting_max: 3,
        rules: (presentity) => {
          asked.push(presentity)
          return new Promise((answer) => void answers.push(answer))
        },
      })
      const waiting = [fetchAs("bob"), fetchAs("bob"), fetchAs("carol")]
      await holds("three wait", async () => (await metric("presently_rules_waiting")) === 3)
      for (const presentity of ["alice", "dora"]) {
        const refused = await fetchAs("bob", presentity)
        assert.equal(refused.raw.status, 503)
        assert.equal(refused.header("retry-after"), "5")
      }
      assert.deepEqual(asked, ["sip:alice@example.com"])
      assert.equal(await metric('presently_refused_total{reason="rules"}'), 2)
      answers[0]!(allowing)
      assert.deepEqual(
        (await Promise.all(waiting)).map(({ raw }) => raw.status),
        [200, 200, 403],
      )
      assert.equal(await metric("presently_rules_waiting"), 0)
      // there is room again, and the next question is a new one
      const next = fetchAs("bob")
      await holds("it is asked again", async () => answers.length === 2)
      answers[1]!(allowing)
      assert.equal((await next).raw.status, 200)
    },
  )

  it(
    "is waited for as long as rules_wait says: then what is in force counts, and without it watchers wait",
    { tags: ["OPS-rules_wait"] },
    async (context) => {
      const store = () => Layer.succeed(EventStore, makeMemoryStore(log))
      const log = makeMemoryLog()
      const first = await start(context, { store: store(), rules: () => allowing })
      assert.equal((await first.fetchAs("bob")).raw.status, 200)
      await first.server.close()
      const never = new Promise<string>(() => {})
      const { fetchAs } = await start(context, { store: store(), rules_wait: 1, rules: () => never })
      const [bob, carol, erin] = await Promise.all([
        fetchAs("bob"),
        fetchAs("carol"),
        fetchAs("erin", "dora"),
      ])
      assert.deepEqual([bob.raw.status, carol.raw.status, erin.raw.status], [200, 403, 202])
    },
  )

  it(
    "keeps a start no longer than rules_wait, although there are watchers",
    { tags: ["OPS-rules_wait"] },
    async (context) => {
      const log = makeMemoryLog()
      const store = () => Layer.succeed(EventStore, makeMemoryStore(log))
      const first = await Server.start({ domain: ["example.com"], store: store(), rules: () => allowing })
      const address = first.addresses.find((listening) => listening.startsWith("udp:")) ?? ""
      const port = Number(address.slice(address.lastIndexOf(":") + 1))
      const phone = await openPhone({ portOf: () => port }, "udp")
      context.onTestFinished(() => phone.close())
      const watcher = script(phone, { user: "bob" })
      assert.equal((await watcher.subscribe({ Event: "presence", Expires: "600" })).raw.status, 200)
      await first.close()
      const asked: string[] = []
      const { server } = await start(context, {
        store: store(),
        rules_wait: 1,
        rules: (presentity) => {
          asked.push(presentity)
          return new Promise(() => {})
        },
      })
      // it has started, with a question that nobody has answered
      assert.deepEqual(asked, ["sip:alice@example.com"])
      await server.settle()
    },
  )

  it("is not waited for by a stop: who waits is answered 503", async (context) => {
    const asked: string[] = []
    const { server, fetchAs } = await start(context, {
      rules: (presentity) => {
        asked.push(presentity)
        return new Promise(() => {})
      },
    })
    const waiting = fetchAs("bob")
    await holds("it is asked", async () => asked.length === 1)
    await server.close()
    assert.equal((await waiting).raw.status, 503)
  })
})
