/**
 * The rows of the three tables, column by column, and which events change which rows.
 */
import { deepStrictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Event } from "../../../src/domain/presentity/events.ts"
import { fold } from "../../../src/domain/presentity/evolve.ts"
import {
  activeWatcherRow,
  allRows,
  presentityRow,
  splitUri,
  touched,
  watcherRow,
} from "../../../src/domain/projections/rows.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import {
  answeredWith,
  at,
  bob,
  busy,
  carol,
  deferred,
  dialogOf,
  dropped,
  happened,
  notified,
  open,
  publicationModified,
  publicationRefreshed,
  publicationRemoved,
  published,
  retargeted,
  statusChanged,
  subscribed,
  subscriptionCreated,
  subscriptionRefreshed,
  terminated,
} from "../../support/builders.ts"
import { given } from "../../support/given.ts"

const second = (clock: string): number => at(clock) / 1000

describe("rows", () => {
  const { state } = given(
    published("tag-1", open, { sender: "sip:phone@192.0.2.30" }),
    happened(
      at("10:00:00.900"),
      subscriptionCreated(2, {
        eventId: "x",
        start: dialogOf(2, { routeSet: ["<sip:p1;lr>", "<sip:p2;lr>"] }),
        expiresAt: at("11:00:00.999"),
      }),
      answeredWith(2, open),
    ),
    subscribed(3, carol, "nothing", { status: "pending", polite: false }),
  )

  it("a publication's row", { tags: ["OPS-presentity"] }, () => {
    deepStrictEqual(presentityRow(state, "stub", "tag-1"), {
      username: "alice",
      domain: "example.com",
      event: "stub",
      etag: "tag-1",
      expires: second("11:00:00"),
      received_time: second("10:00:00"),
      body: "open",
      extra_hdrs: null,
      sender: "sip:phone@192.0.2.30",
    })
    deepStrictEqual(presentityRow(state, "stub", "tag-2"), undefined)
  })

  it("a subscription's row", { tags: ["OPS-active_watchers"] }, () => {
    deepStrictEqual(activeWatcherRow(state, 2), {
      presentity_uri: "sip:alice@example.com",
      watcher_username: "bob",
      watcher_domain: "example.com",
      to_user: "alice",
      to_domain: "example.com",
      event: "stub",
      event_id: "x",
      to_tag: "local-2",
      from_tag: "remote-2",
      callid: "call-2",
      local_cseq: 1,
      remote_cseq: 1,
      contact: "sip:bob@192.0.2.20",
      record_route: "<sip:p1;lr>,<sip:p2;lr>",
      expires: second("11:00:00"),
      status: 1,
      reason: "",
      version: 1,
      socket_info: "udp:192.0.2.10:5060",
      local_contact: "sip:192.0.2.10",
      sharing_tag: null,
    })
    deepStrictEqual(activeWatcherRow(state, 3)?.status, 2)
    deepStrictEqual(activeWatcherRow(state, 4), undefined)
  })

  it(
    "one row per watcher and package, the most favourable of its subscriptions",
    { tags: ["OPS-watchers"] },
    () => {
      deepStrictEqual(watcherRow(state, "stub", carol), {
        presentity_uri: "sip:alice@example.com",
        watcher_username: "carol",
        watcher_domain: "elsewhere.example",
        event: "stub",
        status: 2,
        reason: "",
        inserted_time: second("10:00:00"),
      })
      const more = fold(state, {
        at: at("10:05:00"),
        version: 4,
        events: [subscriptionCreated(4, { watcher: carol, polite: true })],
      })
      deepStrictEqual(watcherRow(more, "stub", carol), {
        ...watcherRow(state, "stub", carol),
        status: 1,
        reason: "polite-block",
      })
      deepStrictEqual(watcherRow(state, "stub-all", carol), undefined)
      deepStrictEqual(watcherRow(state, "stub", "sip:dave@x" as Uri), undefined)
    },
  )

  it("all rows of a presentity", { tags: ["L05"] }, () => {
    deepStrictEqual(
      allRows(state).toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1)),
      [
        { table: "active_watchers", no: 2, ended: null },
        { table: "active_watchers", no: 3, ended: null },
        { table: "presentity", packageName: "stub", etag: "tag-1" },
        { table: "watchers", packageName: "stub", watcher: bob },
        { table: "watchers", packageName: "stub", watcher: carol },
      ],
    )
  })

  it("user and host of a URI", { tags: ["OPS-uri"] }, () => {
    deepStrictEqual(
      ["sip:a@b", "tel:+1555", "sip:example.com", "sip:a@c@b"].map((uri) => splitUri(uri as Uri)),
      [
        { user: "a", host: "b" },
        { user: "+1555", host: "" },
        { user: "", host: "example.com" },
        { user: "a@c", host: "b" },
      ],
    )
  })
})

