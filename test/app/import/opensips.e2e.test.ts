/**
 * Rows in the layout of OpenSIPS, in each kind of database, taken over; and phones that go on with our server.
 */
import assert from "node:assert/strict"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { afterAll, describe, it } from "vitest"
import type { TestContext } from "vitest"
import {
  document,
  documentRow,
  fillMysql,
  fillPostgres,
  fillSqlite,
  publicationRow,
  subscriptionRow,
  watcherRow,
} from "../../support/foreign-tables.ts"
import type { ForeignRows } from "../../support/foreign-tables.ts"
import { startMariaDb } from "../../support/mariadb.ts"
import { emptyFolder, importFrom, inShort } from "../../support/moving.ts"
import { freePort, sharedPostgres } from "../../support/postgres.ts"
import { ruleFor, ruleset } from "../../support/rules-builders.ts"
import { startPresence } from "../../support/server.ts"
import { openPhone, script } from "../../support/sip-client.ts"
import type { Script } from "../../support/sip-client.ts"

const [cluster, mariaDb] = await Promise.all([sharedPostgres(), startMariaDb()])
afterAll(() => {
  cluster?.remove()
  mariaDb?.remove()
})

/** One of everything that is taken, and of everything that is not. */
const rows: ForeignRows = {
  presentity: [
    publicationRow({
      etag: "a.later",
      body: Buffer.from(document("t2", "closed")),
      received_time: 1_700_000_002,
    }),
    publicationRow({
      etag: "a.sooner",
      received_time: 1_700_000_001,
      sender: "sip:alice@192.0.2.7;transport=tcp",
    }),
    publicationRow({ etag: "a.expired", expires: 1_700_000_003 }),
    publicationRow({ etag: "a.broken", body: Buffer.from("<presence") }),
    publicationRow({ etag: "a.latin1", body: Buffer.from("caf\u00e9", "latin1") }),
    publicationRow({ username: "bob", domain: "elsewhere.example", etag: "b.1" }),
    publicationRow({ event: "as-feature-event", etag: "a.other" }),
  ],
  active_watchers: [
    subscriptionRow(),
    subscriptionRow({ watcher_username: "carol", callid: "call-2", status: 2, local_cseq: 1, version: 0 }),
    subscriptionRow({ watcher_username: "dave", callid: "call-3", status: 3, reason: "rejected" }),
    subscriptionRow({ watcher_username: "erin", callid: "call-4", expires: 1_700_000_000 }),
    subscriptionRow({
      watcher_username: "frank",
      callid: "call-5",
      contact: "sip:frank@192.0.2.9;transport=tls",
    }),
    subscriptionRow({ watcher_username: "grace", callid: "call-6", record_route: "<sip:proxy" }),
  ],
  watchers: [
    watcherRow({ inserted_time: 1_700_000_000 }),
    watcherRow({ watcher_username: "carol", status: 2 }),
    watcherRow({ watcher_username: "heidi", status: 2 }),
    watcherRow({ watcher_username: "ivan", status: 1 }),
    watcherRow({ watcher_username: "dave", status: 3 }),
  ],
  xcap: [
    documentRow({ doc: Buffer.from(ruleset(ruleFor("sip:nobody@example.com", "allow"))), username: "zoe" }),
    documentRow({ doc: Buffer.from(document("h", "closed")), username: "zoe", doc_type: 16 }),
    documentRow({ doc: Buffer.from("<resource-lists/>"), doc_type: 4 }),
    documentRow({ doc: Buffer.from("<ruleset"), username: "yves" }),
  ],
}

const expected: Readonly<Record<string, Record<string, number>>> = {
  xcap: { taken: 2, present: 0, "doc_type 4 (resource-lists) is not read": 1, malformed: 1 },
  presentity: {
    taken: 2,
    present: 0,
    expired: 1,
    malformed: 1,
    "its body is not UTF-8": 1,
    "its domain is not served here": 1,
    "there is no event package as-feature-event": 1,
  },
  active_watchers: {
    taken: 2,
    present: 0,
    "terminated: its watcher was refused there": 1,
    expired: 1,
    "its contact or first route is not to be reached over a transport of this server": 1,
    "record_route cannot be read": 1,
  },
  watchers: {
    taken: 1,
    present: 2,
    "active, and nothing is watched: rules decide when it subscribes again": 1,
    "terminated: its watcher was refused there": 1,
  },
}

/** What a reader of XML has to say of a document is its own business. */
const known = (counts: Record<string, number>): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counts).map(([reason, number]) => [
      /^(taken|present|expired|its |there is|terminated|record_route|active|doc_type)/.test(reason)
        ? reason
        : "malformed",
      number,
    ]),
  )

/** @param target a store that is made by it, or has nothing in it */
const imports = async (from: string, target: Parameters<typeof importFrom>[1]): Promise<void> => {
  const request = { layout: "opensips", from } as const
  const rehearsed = await importFrom({ ...request, dryRun: true }, target)
  for (const [table, counts] of Object.entries(expected)) {
    assert.deepEqual(known(inShort(rehearsed, table)), counts, table)
  }
  const report = await importFrom(request, target)
  assert.deepEqual(report.tables, rehearsed.tables)
  assert.equal(report.decisions, 7)
  const again = await importFrom(request, target)
  assert.equal(again.decisions, 0)
}

