/**
 * Who asked is written in full once a day, and referred to afterwards.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { withReference } from "../../../src/domain/engine/requesters.ts"
import type { Requesters } from "../../../src/domain/engine/requesters.ts"
import type { About, Requester } from "../../../src/domain/presentity/about.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"

const day = 86_400_000
const alice = "sip:alice@example.com" as Uri
const bob = "sip:bob@example.com" as Uri
const requesters: readonly Requester[] = [
  { account: "alice" },
  { identity: alice },
  { account: "alice", userAgent: "phone/1.0" },
  { from: alice, source: "udp:192.0.2.1:5060" },
  { from: alice },
  { account: "", from: bob },
  { identity: bob, from: alice, userAgent: "phone/1.0" },
]

/** Addresses of others than the person whose key it is are not kept. */
const keptOf = ({ identity, from, ...rest }: Requester, owner: Uri): Requester | undefined => {
  const kept = {
    ...rest,
    ...(identity === owner ? { identity } : {}),
    ...(from === owner ? { from } : {}),
  }
  return Object.keys(kept).length === 0 ? undefined : kept
}

interface Asked {
  readonly by: Requester
  readonly owner: Uri
  readonly later: number
}

const asked = fc.array(
  fc.record({
    by: fc.constantFrom(...requesters),
    owner: fc.constantFrom(alice, bob),
    later: fc.constantFrom(0, 1, 1000, day / 3, day),
  }),
  { maxLength: 60 },
)

const written = (all: readonly Asked[], subscriptions = 0) => {
  let known: Requesters | null = null
  let at = Date.UTC(2026, 10, 30, 22)
  return all.map(({ by, owner, later }, index): { readonly at: number; readonly about: About } => {
    at += later
    const outcome = withReference(
      known,
      { by, request: `r${index}` },
      owner,
      { version: index + 1, at },
      subscriptions,
    )
    known = outcome.requesters
    return { at, about: outcome.about }
  })
}

describe("who asked", () => {
  it(
    "can be found from every decision, in one of the same day that has it in full",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(asked, (all) => {
          const log = written(all)
          for (const [index, { at, about }] of log.entries()) {
            assert.equal(about.request, `r${index}`)
            const referred = typeof about.by === "number" ? log[about.by - 1]! : { at, about }
            const { by, owner } = all[index]!
            assert.deepEqual(referred.about.by, keptOf(by, owner))
            // what is under the key of another person goes when that one is erased
            if (typeof about.by === "number") assert.equal(all[about.by - 1]!.owner, owner)
            assert.equal(Math.floor(referred.at / day), Math.floor(at / day))
          }
        }),
      )
    },
  )

  it(
    "is written in full once a day by each, as long as they are no more than are remembered",
    { tags: ["T38"] },
    () => {
      fc.assert(
        fc.property(asked, (all) => {
          const log = written(all)
          const told = log.flatMap(({ at, about }, index) =>
            typeof about.by === "object"
              ? [`${Math.floor(at / day)} ${all[index]!.owner} ${JSON.stringify(about.by)}`]
              : [],
          )
          assert.equal(new Set(told).size, told.length)
        }),
      )
    },
  )

  it(
    "of very many, only the newest are remembered: as many as there are subscriptions, and some more",
    { tags: ["T38"] },
    () => {
      const many = Array.from({ length: 100 }, (_, index) => ({
        by: { account: `user-${index}` },
        owner: alice,
        later: 0,
      }))
      for (const [subscriptions, remembered] of [
        [0, 16],
        [10, 26],
        [200, 100],
      ] as const) {
        const log = written([...many, ...many.toReversed()], subscriptions)
        const references = log.slice(100).filter(({ about }) => typeof about.by === "number")
        assert.ok(references.length >= remembered, `${subscriptions}: ${references.length}`)
        let known: Requesters | null = null
        for (const [index, { by }] of many.entries())
          known = withReference(known, { by }, alice, { version: index + 1, at: 0 }, subscriptions).requesters
        assert.equal(known?.versions.size, Math.min(100, remembered))
      }
    },
  )
})