describe("rows touched", () => {
  const shared = given(
    published("tag-1", open),
    subscribed(2, bob, open),
    happened(
      at("10:00:00"),
      subscriptionCreated(3, { dialog: 2, start: null, eventId: "A", remoteCseq: 2 }),
      answeredWith(3, open),
    ),
    subscribed(4, carol, open),
  ).state

  const touches = (...events: readonly Event[]): readonly string[] => {
    const after = fold(shared, { events, at: at("10:10:00"), version: 5 })
    const keys = events.flatMap((event) => touched(event, shared, after))
    const named = keys.map((key) =>
      key.table === "active_watchers"
        ? `${key.table} ${key.no}${key.ended === null ? "" : ` ended ${key.ended.callid} ${key.ended.event_id}`}`
        : key.table === "presentity"
          ? `${key.table} ${key.etag}`
          : `${key.table} ${key.watcher}`,
    )
    return [...new Set(named)].toSorted()
  }

  it("by what happens to publications", { tags: ["L05"] }, () => {
    deepStrictEqual(touches(published("tag-5", busy)), ["presentity tag-5"])
    deepStrictEqual(touches(publicationModified("tag-1", "tag-5", busy)), [
      "presentity tag-1",
      "presentity tag-5",
    ])
    deepStrictEqual(touches(publicationRefreshed("tag-1", "tag-5", 0)), [
      "presentity tag-1",
      "presentity tag-5",
    ])
    deepStrictEqual(touches(publicationRemoved("tag-1", "expired")), ["presentity tag-1"])
  })

  it("by what happens to subscriptions, their dialog's others included", { tags: ["L05"] }, () => {
    const bobs = ["active_watchers 2", "active_watchers 3", `watchers ${bob}`]
    deepStrictEqual(touches(subscriptionCreated(5, { watcher: carol })), [
      "active_watchers 5",
      `watchers ${carol}`,
    ])
    deepStrictEqual(touches(subscriptionRefreshed(2, 3, at("12:00:00"))), bobs)
    deepStrictEqual(touches(subscriptionRefreshed(4, 2, at("12:00:00"))), [
      "active_watchers 4",
      `watchers ${carol}`,
    ])
    deepStrictEqual(touches(statusChanged(3, "pending")), bobs)
    deepStrictEqual(touches(retargeted(2, "sip:x@y")), ["active_watchers 2", "active_watchers 3"])
    deepStrictEqual(touches(notified([2], open)), ["active_watchers 2", "active_watchers 3"])
    deepStrictEqual(touches(notified("active", open)), [
      "active_watchers 2",
      "active_watchers 3",
      "active_watchers 4",
    ])
    deepStrictEqual(touches(deferred([2], at("10:20:00"))), [])
  })

  it(
    "an end names the row as it was, and touches who stays in the dialog, even alone",
    { tags: ["L05"] },
    () => {
      deepStrictEqual(touches(terminated(3, "timeout")), [
        "active_watchers 2",
        "active_watchers 3 ended call-2 A",
        `watchers ${bob}`,
      ])
      deepStrictEqual(touches(dropped(2), dropped(3)), [
        "active_watchers 2 ended call-2 ",
        "active_watchers 3 ended call-2 A",
        `watchers ${bob}`,
      ])
      // a fetch never had a row
      deepStrictEqual(touches(subscriptionCreated(5), terminated(5, "timeout")), [])
    },
  )
})