describe("rows of OpenSIPS, taken and skipped for a reason, twice as once", { tags: ["OPS-import"] }, () => {
  it("in SQLite", async (context) => {
    const data = emptyFolder(context)
    mkdirSync(data)
    const file = join(data, "opensips.db")
    fillSqlite(file, rows)
    await imports(`sqlite:${file}`, { data: emptyFolder(context) })
  })

  it.skipIf(cluster === null)("in PostgreSQL", async () => {
    const url = cluster!.database()
    await fillPostgres(url, rows)
    await imports(url, { database_url: cluster!.database() })
  })

  it.skipIf(mariaDb === null)("in MariaDB", async (context) => {
    await fillMysql(mariaDb!.url, rows)
    await imports(
      mariaDb!.url,
      cluster === null ? { data: emptyFolder(context) } : { database_url: cluster.database() },
    )
  })
})

describe.skipIf(cluster === null)("phones after a move from OpenSIPS", () => {
  it(
    "a refresh gets 200, NOTIFYs go on with CSeq and version through the same proxies",
    { tags: ["OPS-import", "L05"] },
    async (context) => {
      // on a machine that is busy, what is about to expire has done so before there is something to tell
      for (const seconds of [4, 60, 600]) if (await goesOn(context, seconds)) return
      assert.fail("no time is long enough")
    },
  )

  /** @returns false when Carol's subscription, which lasts so many seconds, was over too soon to show anything */
  const goesOn = async (context: TestContext, seconds: number): Promise<boolean> => {
    const port = await freePort()
    const place = { portOf: () => port }
    const phone = await openPhone(place, "udp")
    context.onTestFinished(phone.close)
    const taken = (user: string, toTag: string, cseq: number): Script =>
      Object.assign(script(phone, { user }), {
        toTag,
        target: `sip:presence@127.0.0.1:${port}`,
        notifyCseq: cseq,
        cseq: 3,
      })
    const bob = taken("bob", "tag-b", 7)
    const carol = taken("carol", "tag-c", 1)
    const dave = taken("dave", "tag-d", 40)
    const contact = { contact: `sip:bob@${phone.address}`, socket_info: `udp:127.0.0.1:${port}` }
    const row = (user: string, call: Script, more: Parameters<typeof subscriptionRow>[0]) =>
      subscriptionRow({
        ...contact,
        watcher_username: user,
        callid: call.callId,
        from_tag: call.fromTag,
        to_tag: call.toTag,
        local_contact: `sip:presence@127.0.0.1:${port}`,
        ...more,
      })
    const source = cluster!.database()
    const soon = Math.floor(Date.now() / 1000) + seconds
    await fillPostgres(source, {
      presentity: [publicationRow({ etag: "a.1" })],
      active_watchers: [
        row("bob", bob, { record_route: `<sip:${phone.address};lr;x=1>,<sip:192.0.2.1;lr>` }),
        row("carol", carol, { local_cseq: 1, version: 1, expires: soon }),
        row("dave", dave, { event: "dialog", local_cseq: 40, version: 41 }),
      ],
      watchers: [watcherRow(), watcherRow({ watcher_username: "carol" })],
    })
    const target = cluster!.database()
    const report = await importFrom({ layout: "opensips", from: source }, { database_url: target })
    assert.equal(report.decisions, 4)
    const server = await startPresence({
      memory: false,
      database_url: target,
      domain: ["example.com"],
      listen: [`udp:127.0.0.1:${port}`],
    })
    context.onTestFinished(server.stop)

    assert.equal((await bob.subscribe({ Expires: "600", Contact: `<${contact.contact}>` })).raw.status, 200)
    const refreshed = await bob.notified({ state: "active", body: document("t1", "open") })
    assert.deepEqual(refreshed.raw.headers.get("route"), [
      `<sip:${phone.address};lr;x=1>`,
      "<sip:192.0.2.1;lr>",
    ])
    const alice = script(phone, { user: "alice" })
    const changed = await alice.publish({ "SIP-If-Match": "a.1", Expires: "600" }, document("t1", "closed"))
    assert.equal(changed.raw.status, 200)
    if (Date.now() / 1000 >= soon) return false
    await bob.notified({ state: "active", body: document("t1", "closed") })
    await carol.notified({ state: "active", body: document("t1", "closed") })
    const line = script(phone, { user: "alice" })
    const dialogs = `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com"><dialog id="1"><state>confirmed</state></dialog></dialog-info>`
    const headers = { Event: "dialog", "Content-Type": "application/dialog-info+xml", Expires: "60" }
    assert.equal((await line.publish(headers, dialogs)).raw.status, 200)
    const told = await dave.notify()
    assert.deepEqual([told.raw.cseq, told.header("event")], [41, "dialog"])
    assert.match(told.raw.body.toString("utf8"), /version="41"/)
    // nobody refreshed it meanwhile: it ends in order
    await carol.notified({ state: "terminated;reason=timeout" })
    return true
  }
})
