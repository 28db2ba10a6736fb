import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { makeResolver, orderServices } from "../../../src/adapters/sip/resolver.ts"
import type { NameService } from "../../../src/adapters/sip/resolver.ts"
import { tcp } from "../../../src/adapters/sip/transports/tcp.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"

const none = (): Promise<never> => Promise.reject(new Error("no such name"))

const names = (table: Partial<NameService>): { readonly service: NameService; readonly asked: string[] } => {
  const asked: string[] = []
  const noting =
    <T>(kind: string, answer: (name: string) => Promise<T>) =>
    (name: string): Promise<T> => {
      asked.push(`${kind} ${name}`)
      return answer(name)
    }
  return {
    asked,
    service: {
      naptr: noting("NAPTR", table.naptr ?? none),
      srv: noting("SRV", table.srv ?? none),
      addresses: noting("A", table.addresses ?? (async () => ["192.0.2.1"])),
    },
  }
}

describe("resolver", () => {
  it("an explicit port needs addresses only", { tags: ["3263-4.2-a"] }, async () => {
    const { service, asked } = names({})
    assert.deepStrictEqual(await makeResolver({ names: service }).resolve("h", 5070, null), [
      { transport: udp, address: "192.0.2.1", port: 5070 },
    ])
    assert.deepStrictEqual(asked, ["A h"])
  })

  it("NAPTR says which transport is preferred, SRV where", { tags: ["3263-4.1-a"] }, async () => {
    const { service } = names({
      naptr: async () => [
        { service: "SIP+D2U", order: 20, preference: 1, replacement: "_sip._udp.h" },
        { service: "SIPS+D2T", order: 1, preference: 1, replacement: "_sips._tcp.h" },
        { service: "sip+d2t", order: 10, preference: 1, replacement: "_sip._tcp.h" },
      ],
      srv: async (name) =>
        name === "_sip._tcp.h" ? [{ name: "a.h", port: 5080, priority: 1, weight: 0 }] : none(),
    })
    assert.deepStrictEqual(await makeResolver({ names: service }).resolve("h", null, null), [
      { transport: tcp, address: "192.0.2.1", port: 5080 },
    ])
  })

  it(
    "services, records and addresses are all there, in the order in which they are to be tried",
    { tags: ["3263-4.3-a"] },
    async () => {
      const { service } = names({
        srv: async (name) =>
          name.startsWith("_sip._udp.")
            ? [
                { name: "b.h", port: 2, priority: 2, weight: 0 },
                { name: "a.h", port: 1, priority: 1, weight: 0 },
                // one that does not exist keeps nobody from the others
                { name: "gone.h", port: 3, priority: 1, weight: 0 },
              ]
            : name.startsWith("_sip._tcp.")
              ? [{ name: "b.h", port: 4, priority: 1, weight: 0 }]
              : none(),
        addresses: async (host) =>
          host === "a.h" ? ["192.0.2.1", "2001:db8::1"] : host === "b.h" ? ["192.0.2.2"] : none(),
      })
      const found = await makeResolver({ names: service, random: () => 0 }).resolve("h", null, null)
      assert.deepStrictEqual(found, [
        { transport: udp, address: "192.0.2.1", port: 1 },
        { transport: udp, address: "2001:db8::1", port: 1 },
        { transport: udp, address: "192.0.2.2", port: 2 },
        { transport: tcp, address: "192.0.2.2", port: 4 },
      ])
    },
  )

  it(
    "a named transport asks for its service; without any the address and the default port are left",
    { tags: ["3263-4.1-a"] },
    async () => {
      const { service, asked } = names({})
      assert.deepStrictEqual(await makeResolver({ names: service }).resolve("h", null, tcp), [
        { transport: tcp, address: "192.0.2.1", port: 5060 },
      ])
      assert.deepStrictEqual(asked, ["SRV _sip._tcp.h", "A h"])
    },
  )

  it(
    "answers, failures and questions under way are shared for a while",
    { tags: ["OPS-resolver"] },
    async () => {
      let now = 0
      const { service, asked } = names({
        addresses: async (host) => (host === "bad" ? none() : ["192.0.2.1"]),
      })
      const resolver = makeResolver({ names: service, clock: () => now })
      await Promise.all([resolver.resolve("h", 1, null), resolver.resolve("h", 1, null)])
      await resolver.resolve("h", 1, null)
      assert.deepStrictEqual(await resolver.resolve("bad", 1, null), [])
      await resolver.resolve("bad", 1, null)
      assert.strictEqual(asked.length, 2)
      now = 11_000
      await resolver.resolve("bad", 1, null)
      await resolver.resolve("h", 1, null)
      assert.strictEqual(asked.length, 3)
    },
  )

  it("questions under way are bounded", { tags: ["OPS-resolver"] }, async () => {
    const { service, asked } = names({ addresses: () => new Promise(() => {}) })
    const resolver = makeResolver({ names: service })
    for (let at = 0; at < 1_000; at++) void resolver.resolve(`h${at}`, 1, null)
    assert.isAtMost(asked.length, 128)
    assert.deepStrictEqual(await resolver.resolve("one-more", 1, null), [])
  })

  it(
    "services are ordered by priority, whatever the draw, and none is lost",
    { tags: ["3263-4.1-a"] },
    () => {
      const record = fc.record({ priority: fc.nat(3), weight: fc.nat(3), id: fc.nat() })
      fc.assert(
        fc.property(
          fc.array(record, { maxLength: 8 }),
          fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { minLength: 8, maxLength: 8 }),
          (records, draws) => {
            let at = 0
            const ordered = orderServices(records, () => draws[at++ % 8]!)
            assert.sameMembers([...ordered], records)
            for (let index = 1; index < ordered.length; index++)
              assert.isAtLeast(ordered[index]!.priority, ordered[index - 1]!.priority)
          },
        ),
      )
    },
  )
})
