/**
 * A device that has lost its entity-tag, as after a restart, publishes anew: its new publication takes the place of the
 * old one, and of no other.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { changeIn } from "../../../src/domain/history/changes.ts"
import { isDecidable, reconstructCommand } from "../../../src/domain/history/reconstruct-command.ts"
import { dialogInfo } from "../../../src/domain/packages/dialog-info.ts"
import { presence } from "../../../src/domain/packages/pidf.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import { defaultLimits } from "../../../src/domain/presentity/context.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { get, values } from "../../../src/domain/table.ts"
import { alice, at, publish, subscribe } from "../../support/builders.ts"
import { bodyOf, dialog, read, summary, written } from "../../support/dialog-info.ts"
import { standing } from "../../support/given.ts"
import { bodyInShort, pidf } from "../../support/ruled.ts"

const packages = makeRegistry([dialogInfo({ xml: xmlCodec }), presence({ xml: xmlCodec })])
const world = standing(initial(alice), { packages })
const desk = "instance urn:uuid:1"

const opens = (tuple: string, device?: string, ifMatch?: string) =>
  publish({
    packageName: "presence",
    body: pidf(`${tuple}=open`),
    ...(device === undefined ? {} : { device }),
    ...(ifMatch === undefined ? {} : { ifMatch }),
  })
const calls = (text: string, device?: string) =>
  publish({
    packageName: "dialog",
    body: bodyOf(written(text)),
    ...(device === undefined ? {} : { device }),
  })
const tags = (state: State, packageName = "presence"): readonly string[] =>
  [...values(get(state.publications, packageName)!)].map(({ entityTag }) => entityTag)

describe("a device that publishes anew", () => {
  it(
    "replaces its publication; watchers are told once, of the new one",
    { tags: ["BUG-25", "AGG-1"] },
    () => {
      const before = world.when(opens("t1", desk), at("10:00:00"))
      const watched = before.and().when(subscribe({ packageName: "presence" }), at("10:00:01"))
      const after = watched.and().when(opens("t2", desk), at("10:00:20"))
      deepStrictEqual(
        after.events.map(({ _tag }) => _tag),
        ["PublicationRemoved", "PublicationCreated", "NotificationsIssued"],
      )
      deepStrictEqual(tags(after.and().state), ["n.3"])
      deepStrictEqual(
        after.sent.map(({ body }) => bodyInShort(body)),
        ["t2=open"],
      )
      const [slot] = [...values(get(after.and().state.publications, "presence")!)].map((one) => one.slot)
      deepStrictEqual(slot, 1)
    },
  )

  it("after modifications and refreshes too: a publication keeps its device", { tags: ["BUG-25"] }, () => {
    const modified = world
      .when(opens("t1", desk), at("10:00:00"))
      .and()
      .when(opens("t1b", undefined, "n.1"), at("10:00:10"))
    const refreshed = modified
      .and()
      .when(publish({ packageName: "presence", ifMatch: "n.2" }), at("10:00:20"))
    const anew = refreshed.and().when(opens("t2", desk), at("10:00:30"))
    deepStrictEqual(tags(anew.and().state), ["n.4"])
  })

  it("leaves alone other devices, those that cannot be told, and other packages", { tags: ["AGG-1"] }, () => {
    const all = world
      .when(opens("t1", desk), at("10:00:00"))
      .and()
      .when(opens("t2", "instance urn:uuid:2"), at("10:00:01"))
      .and()
      .when(opens("t3"), at("10:00:02"))
      .and()
      .when(opens("t4"), at("10:00:03"))
      .and()
      .when(calls(dialog("1", "early", "c"), desk), at("10:00:04"))
    deepStrictEqual(tags(all.and().state), ["n.1", "n.2", "n.3", "n.4"])
    deepStrictEqual(tags(all.and().state, "dialog"), ["n.5"])
  })

  it("takes no further place where there is no more", { tags: ["DEP-9"] }, () => {
    const limits = { publicationsMax: 1 }
    const full = standing(initial(alice), { packages, limits }).when(opens("t1", desk), at("10:00:00"))
    deepStrictEqual(full.and().when(opens("t2", desk), at("10:00:01")).answer._tag, "Accepted")
    deepStrictEqual(full.and().when(opens("t2"), at("10:00:01")).answer._tag, "Rejected")
  })

  it("a call that it was in is over, and a late publication brings none back", { tags: ["BUG-25"] }, () => {
    const talking = world.when(calls(dialog("1", "confirmed", "c1"), desk), at("10:00:00"))
    const idle = talking.and().when(calls("", desk), at("10:05:00"))
    const shown = idle.and().when(subscribe({ packageName: "dialog" }), at("10:05:01"))
    deepStrictEqual(summary(read(shown.sent[0]!.body!.text)), [])
    // what was sent before the call was over is stored beside it, and shown by the law of composition
    const over = world.when(calls(dialog("1", "terminated", "c1"), desk), at("10:00:00"))
    const late = over.and().when(calls(dialog("1", "early", "c1"), desk), at("10:00:05"))
    deepStrictEqual(tags(late.and().state, "dialog").length, 2)
    const lamp = late.and().when(subscribe({ packageName: "dialog" }), at("10:00:06"))
    deepStrictEqual(summary(read(lamp.sent[0]!.body!.text)), ["1 terminated c1"])
    const next = over.and().when(calls(dialog("2", "early", "c2"), desk), at("10:00:05"))
    deepStrictEqual(tags(next.and().state, "dialog").length, 1)
  })

  it("two devices with one dialog id and no Call-ID are apart", { tags: ["4235-4.1.1-a"] }, () => {
    const both = world
      .when(calls(dialog("103", "confirmed"), desk), at("10:00:00"))
      .and()
      .when(calls(dialog("103", "terminated"), "instance urn:uuid:2"), at("10:00:10"))
    const lamp = both.and().when(subscribe({ packageName: "dialog" }), at("10:00:11"))
    deepStrictEqual(summary(read(lamp.sent[0]!.body!.text)), ["103 confirmed"])
  })

  it("is told as such afterwards, and decided again alike", { tags: ["L03"] }, () => {
    const before = world.when(opens("t1", desk), at("10:00:00")).and().state
    const after = standing(before, { packages }).when(opens("t2", desk), at("10:00:20"))
    const decision = {
      stream: alice,
      version: 2,
      at: at("10:00:20"),
      cause: "Publish",
      origin: "",
      nonce: "n",
      events: after.events,
    }
    const step = { before, after: after.and().state, decision, notifications: [], position: 2 }
    const change = changeIn(step as unknown as Parameters<typeof changeIn>[0], "presence", null, packages)
    deepStrictEqual(change?._tag === "Published" && [change.event._tag, change.replaced], [
      "PublicationCreated",
      ["n.1"],
    ])
    deepStrictEqual(isDecidable(before, decision), true)
    const again = reconstructCommand(before, decision, {
      packages,
      limits: defaultLimits,
      authorize: () => "allow",
    })
    deepStrictEqual(again?.isExact, true)
  })
})
