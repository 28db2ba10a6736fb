/**
 * Which entries of `phone_profiles` are profiles, and which phone each is for.
 */
import { deepStrictEqual, ok, strictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { builtInProfiles, profileFaults, profilesBy } from "../../../src/adapters/sip/phone-profiles.ts"

const from = (agent: string | undefined) =>
  ({ headers: { first: () => agent } }) as unknown as Parameters<ReturnType<typeof profilesBy>>[0]

describe("phone profiles", () => {
  it.for([
    "lobby=one-tuple:Acme*",
    "a.b-c_1=xpidf+any-accept+any-case:*",
    "x=recognized-by-instance:Acme 1*|Acme: 2*",
    "yealink:Rebranded T4*",
  ])("taken: %s", (entry) => deepStrictEqual(profileFaults([entry]), []))

  it.for([
    "lobby",
    "lobby=:x",
    "lobby=one-tuple",
    "lobby=one-tuple:",
    "lobby=two-tuples:x",
    "lobby=one-tuple:a||b",
    "unknown:x",
    ":x",
    "=xpidf:x",
  ])("refused: %s", (entry) => deepStrictEqual(profileFaults([entry]), [entry]))

  it("none stands alone", () => {
    deepStrictEqual(profileFaults(["none"]), [])
    deepStrictEqual(profileFaults(["none", "yealink:x"]), ["none"])
  })

  it("the built-in ones would be taken as entries, too", () => {
    for (const { name, needs, agents } of builtInProfiles)
      deepStrictEqual(profileFaults([`${name}=${needs.join("+")}:${agents.join("|")}`]), [])
  })

  it("the first that fits counts, whatever the case; many made-up User-Agents change nothing", () => {
    const profileOf = profilesBy(["first=xpidf:acme 1*", "second=one-tuple:acme*"])
    for (let index = 0; index < 3_000; index++) {
      strictEqual(profileOf(from(`made up ${index}`)), null)
      strictEqual(profileOf(from("ACME 12"))?.name, "first")
    }
    strictEqual(profileOf(from("Acme 2"))?.name, "second")
    strictEqual(profileOf(from("Yealink T46"))?.name, "yealink")
    strictEqual(profileOf(from(`Yealink ${"x".repeat(300)}`)), null)
    strictEqual(profileOf(from(undefined)), null)
    ok(profilesBy(["none"])(from("Yealink T46")) === null)
  })
})
