import { describe, expect, it } from "vitest"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"

const eventPackage = (name: string, accepts: readonly string[] = []): EventPackage => ({
  name,
  accepts,
  produces: ["text/plain"],
  defaultExpires: 3600,
  entityTags: "new-each-time",
  notifyIntervalMillis: 0,
  parse: () => ({ _tag: "Unreadable", why: "never" }),
  compose: () => null,
  render: () => ({ contentType: "text/plain", text: "" }),
  offline: () => null,
})

describe("the packages of a server", () => {
  const dialog = eventPackage("dialog", ["application/dialog-info+xml"])
  const shared = eventPackage("dialog;sla", ["application/dialog-info+xml"])
  const winfo = eventPackage("presence.winfo")
  const packages = makeRegistry([eventPackage("presence", ["application/pidf+xml"]), winfo, shared, dialog])

  it(
    "finds a package by exactly its name",
    { tags: ["OPS-contains_event", "OPS-search_event", "OPS-pres_ev.name", "6665-8.4-a"] },
    () => {
      expect(packages.find("dialog;sla")).toBe(shared)
      expect(packages.find("dialog")).toBe(dialog)
      expect(["Dialog", "dialog;", "dialog.winfo", "", "toString", "__proto__"].map(packages.find)).toEqual([
        null,
        null,
        null,
        null,
        null,
        null,
      ])
      expect(packages.names()).toEqual(["presence", "presence.winfo", "dialog;sla", "dialog"])
    },
  )

  it(
    "Allow-Events lists each event type once, without parameters, in order of registration",
    { tags: ["OPS-get_event_list", "OPS-pres_ev.next", "6665-8.4-b"] },
    () => {
      expect(packages.allowEvents).toBe("presence, presence.winfo, dialog")
      expect(makeRegistry([]).allowEvents).toBe("")
    },
  )

  it("Accept lists each media type once", { tags: ["3903-6-k"] }, () => {
    expect(packages.accept).toEqual(["application/pidf+xml", "application/dialog-info+xml"])
  })

  it("a package carries no header that requests have for themselves", { tags: ["OPS-extra_hdrs"] }, () => {
    const carrying = (name: string) => makeRegistry([{ ...dialog, carriedHeaders: ["Call-Info", name] }])
    for (const name of ["via", "CSeq", "i", "a b", "", "X:Y", "Content-Type", "Subscription-State"])
      expect(() => carrying(name)).toThrow(/event package dialog/)
    expect([...carrying("X-State").carriedHeaders]).toEqual([["dialog", ["Call-Info", "X-State"]]])
  })

  it("two packages of one name are a mistake that names them", { tags: ["OPS-add_event"] }, () => {
    expect(() => makeRegistry([winfo, dialog, eventPackage("presence.winfo")])).toThrow(/presence\.winfo/)
  })
})
