/**
 * The Accept header of the newest SUBSCRIBE says of which media type the bodies of NOTIFYs are.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { passThrough } from "../../../src/domain/packages/pass-through.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import { decide } from "../../../src/domain/presentity/decide.ts"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { react } from "../../../src/domain/presentity/react.ts"
import { freeze, thaw } from "../../../src/domain/presentity/snapshot.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { get, values } from "../../../src/domain/table.ts"
import { after, alice, dialogOf, publish, resubscribe, subscribe } from "../../support/builders.ts"

const types = ["text/xml", "application/json", "text/plain"]
const profiles = passThrough({ name: "ua-profile", contentTypes: types })

/** A presentity that goes through every form that it is kept in. */
const begin = (eventPackage: EventPackage = profiles) => {
  const packages = makeRegistry([eventPackage])
  const limits = { ...defaultLimits, notifyIntervalMillis: 0 }
  let state: State = initial(alice)
  let seconds = 0
  const ask = (command: Command) => {
    const now = after(`${++seconds} s`)
    const context = {
      now,
      nonce: `n${seconds}`,
      limits,
      packages,
      authorize: allowEveryone,
      inFlight: () => false,
      findDialog: (key: string) =>
        values(state.dialogs).find(({ start }) => key.startsWith(`${start.callId}\n`))?.no ?? null,
    }
    const { events, answer } = decide(state, command, context)
    const next = fold(state, { events, at: now, version: state.version + 1 })
    const sent = react(state, events, next, now, { packages, limits })
    // a restart
    state = thaw(JSON.parse(JSON.stringify(freeze(next))) as ReturnType<typeof freeze>)
    deepStrictEqual(freeze(state), freeze(next))
    return {
      events,
      status: answer._tag === "Rejected" ? answer.rejection.status : 200,
      shown: sent.map(({ body }) => (body === null ? null : `${body.contentType} ${body.text}`)),
    }
  }
  return { ask, state: () => state }
}

const document = (contentType: string, text: string, ifMatch: readonly string[] = []) =>
  publish({ packageName: "ua-profile", body: { contentType, text }, ifMatch })
const watches = (accept: readonly string[] | null, dialog = 1) =>
  subscribe({ packageName: "ua-profile", accept, dialog: dialogOf(dialog) })
const again = (accept: readonly string[] | null, cseq: number, expires = 600) =>
  resubscribe(1, { packageName: "ua-profile", accept, cseq, expires })

const factsOf = (events: readonly Event[]): readonly unknown[] =>
  events.flatMap((event) => ("accept" in event ? [event.accept] : []))

