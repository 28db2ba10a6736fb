/**
 * Phones that do not answer a NOTIFY: with the operator's leave they stay subscribed and are asked again.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Scope } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { make as makeSip } from "../../../src/adapters/sip/stack.ts"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import type { Message } from "../../../src/app/client/wire.ts"
import { makePump, pumpDefaults } from "../../../src/app/node/pump.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import { EventStore } from "../../../src/ports/event-store.ts"
import { notBefore } from "../../support/condition.ts"
import { openScene, phoneOpen } from "../../support/scene.ts"
import type { Call } from "../../support/scene.ts"
import { answer, openPhone, pause, script, xml } from "../../support/sip-client.ts"

/** SIP, pump and memory store, where a NOTIFY is given up after 1.5 s and tried again a second later. */
const hastyScene = async ({ onTestFinished }: TestContext): Promise<(user: string) => Promise<Call>> => {
  const packages = makeRegistry([presence({ xml: xmlCodec, notifyIntervalMillis: 0 })])
  const sip = makeSip({
    listen: [{ transport: "udp", host: "127.0.0.1", port: 0 }],
    domains: ["example.com"],
    packages: { allowEvents: packages.allowEvents, accept: packages.accept },
    timers: { t1Ms: 250, t2Ms: 1_000, transactionMs: 1_500 },
  })
  const scope = Effect.runSync(Scope.make())
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const limits = { ...defaultLimits, endSubOnTimeout: false, probeSeconds: 1 }
  const start = Effect.gen(function* () {
    const pump = yield* makePump(
      { packages, limits, authorize: allowEveryone, ...pumpDefaults },
      { notify: sip.notify, stored: () => {}, outage: () => {} },
    )
    yield* pump.recover
    yield* sip.listen(pump.handler)
    yield* pump.start
  })
  await Effect.runPromise(
    start.pipe(Effect.provideService(EventStore, makeMemoryStore()), Scope.provide(scope)),
  )
  const [address = ""] = sip.addresses()
  const server = { portOf: () => Number(address.slice(address.lastIndexOf(":") + 1)) }
  return async (user) => {
    const phone = await openPhone(server, "udp")
    onTestFinished(() => phone.close())
    return Object.assign(script(phone, { user }), { phone })
  }
}

describe.concurrent("a phone that does not answer", () => {
  it("notify_probe_interval: is still subscribed when NOTIFY has timed out, is asked again, and told what changed", async (context) => {
    const another = await hastyScene(context)
    const bob = await another("bob")
    const alice = await another("alice")
    await bob.subscribe({ Expires: "600" })
    /** The first NOTIFY after that one; those in between are the same again. */
    const after = (cseq: number): Promise<Message> =>
      bob.phone.next(({ raw }) => raw.isRequest && raw.cseq > cseq)
    // an address that never answered is not asked again
    const proof = await after(0)
    answer(bob.phone, proof)
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
    const isDue = notBefore()
    const first = await after(proof.raw.cseq)
    assert.equal((await alice.publish({}, phoneOpen)).raw.status, 200)

    const second = await after(first.raw.cseq)
    isDue(2_500)
    assert.equal(xml(second.raw.body.toString("utf8")), xml(phoneOpen))
    // nor does it answer this one
    const third = await after(second.raw.cseq)
    answer(bob.phone, third)
    await pause(1_500)
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
    const fourth = await after(third.raw.cseq)
    assert.deepEqual(
      [second, third, fourth].map(({ raw }) => raw.cseq - first.raw.cseq),
      [1, 2, 3],
    )
  })

  it("OPS-end_sub_on_timeout notify_probe_interval: nor is it forgotten when a proxy says 408 for it, if the settings say so", async (context) => {
    const { another, publish } = await openScene(context, {
      end_sub_on_timeout: false,
      notify_probe_interval: 1,
    })
    await publish()
    const bob = await another("bob")
    await bob.subscribe({ Expires: "600" })
    await bob.notified({ state: "active", expires: 600, body: phoneOpen })
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
    const first = await bob.notify()
    answer(bob.phone, first, "408 Request Timeout")
    await bob.phone.hearsNothing(800)
    bob.notifyCseq = first.raw.cseq
    await bob.notified({ state: "active", expires: 600, body: phoneOpen })
    assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 200)
    await bob.notified({ state: "active", expires: 600, body: phoneOpen })
  })

  it(
    "with the settings as they come it is forgotten",
    { tags: ["OPS-end_sub_on_timeout"] },
    async (context) => {
      const { another } = await openScene(context, { notify_probe_interval: 1 })
      const bob = await another("bob")
      await bob.subscribe({ Expires: "600" })
      answer(bob.phone, await bob.notify(), "408 Request Timeout")
      await bob.phone.hearsNothing(1_300)
      assert.equal((await bob.subscribe({ Expires: "600" })).raw.status, 481)
    },
  )
})
