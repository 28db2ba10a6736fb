import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { passThrough } from "../../../src/domain/packages/pass-through.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Body, Uri } from "../../../src/domain/vocabulary.ts"

const alice = "sip:alice@example.com" as Uri
const profile = passThrough({ name: "ua-profile", contentTypes: ["text/xml", "Application/JSON"] })

const anyBody = fc.record<Body>({
  contentType: fc.constantFrom("text/xml", "application/json"),
  text: fc.oneof(fc.string(), fc.string({ unit: "binary" })),
})

const read = (body: Body): Body => {
  const parsed = profile.parse(body)
  if (parsed._tag === "Unreadable") throw new Error(parsed.why)
  return parsed.document
}

const composed = (documents: readonly Body[], ended: readonly Body[] = []): Body | null => {
  const sources = (of: readonly Body[]) => of.map((document, index) => ({ key: `${index + 1}`, document }))
  return profile.compose({ presentity: alice, documents: sources(documents), ended: sources(ended) })
}

const named = (name: string) => () => passThrough({ name, contentTypes: ["text/plain"] })
const typed =
  (...contentTypes: readonly string[]) =>
  () =>
    passThrough({ name: "x", contentTypes })

describe("the package", () => {
  it("has defaults, and takes what it is given", { tags: ["3265-4.4.10-a", "3903-6-h"] }, () => {
    expect(profile).toMatchObject({
      name: "ua-profile",
      accepts: ["text/xml", "application/json"],
      produces: ["text/xml", "application/json"],
      defaultExpires: 3_600,
      entityTags: "new-each-time",
      notifyIntervalMillis: 1_000,
    })
    for (const member of ["rules", "amend", "difference", "personalize"])
      expect(profile).not.toHaveProperty(member)
    const own = { defaultExpires: 15, notifyIntervalMillis: 0, entityTags: "kept" } as const
    expect(passThrough({ name: "line-seize", contentTypes: ["text/plain"], ...own })).toMatchObject(own)
  })

  it("its name can stand in an Event header, with parameters as registered", { tags: ["6665-8.4-a"] }, () => {
    for (const name of [
      "x",
      "call-info",
      "xcap-diff",
      "dialog;sla",
      "a.winfo.winfo",
      "a;b=c;d",
      "a;identity",
    ]) {
      expect(named(name)().name).toBe(name)
    }
    for (const name of [
      "",
      "a b",
      "a.",
      ".a",
      "a..b",
      "a;",
      "a; b",
      "a;b=",
      "a;b=c=d",
      "a,b",
      "a\r\nb",
      "é",
      'a"b"',
    ]) {
      expect(named(name)).toThrow("no name for an Event header")
    }
    for (const name of ["a;id", "a;id=1", "a;b;ID=2"])
      expect(named(name)).toThrow("leave out the parameter id")
  })

  it("media types are types, one at least, each once and in lower case", { tags: ["3903-6-k"] }, () => {
    expect(typed("TEXT/Plain", "text/plain", "a/b")().accepts).toEqual(["text/plain", "a/b"])
    expect(typed()).toThrow("event package x: name a media type that can be published")
    for (const type of [
      "",
      "text",
      "text/",
      "/plain",
      "text/plain;charset=utf-8",
      "text/*/x",
      "a/b\r\n",
      "*/ *",
    ]) {
      expect(typed("a/b", type)).toThrow("is no media type")
    }
  })

  it("stands in a registry beside others", { tags: ["6665-8.4-a"] }, () => {
    const registry = makeRegistry([profile, named("dialog;sla")()])
    expect(registry.allowEvents).toBe("ua-profile, dialog")
    expect(registry.accept).toEqual(["text/xml", "application/json", "text/plain"])
  })
})

describe("documents", () => {
  it("are the bodies themselves, byte for byte", { tags: ["L40"] }, () => {
    fc.assert(
      fc.property(anyBody, (body) => {
        expect(profile.render(read(body))).toBe(body)
      }),
    )
  })

  it("of another type are not read", { tags: ["3903-6-k"] }, () => {
    const parsed = profile.parse({ contentType: "text/plain", text: "" })
    expect(parsed).toEqual({ _tag: "Unreadable", why: "not of a media type of ua-profile" })
  })

  it("the newest counts, with its own type; what ended leaves nothing behind", { tags: ["AGG-1"] }, () => {
    fc.assert(
      fc.property(fc.array(anyBody, { minLength: 1 }), fc.array(anyBody), (bodies, ended) => {
        expect(composed(bodies.map(read), ended.map(read))).toBe(bodies.at(-1))
        expect(composed([], ended.map(read))).toBe(null)
      }),
    )
    expect([composed([]), profile.offline(alice)]).toEqual([null, null])
  })
})