describe("Accept", () => {
  it("a body is of a type that the watcher takes, or there is none", { tags: ["3856-6.7-e"] }, () => {
    const { ask } = begin()
    ask(document("text/xml", "<a/>"))
    deepStrictEqual(ask(watches(["application/json"])).shown, [null])
    deepStrictEqual(ask(watches(["text/*"], 2)).shown, ["text/xml <a/>"])
    deepStrictEqual(ask(watches(null, 3)).shown, ["text/xml <a/>"])
    // what is published next goes to whom it may; the others have what they can read
    deepStrictEqual(ask(document("application/json", "{}")).shown, [
      "application/json {}",
      "application/json {}",
    ])
    deepStrictEqual(ask(document("text/plain", "b")).shown, ["text/plain b", "text/plain b"])
  })

  it(
    "of several publications the newest of a type that the watcher takes is shown, and none that it does not take when that ends",
    { tags: ["3856-6.7-e"] },
    () => {
      const { ask, state } = begin()
      ask(document("application/json", "{1}"))
      ask(document("text/xml", "<a/>"))
      deepStrictEqual(ask(watches(["application/json"])).shown, ["application/json {1}"])
      const tag = values(get(state().publications, "ua-profile")!).find(
        ({ body }) => body?.contentType === "application/json",
      )!.entityTag
      deepStrictEqual(
        ask(publish({ packageName: "ua-profile", ifMatch: [tag], expires: 0, body: null })).shown,
        [null],
      )
    },
  )

  it(
    "the newest SUBSCRIBE counts, also that which ends, and the log has what it said",
    { tags: ["3856-6.7-e"] },
    () => {
      const { ask } = begin()
      ask(document("application/json", "{}"))
      const first = ask(watches(["text/xml", "image/png"]))
      deepStrictEqual([first.shown, factsOf(first.events)], [[null], [["text/xml"]]])
      const second = ask(again(["application/json"], 2))
      deepStrictEqual(
        [second.shown, factsOf(second.events)],
        [["application/json {}"], [["application/json"]]],
      )
      // the same once more is no news
      deepStrictEqual(factsOf(ask(again(["application/json"], 3)).events), [])
      const all = ask(again(["*/*"], 4))
      deepStrictEqual([all.shown, factsOf(all.events)], [["application/json {}"], [null]])
      deepStrictEqual(ask(again(["text/plain"], 5, 0)).shown, [null])
    },
  )

  it(
    "whoever takes nothing that the package sends is answered 406; whoever takes all of it leaves no trace",
    { tags: ["3265-3.1.6.1"] },
    () => {
      const { ask } = begin()
      deepStrictEqual(ask(watches(["image/png"])).status, 406)
      deepStrictEqual(ask(watches([])).status, 406)
      for (const [index, accept] of [null, ["*/*"], types, ["text/*", "application/*"]].entries())
        deepStrictEqual(factsOf(ask(watches(accept, 10 + index)).events), [])
      const one = begin(passThrough({ name: "ua-profile", contentTypes: ["text/xml"] }))
      deepStrictEqual(factsOf(one.ask(watches(["text/xml"])).events), [])
    },
  )

  it(
    "an own package can render what the watcher takes; what it renders otherwise is not sent",
    { tags: ["3856-6.7-e"] },
    () => {
      const twoFaced: EventPackage<string, "ua-profile"> = {
        name: "ua-profile",
        accepts: ["text/plain"],
        produces: ["text/xml", "application/json"],
        defaultExpires: 3600,
        entityTags: "new-each-time",
        notifyIntervalMillis: 0,
        parse: ({ text }) => ({ _tag: "Parsed", document: text }),
        compose: ({ documents, isAccepted }) => {
          const text = documents.at(-1)?.document
          if (text === undefined) return null
          return isAccepted?.("text/xml") === false ? `json ${text}` : text
        },
        render: (document) =>
          document.startsWith("json ")
            ? { contentType: "application/json", text: JSON.stringify(document.slice(5)) }
            : { contentType: "text/xml", text: `<${document}/>` },
        offline: () => "gone",
      }
      const { ask } = begin(twoFaced)
      const said = ask(publish({ packageName: "ua-profile", body: { contentType: "text/plain", text: "a" } }))
      deepStrictEqual(said.status, 200)
      deepStrictEqual(ask(watches(["application/json"])).shown, ['application/json "a"'])
      deepStrictEqual(ask(watches(["text/xml"], 2)).shown, ["text/xml <a/>"])
      deepStrictEqual(
        ask(publish({ packageName: "ua-profile", body: { contentType: "text/plain", text: "b" } })).shown,
        ['application/json "b"', "text/xml <b/>"],
      )
    },
  )

  it(
    "whatever is published and asked for, no body is of a type that its watcher's last SUBSCRIBE did not name",
    { tags: ["3856-6.7-e"] },
    () => {
      const range = fc.constantFrom(
        "text/xml",
        "application/json",
        "text/plain",
        "text/*",
        "*/*",
        "image/png",
      )
      const accepts = fc.option(fc.array(range, { maxLength: 3 }), { nil: null })
      const step = fc.oneof(
        fc.record({ does: fc.constant("publish" as const), type: fc.constantFrom(...types) }),
        fc.record({ does: fc.constant("subscribe" as const), accept: accepts }),
        fc.record({ does: fc.constant("refresh" as const), accept: accepts, ends: fc.boolean() }),
      )
      fc.assert(
        fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
          const { ask } = begin()
          let [cseq, dialog] = [1, 0]
          /** Of the one watcher that is there. */
          let taken: readonly string[] | null = null
          let isThere = false
          for (const [index, one] of steps.entries()) {
            let { shown }: { readonly shown: readonly (string | null)[] } = { shown: [] }
            if (one.does === "publish") ({ shown } = ask(document(one.type, `${index}`)))
            else if (one.does === "subscribe" && !isThere) {
              const asked = ask(
                subscribe({ packageName: "ua-profile", accept: one.accept, dialog: dialogOf(++dialog) }),
              )
              ;({ shown } = asked)
              if (asked.status !== 200) continue
              ;[isThere, cseq, taken] = [true, 1, one.accept]
            } else if (one.does === "refresh" && isThere) {
              const expires = one.ends ? 0 : 600
              const asked = ask(
                resubscribe(dialog, { packageName: "ua-profile", accept: one.accept, cseq: ++cseq, expires }),
              )
              ;({ shown } = asked)
              if (asked.status !== 200) continue
              taken = one.accept
              isThere = !one.ends
            }
            for (const text of shown) {
              const type = text?.split(" ")[0]
              if (type === undefined || taken === null) continue
              const ok1 = taken.some(
                (some) => some === "*/*" || some === type || some === `${type.split("/")[0]}/*`,
              )
              ok(ok1, `${type} to whom takes ${taken.join()}`)
            }
          }
        }),
      )
    },
  )
})
