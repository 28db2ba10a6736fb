/**
 * One message of a webhook to a real receiver.
 */
import assert from "node:assert/strict"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { allowedHosts } from "../../../src/adapters/webhooks/allowed.ts"
import { makeSend, newSecret, secretFault, signatureOf } from "../../../src/adapters/webhooks/send.ts"

const secret = newSecret()

const receiver = async ({ onTestFinished }: TestContext, answers: readonly number[]) => {
  const heard: string[] = []
  const server = createServer((request, response) => {
    heard.push(`${request.method} ${request.url}`)
    request.resume()
    const status = answers[heard.length - 1] ?? 500
    response
      .writeHead(status, status >= 300 && status < 400 ? { location: "/elsewhere" } : {})
      .end("x".repeat(100_000))
  })
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { heard, port: (server.address() as AddressInfo).port }
}

describe("a message", () => {
  it("is signed as the published example of Standard Webhooks is", { tags: ["A13"] }, () => {
    const signed = signatureOf(
      "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1_614_265_330,
      '{"test": 2432232314}',
    )
    assert.equal(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    assert.equal(secretFault(newSecret()), null)
    for (const bad of ["", "whsec_", "whsec_c2hvcnQ=", secret.slice(6), `${secret}*`]) {
      assert.equal(secretFault(bad), "expected whsec_ and 24 to 64 bytes in base64")
    }
  })

  it(
    "what the receiver says decides; nobody is followed elsewhere",
    { tags: ["A13", "T36"] },
    async (context) => {
      const { heard, port } = await receiver(context, [200, 204, 302, 400, 404, 408, 410, 429, 500, 503])
      const send = makeSend(allowedHosts(["127.0.0.1"]))
      const outcomes: string[] = []
      for (let times = 0; times < 10; times += 1) {
        const message = { id: `msg_${times}`, url: `http://127.0.0.1:${port}/hook`, secret, body: "{}" }
        const outcome = await Effect.runPromise(send(message, 0))
        outcomes.push("error" in outcome ? `${outcome._tag}: ${outcome.error}` : outcome._tag)
      }
      assert.deepEqual(outcomes, [
        "Taken",
        "Taken",
        "Refused: answered 302",
        "Refused: answered 400",
        "Refused: answered 404",
        "Failed: answered 408",
        "Gone",
        "Failed: answered 429",
        "Failed: answered 500",
        "Failed: answered 503",
      ])
      assert.deepEqual(new Set(heard), new Set(["POST /hook"]))
      assert.equal(heard.length, 10)
    },
  )

  it(
    "a name of this machine leads nowhere unless its address is listed, though the name is",
    { tags: ["T36"] },
    async (context) => {
      const { heard, port } = await receiver(context, [200, 200])
      const message = { id: "msg_1", url: `http://localhost:${port}/`, secret, body: "{}" }
      const named = await Effect.runPromise(makeSend(allowedHosts(["localhost"]))(message, 0))
      assert.deepEqual(named, {
        _tag: "Failed",
        error: "localhost is in a network that webhook_hosts does not list",
      })
      const address = { ...message, url: `http://127.0.0.1:${port}/` }
      assert.deepEqual(await Effect.runPromise(makeSend(allowedHosts(["localhost"]))(address, 0)), {
        _tag: "Failed",
        error: "webhook_hosts does not list 127.0.0.1",
      })
      assert.deepEqual(heard, [])
      const both = await Effect.runPromise(
        makeSend(allowedHosts(["localhost", "127.0.0.1", "::1"]))(message, 0),
      )
      assert.equal(both._tag, "Taken")
    },
  )

  it("nobody there is a failure of the moment", { tags: ["A13"] }, async (context) => {
    const { port } = await receiver(context, [])
    const { port: closed } = { port: port === 1 ? 2 : 1 }
    const message = { id: "msg_1", url: `http://127.0.0.1:${closed}/`, secret, body: "{}" }
    const outcome = await Effect.runPromise(makeSend(allowedHosts(["127.0.0.1"]))(message, 0))
    assert.equal(outcome._tag, "Failed")
  })
})
