/**
 * What is published, over the management port.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { ExposedRow as Exposed } from "../../../src/ports/operations.ts"
import { holds } from "../../support/condition.ts"
import { startPresence } from "../../support/server.ts"
import { openPhone, pidf, script, tuple } from "../../support/sip-client.ts"

describe("expose", () => {
  it(
    "shows what lives, filtered by the whole URI in linear time; a wrong question is told what is wrong",
    { tags: ["BUG-18", "OPS-pres_expose"] },
    async ({ onTestFinished }) => {
      const server = await startPresence({ admin: "127.0.0.1:0" })
      const phone = await openPhone(server, "udp")
      onTestFinished(async () => {
        phone.close()
        await server.stop()
      })
      const ask = async (question: unknown): Promise<{ readonly status: number; readonly text: string }> => {
        const body = typeof question === "string" ? question : JSON.stringify(question)
        const response = await fetch(`${server.admin}/v1/presentities/expose`, { method: "POST", body })
        return { status: response.status, text: await response.text() }
      }
      const exposed = async (filter?: string): Promise<readonly string[]> => {
        const { status, text } = await ask({ event: "presence", ...(filter === undefined ? {} : { filter }) })
        assert.equal(status, 200, text)
        return (JSON.parse(text) as readonly Exposed[]).map(({ user, domain }) => `${user}@${domain}`)
      }
      const body = pidf(tuple("phone", "open"))
      const publish = (presentity: string, expires: string) =>
        script(phone, { user: "x", presentity }).publish({ Expires: expires }, body)
      const alice = await publish("sip:alice@example.com", "600")
      await publish("sip:alice@example.org", "600")
      await publish("sip:malice@example.com", "1")
      assert.deepEqual((await exposed()).toSorted(), [
        "alice@example.com",
        "alice@example.org",
        "malice@example.com",
      ])
      // OpenSIPS compares the user part only, and in MySQL only
      assert.deepEqual(await exposed("^sip:alice@.*\\.com$"), ["alice@example.com"])
      assert.deepEqual((await exposed("alice@example\\.com")).toSorted(), [
        "alice@example.com",
        "malice@example.com",
      ])
      await holds("it expires", async () => (await exposed("malice")).length === 0)
      const [row] = JSON.parse(
        (await ask({ event: "presence", filter: "^sip:alice@example.com$" })).text,
      ) as [Exposed]
      assert.deepEqual(Object.keys(row), ["user", "domain", "event", "expires", "etag", "body"])
      assert.equal(row.etag, alice.header("sip-etag"))
      assert.equal(row.body, body)
      // whoever tries one way after the other is not done before the sun is cold
      await publish(`sip:${"a".repeat(60)}@example.com`, "600")
      assert.deepEqual(await exposed("^sip:(a+)+$"), [])
      assert.equal((await exposed(`^sip:(a|a)+${"a?".repeat(40)}${"a".repeat(20)}@`)).length, 1)
      for (const [question, status, why] of [
        [{ event: "weather" }, 404, /event = weather: there is no such event package/],
        [{ event: "presence", filter: "(" }, 400, /filter = \(: no regular expression/],
        [{ event: "presence", filter: 7 }, 400, /body\.filter: Expected string \| null/],
        [{}, 400, /body\.event: Missing key/],
        ["null", 400, /body: Expected object/],
        ["{", 400, /body: .*JSON/],
      ] as const) {
        const answer = await ask(question)
        assert.equal(answer.status, status)
        assert.match(answer.text, why)
      }
    },
  )
})
