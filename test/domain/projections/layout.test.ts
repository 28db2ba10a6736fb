import { deepStrictEqual, strictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { State } from "../../../src/domain/presentity/state.ts"
import { differingColumns, layouts, nameOf, rowOf, rowsOf } from "../../../src/domain/projections/layout.ts"
import { cut, narrow } from "../../../src/domain/projections/widths.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"

const alice = "sip:alice@example.com" as Uri

const watched = (...watchers: readonly string[]): State =>
  watchers.reduce((state, watcher, index): State => {
    const event: Event = {
      _tag: "SubscriptionCreated",
      no: index + 1,
      packageName: "presence",
      eventId: null,
      watcher: `sip:${watcher}@example.com` as Uri,
      status: index === 0 ? "pending" : "active",
      polite: false,
      matched: null,
      giveUpAt: null,
      expiresAt: 9_000_000,
      dialog: index + 1,
      start: {
        callId: `call-${index}`,
        localTag: "l",
        remoteTag: "r",
        localUri: "",
        remoteUri: "",
        remoteTarget: "sip:w@192.0.2.1",
        routeSet: [],
        remoteCseq: 1,
        localContact: "",
        flow: "",
        source: "",
      },
      remoteCseq: 1,
    }
    return fold(state, { version: index + 1, at: 1000 * (index + 1), events: [event] })
  }, initial(alice))

describe("what the columns hold", () => {
  it(
    "a value is cut by characters, never inside one, and ends at a NUL as readers of the module see it",
    { tags: ["TBL-2"] },
    () => {
      strictEqual(cut("username", "é".repeat(65)), "é".repeat(64))
      strictEqual(cut("username", `${"x".repeat(63)}😀y`), `${"x".repeat(63)}😀`)
      strictEqual(cut("body", "y".repeat(1000)).length, 1000)
      strictEqual(cut("body", "one\0two"), "one")
      deepStrictEqual(narrow({ expires: 4e9, reason: null, callid: "c" }), {
        expires: 2_147_483_647,
        reason: null,
        callid: "c",
      })
    },
  )

  it(
    "watchers that the columns cannot tell apart share a row, whichever of them is looked at",
    { tags: ["OPS-watchers", "TBL-2"] },
    () => {
      const long = "w".repeat(64)
      const state = watched(`${long}1`, `${long}2`)
      const [one, other] = ["1", "2"].map((end) =>
        rowOf(state, {
          table: "watchers",
          packageName: "presence",
          watcher: `sip:${long}${end}@example.com` as Uri,
        }),
      )
      deepStrictEqual(one, other)
      deepStrictEqual([one?.["status"], one?.["inserted_time"], one?.["watcher_username"]], [1, 1, long])
      const names = rowsOf(state).flatMap((key) => (key.table === "watchers" ? [nameOf(state, key)] : []))
      strictEqual(new Set(names).size, 1)
    },
  )

  it(
    "a row has the columns of its table, and nothing else",
    { tags: ["OPS-presentity", "OPS-active_watchers", "OPS-watchers"] },
    () => {
      const state = fold(watched("bob"), {
        version: 2,
        at: 5000,
        events: [
          {
            _tag: "PublicationCreated",
            packageName: "presence",
            entityTag: "e" as EntityTag,
            expiresAt: 9_000_000,
            body: null,
            headers: [],
            sender: null,
          },
        ],
      })
      for (const key of rowsOf(state)) {
        const row = rowOf(state, key)!
        deepStrictEqual(Object.keys(row).sort(), [...layouts[key.table].columns].sort())
        deepStrictEqual(differingColumns(key.table, row, { ...row }), [])
        for (const column of layouts[key.table].columns) {
          deepStrictEqual(differingColumns(key.table, row, { ...row, [column]: "other" }), [column])
        }
        // no headers are nothing, not something empty
        if (key.table === "presentity") strictEqual(row["extra_hdrs"], null)
      }
    },
  )
})
