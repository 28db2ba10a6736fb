/**
 * Snapshots as they are stored: whatever a state is, it is read back whole, and what was stored once is read for ever.
 */
import { deepStrictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { Snapshot } from "../../src/domain/presentity/snapshot.ts"
import { size } from "../../src/domain/table.ts"
import { readStoredSnapshot, storedSnapshot } from "../../src/encoding/stored-snapshot.ts"
import { forEveryRuledHistory } from "../support/ruled-history.ts"

const json = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe("a stored snapshot", () => {
  it("gives back every state that a history leads to", { tags: ["OPS-mem_copy_subs", "L04"] }, () => {
    let subscriptions = 0
    forEveryRuledHistory((run) => {
      for (const { after } of run.moments) {
        subscriptions += size(after.subscriptions)
        const frozen = freeze(after)
        const read = readStoredSnapshot(json(storedSnapshot(frozen))) as Snapshot
        deepStrictEqual(read, json(frozen))
        deepStrictEqual(freeze(thaw(read)), frozen)
      }
    })
    if (subscriptions === 0) throw new Error("no history has a subscription")
  })

  it("is read when it was stored by the first version that wrote rows", { tags: ["L04"] }, () => {
    deepStrictEqual(readStoredSnapshot(storedFirst), readFirst)
    deepStrictEqual(json(storedSnapshot(readFirst as unknown as Snapshot)), storedFirst)
  })

  it("is left as it is when it is older, or no snapshot at all", { tags: ["L04"] }, () => {
    deepStrictEqual(readStoredSnapshot(readFirst), readFirst)
    for (const damaged of [
      { ...storedFirst, subscriptions: null },
      { ...storedFirst, dialogs: [1] },
      { ...storedFirst, dialogs: [[]] },
      { ...storedFirst, dialogs: [[null, 4]] },
    ])
      deepStrictEqual(readStoredSnapshot(damaged), damaged)
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        deepStrictEqual(readStoredSnapshot(value), value)
      }),
    )
  })
})

const common = {
  presentity: "sip:alice@example.com",
  version: 7,
  decidedAt: 1796069477790,
  publications: [],
  waiting: [],
  rules: [],
  watchersChangedIn: [],
  departed: [],
}

const storedFirst = {
  shape: 2,
  ...common,
  subscriptions: [
    [
      2,
      "presence",
      null,
      "sip:bob@example.com",
      "active",
      false,
      "0,3",
      false,
      "approved",
      5,
      1796069477777,
      1796073077777,
      null,
      4,
      6,
      "1m89zzl4boj",
      true,
      1796069477788,
      7,
      1796069477778,
      3,
      1796069477799,
      false,
      { min: 1 },
      null,
      [1796069477788],
      { accept: ["application/pidf+xml"], private: true },
    ],
  ],
  dialogs: [
    [
      [
        "call@192.0.2.20",
        "ours",
        "theirs",
        "<sip:alice@example.com>",
        "<sip:bob@example.com>",
        "sip:bob@192.0.2.20",
        ["<sip:p.example.com;lr>"],
        8,
        "sip:192.0.2.10",
        "udp:192.0.2.10:5060",
        "192.0.2.20:5060",
        { room: 500 },
      ],
      4,
      "sip:bob@192.0.2.21",
      9,
      10,
      1,
      { proof: { _tag: "Unproven", room: 400, since: 2 } },
    ],
  ],
}

const readFirst = {
  shape: 1,
  ...common,
  subscriptions: [
    {
      no: 2,
      packageName: "presence",
      eventId: null,
      watcher: "sip:bob@example.com",
      status: "active",
      polite: false,
      matched: "0,3",
      forced: false,
      event: "approved",
      changedIn: 5,
      createdAt: 1796069477777,
      expiresAt: 1796073077777,
      giveUpAt: null,
      dialog: 4,
      notified: 6,
      shown: "1m89zzl4boj",
      spared: true,
      issuedAt: 1796069477788,
      toldIn: 7,
      pacedAt: 1796069477778,
      heardAt: 3,
      dueAt: 1796069477799,
      dormant: false,
      rates: { min: 1 },
      repeatAt: null,
      recent: [1796069477788],
      accept: ["application/pidf+xml"],
      private: true,
    },
  ],
  dialogs: [
    {
      no: 4,
      start: {
        callId: "call@192.0.2.20",
        localTag: "ours",
        remoteTag: "theirs",
        localUri: "<sip:alice@example.com>",
        remoteUri: "<sip:bob@example.com>",
        remoteTarget: "sip:bob@192.0.2.20",
        routeSet: ["<sip:p.example.com;lr>"],
        remoteCseq: 8,
        localContact: "sip:192.0.2.10",
        flow: "udp:192.0.2.10:5060",
        source: "192.0.2.20:5060",
        room: 500,
      },
      remoteTarget: "sip:bob@192.0.2.21",
      remoteCseq: 9,
      localCseq: 10,
      usages: 1,
      proof: { _tag: "Unproven", room: 400, since: 2 },
    },
  ],
}
