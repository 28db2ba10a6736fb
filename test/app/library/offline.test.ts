/**
 * A package that composes nothing of nothing and has an offline form: whoever was shown a document is shown that nothing is left of it,
 * whatever it was that ended it.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { Presence } from "../../../src/app/index.ts"
import type { Notification } from "../../../src/app/index.ts"
import type { EventPackage } from "../../../src/app/packages/index.ts"
import { packageLaws } from "../../../src/app/testing/index.ts"

const lamp: EventPackage<string, "lamp"> = {
  name: "lamp",
  accepts: ["text/plain"],
  produces: ["text/plain"],
  defaultExpires: 60,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  parse: ({ text }) =>
    /^[a-z]+$/.test(text)
      ? { _tag: "Parsed", document: text }
      : { _tag: "Unreadable", why: "expected letters" },
  compose: ({ documents }) => documents.at(-1)?.document ?? null,
  render: (text) => ({ contentType: "text/plain", text }),
  offline: () => "dark",
}

const alice = "sip:alice@example.com"
const bob = "sip:bob@example.com"

type Step =
  | { readonly do: "publish"; readonly body: string; readonly expires: number }
  | { readonly do: "remove" | "clear" | "refresh" }
  | { readonly do: "hard"; readonly body: string }
  | { readonly do: "wait"; readonly seconds: number }

const words = fc.constantFrom("on", "busy")
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("publish" as const), body: words, expires: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ do: fc.constantFrom("remove" as const, "clear" as const, "refresh" as const) }),
  fc.record({ do: fc.constant("hard" as const), body: words }),
  fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 1, max: 40 }) }),
)

/** A watcher that takes what it is told as soon as it is, and what its lamp shows. */
const watching = async (steps: readonly Step[]) => {
  let now = Date.UTC(2026, 10, 20)
  const presence = await Presence.make({ packages: [lamp], now: () => now })
  const of = { presentity: alice, event: "lamp" } as const
  const watch = await presence.watch({ ...of, watcher: bob, expires: 100_000 })
  const told: Notification[] = []
  const reading = (async () => {
    for await (const one of watch) told.push(one)
  })()
  const tags: string[] = []
  await presence.settle()
  const seen: { readonly told: string; readonly isShown: boolean }[] = []
  let isHard = false
  for (const one of steps) {
    if (one.do === "hard" || one.do === "clear") isHard = one.do === "hard"
    switch (one.do) {
      case "publish":
        tags.push((await presence.publish({ ...of, body: one.body, expires: one.expires })).entityTag)
        break
      case "remove": {
        const entityTag = tags.pop()
        if (entityTag !== undefined) await presence.publish({ ...of, entityTag, expires: 0 }).catch(() => {})
        break
      }
      case "hard":
        await presence.setHardState(alice, one.body, "lamp")
        break
      case "clear":
        await presence.setHardState(alice, null, "lamp")
        break
      case "refresh":
        await watch.refresh(100_000)
        break
      case "wait":
        now += one.seconds * 1000
    }
    await presence.settle()
    await presence.settle()
    const { publications } = await presence.at(alice, now)
    seen.push({
      told: told.flatMap(({ body }) => body?.text ?? []).at(-1) ?? "never lit",
      isShown: publications.length > 0 || isHard,
    })
  }
  // whoever reads the log finds what was told
  const { items } = await presence.seen(bob, alice, { event: "lamp", limit: 1000 })
  assert.deepEqual(
    items.map(({ body }) => body),
    told.map(({ body }) => body?.text ?? null),
  )
  await presence.close()
  await reading
  return seen
}

describe("the offline form of a package", { tags: ["LIB-offline"] }, () => {
  it(
    "is told when the last publication is removed, has expired, or hard state is cleared",
    { tags: ["LIB-offline"] },
    async () => {
      const published: Step = { do: "publish", body: "on", expires: 10 }
      for (const ends of [
        [published, { do: "remove" }],
        [published, { do: "wait", seconds: 10 }],
        [published, published, { do: "wait", seconds: 10 }],
        [{ do: "hard", body: "busy" }, { do: "clear" }],
        [{ do: "hard", body: "busy" }, published, { do: "clear" }, { do: "remove" }],
      ] as readonly (readonly Step[])[])
        assert.equal((await watching(ends)).at(-1)?.told, "dark", JSON.stringify(ends))
    },
  )

  it("law: a lamp shows something exactly while something is there", { tags: ["LIB-offline"] }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        for (const [index, { told, isShown }] of (await watching(steps)).entries())
          assert.equal(told === "on" || told === "busy", isShown, `after step ${index}: ${told}`)
      }),
      { numRuns: 60 },
    )
  })

  it("such a package keeps the laws", { tags: ["LIB-offline"] }, () => {
    packageLaws(lamp, { documents: ["on", "busy"].map((text) => ({ contentType: "text/plain", text })) })
  })
})
