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

  it("OPS-contains_event OPS-search_event OPS-pres_ev.name 6665-8.4-a: finds a package by exactly its name", () => {
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
  })

  it("OPS-get_event_list OPS-pres_ev.next 6665-8.4-b: Allow-Events lists each event type once, without parameters, in order of registration", () => {
    expect(packages.allowEvents).toBe("presence, presence.winfo, dialog")
    expect(makeRegistry([]).allowEvents).toBe("")
  })

  it("3903-6-k: Accept lists each media type once", () => {
    expect(packages.accept).toEqual(["application/pidf+xml", "application/dialog-info+xml"])
  })

  it("OPS-extra_hdrs: a package carries no header that requests have for themselves", () => {
    const carrying = (name: string) => makeRegistry([{ ...dialog, carriedHeaders: ["Call-Info", name] }])
    for (const name of ["via", "CSeq", "i", "a b", "", "X:Y", "Content-Type", "Subscription-State"])
      expect(() => carrying(name)).toThrow(/event package dialog/)
    expect([...carrying("X-State").carriedHeaders]).toEqual([["dialog", ["Call-Info", "X-State"]]])
  })

  it("OPS-add_event: two packages of one name are a mistake that names them", () => {
    expect(() => makeRegistry([winfo, dialog, eventPackage("presence.winfo")])).toThrow(/presence\.winfo/)
  })
})
