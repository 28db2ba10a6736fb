/**
 * A store that can be read and stores nothing, as one on a full disk: that it can be read does not make it back.
 */
import assert from "node:assert/strict"
import { Effect, Exit, Scope } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { makeMemoryStore } from "../../../src/adapters/store/memory.ts"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { makePump, pumpDefaults } from "../../../src/app/node/pump.ts"
import type { Pump } from "../../../src/app/node/pump.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Answer, Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { EventStore, StoreUnavailable } from "../../../src/ports/event-store.ts"
import { holds } from "../../support/condition.ts"

const alice = "sip:alice@example.com" as Uri

const publish = (id: string): Command => ({
  _tag: "Publish",
  packageName: "presence",
  ifMatch: [],
  expires: 600,
  body: {
    contentType: "application/pidf+xml",
    text: `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}"><tuple id="${id}"/></presence>`,
  },
  bodyFault: null,
  sender: null,
})

interface Broken {
  stores: boolean
  reads: boolean
}

const started = async (context: TestContext, broken: Broken) => {
  const scope = Effect.runSync(Scope.make())
  context.onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const memory = makeMemoryStore()
  const told: string[] = []
  const counts = { stores: 0, reads: 0 }
  const failing = <A>(
    what: keyof Broken,
    why: string,
    effect: Effect.Effect<A, StoreUnavailable>,
  ): Effect.Effect<A, StoreUnavailable> =>
    Effect.suspend(() =>
      broken[what] && ++counts[what] > 0
        ? Effect.fail(new StoreUnavailable({ cause: new Error(why) }))
        : effect,
    )
  const pump = await Effect.runPromise(
    makePump(
      {
        packages: makeRegistry([presence({ xml: xmlCodec })]),
        limits: defaultLimits,
        authorize: allowEveryone,
        ...pumpDefaults,
        patienceMillis: 50,
      },
      { notify: () => {}, stored: () => {}, outage: (state) => void told.push(state) },
    ).pipe(
      Effect.provideService(EventStore, {
        ...memory,
        append: (decisions) => failing("stores", "No space left on device", memory.append(decisions)),
        load: (streams) => failing("reads", "connection refused", memory.load(streams)),
        checkpoint: (name) => failing("reads", "connection refused", memory.checkpoint(name)),
      }),
    ),
  )
  await Effect.runPromise(pump.recover.pipe(Effect.andThen(pump.start), Scope.provide(scope)))
  return { pump, told, counts }
}

let tuples = 0

const published = async (pump: Pump): Promise<boolean> => {
  const answer = await new Promise<Answer>((resolve) => {
    pump.handler.submit({
      presentity: alice,
      command: publish(`t${++tuples}`),
      origin: "",
      answer: resolve,
    })
  })
  return answer._tag === "Accepted"
}

/** One that is refused because it cannot be stored, not because the store is known to be away. */
const fails = async (pump: Pump): Promise<void> => {
  await holds("requests are tried", () => pump.status() === "ready")
  assert.equal(await published(pump), false)
}

describe("a store that is read and stores nothing", { tags: ["OPS-outage"] }, () => {
  it("is told as away once and as back once, when it has stored something", async (context) => {
    const broken = { stores: false, reads: false }
    const { pump, told } = await started(context, broken)
    assert.ok(await published(pump))
    broken.stores = true
    for (let n = 0; n < 4; n++) {
      await fails(pump)
      assert.deepEqual(told, ["down"])
    }
    broken.stores = false
    await holds("it stores again", () => published(pump))
    assert.deepEqual(told, ["down", "up"])
    // and the next time
    broken.stores = true
    await fails(pump)
    assert.deepEqual(told, ["down", "up", "down"])
    broken.stores = false
    await holds("it stores again", () => published(pump))
    assert.deepEqual(told, ["down", "up", "down", "up"])
  })

  it("that went away as a whole is told as back as soon as it can be read", async (context) => {
    const broken = { stores: false, reads: false }
    const { pump, told, counts } = await started(context, broken)
    broken.stores = true
    broken.reads = true
    assert.equal(await published(pump), false)
    assert.deepEqual(told, ["down"])
    await holds("it has been asked", () => counts.reads > 0)
    Object.assign(broken, { stores: false, reads: false })
    await holds("it is back", () => told.length > 1)
    assert.deepEqual(told, ["down", "up"])
  })

  it("and then goes away as a whole is not told again, nor as back before it stores", async (context) => {
    const broken = { stores: true, reads: false }
    const { pump, told } = await started(context, broken)
    await fails(pump)
    await holds("requests are tried", () => pump.status() === "ready")
    broken.reads = true
    assert.equal(await published(pump), false)
    broken.reads = false
    await fails(pump)
    assert.deepEqual(told, ["down"])
    broken.stores = false
    await holds("it stores again", () => published(pump))
    assert.deepEqual(told, ["down", "up"])
  })
})
