/**
 * What single columns of another server's tables mean, and which of them cannot be used.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import type { ActiveWatcherRow, PresentityRow, WatcherRow } from "../../../src/adapters/import/layouts.ts"
import { prepareDialog } from "../../../src/adapters/sip/format-notify.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import { packagesOf } from "../../../src/app/config/packages.ts"
import {
  adoptActiveWatcherRow,
  adoptPresentityRow,
  adoptWatcherRow,
  adoptXcapRow,
} from "../../../src/app/import/adoption.ts"
import type { Adoption, AdoptionRules } from "../../../src/app/import/adoption.ts"
import type { AdoptPublication, AdoptSubscription } from "../../../src/domain/presentity/adopt-commands.ts"
import { document } from "../../support/foreign-tables.ts"

const now = Date.UTC(2026, 10, 20, 10)
const second = (offset: number): number => now / 1000 + offset

const rules: AdoptionRules = {
  packages: packagesOf(readConfig({ flags: {}, set: [], env: {}, file: null, defaults: {} })),
  now,
  domains: ["example.com"],
  graceMillis: 0,
  oma: false,
}

const publication = (over: Partial<PresentityRow> = {}): PresentityRow => ({
  username: "alice",
  domain: "example.com",
  event: "presence",
  etag: "a.1",
  expires: second(60),
  receivedTime: second(-60),
  body: Buffer.from(document("t", "open")),
  extraHeaders: Buffer.from(""),
  sender: "",
  ...over,
})

const subscription = (over: Partial<ActiveWatcherRow> = {}): ActiveWatcherRow => ({
  presentityUri: "sip:alice@example.com",
  watcherUsername: "bob",
  watcherDomain: "example.com",
  toUser: "alice",
  toDomain: "example.com",
  fromUser: "bob",
  fromDomain: "example.com",
  event: "presence",
  eventId: "",
  toTag: "to",
  fromTag: "from",
  callId: "call",
  lastCseq: 7,
  remoteCseq: 3,
  contact: "sip:bob@192.0.2.20",
  recordRoute: "",
  expires: second(60),
  status: 1,
  reason: "",
  nextVersion: 7,
  socketInfo: "udp:192.0.2.10:5060",
  localContact: "sip:presence@192.0.2.10",
  insertedTime: second(-600),
  ...over,
})

const watcher = (over: Partial<WatcherRow> = {}): WatcherRow => ({
  presentityUri: "sip:alice@example.com",
  watcherUsername: "bob",
  watcherDomain: "example.com",
  event: "presence",
  status: 2,
  insertedTime: second(-600),
  ...over,
})

const why = (adoption: Adoption): string => (adoption._tag === "Skip" ? adoption.why : "taken")
const published = (over: Partial<PresentityRow>): AdoptPublication =>
  taken(adoptPresentityRow(publication(over), rules)) as AdoptPublication
const subscribed = (over: Partial<ActiveWatcherRow>, more: Partial<AdoptionRules> = {}): AdoptSubscription =>
  taken(adoptActiveWatcherRow(subscription(over), { ...rules, ...more })) as AdoptSubscription
const taken = (adoption: Adoption) => {
  assert.ok(adoption._tag === "Ask", why(adoption))
  return adoption.command
}

describe("presentity", () => {
  it(
    "a body ends at a NUL, as the module reads it, and must be UTF-8",
    { tags: ["OPS-import", "TBL-1"] },
    () => {
      const text = document("t", "open")
      assert.equal(published({ body: Buffer.from(`${text}\0junk`) }).body?.text, text)
      assert.equal(published({ body: Buffer.from("") }).body, null)
      assert.match(why(adoptPresentityRow(publication({ body: Buffer.from([0xff]) }), rules)), /UTF-8/)
    },
  )

  it(
    "extra_hdrs gives the headers that the package carries, in its spelling",
    { tags: ["OPS-import"] },
    () => {
      const extraHeaders = Buffer.from(
        "call-info: <sip:example.com>;appearance-index=*\r\nX-Other: 1\r\n",
        "latin1",
      )
      const { headers } = published({ event: "call-info", extraHeaders, body: Buffer.from("") })
      assert.deepEqual(headers, [["Call-Info", "<sip:example.com>;appearance-index=*"]])
      assert.equal(published({ extraHeaders }).headers, undefined)
    },
  )

  it("a sender's URI keeps its parameters, with and without angle brackets", { tags: ["OPS-import"] }, () => {
    const uri = "sip:alice@192.0.2.7;transport=tcp"
    assert.equal(published({ sender: uri }).sender, uri)
    assert.equal(published({ sender: `"A" <${uri}>;x=1` }).sender, uri)
    assert.equal(published({ sender: "" }).sender, null)
    assert.equal(published({ sender: "nobody" }).sender, null)
  })

  it(
    "names of the presentity are made canonical; telephone numbers have no domain",
    { tags: ["OPS-import"] },
    () => {
      const presentity = (over: Partial<PresentityRow>): string => {
        const adoption = adoptPresentityRow(publication(over), rules)
        return adoption._tag === "Ask" ? adoption.presentity : adoption.why
      }
      assert.equal(presentity({ domain: "EXAMPLE.com" }), "sip:alice@example.com")
      assert.equal(presentity({ username: "+4930123", domain: "" }), "tel:+4930123")
      assert.equal(presentity({ username: "", domain: "example.com" }), "sip:example.com")
      assert.equal(presentity({ username: "a b" }), "username and domain are no address")
      assert.equal(presentity({ domain: "elsewhere.example" }), "its domain is not served here")
    },
  )

  it(
    "what is over, cannot be named or is not known is skipped for that reason",
    { tags: ["OPS-import"] },
    () => {
      const skipped = (over: Partial<PresentityRow>): string =>
        why(adoptPresentityRow(publication(over), rules))
      assert.equal(skipped({ expires: second(0) }), "expired")
      assert.equal(skipped({ etag: "a b" }), "its entity-tag cannot be named in a request")
      assert.equal(skipped({ event: "refer" }), "there is no event package refer")
    },
  )
})

describe("active_watchers", () => {
  it("contact and local_contact are URIs whose parameters are their own", { tags: ["OPS-import"] }, () => {
    const uri = "sip:bob@192.0.2.20:5062;transport=tcp;ob"
    const { dialog } = subscribed({ contact: uri, localContact: `<sip:p@192.0.2.10;transport=tcp>` })
    assert.equal(dialog.remoteTarget, uri)
    assert.equal(dialog.localContact, "sip:p@192.0.2.10;transport=tcp")
    assert.equal(subscribed({ contact: "sip:bob@192.0.2.20?X=1" }).dialog.remoteTarget, "sip:bob@192.0.2.20")
  })

  it(
    "an address beside the host of a contact, which a proxy there wrote, is where NOTIFYs go",
    { tags: ["OPS-import"] },
    () => {
      for (const [contact, place] of [
        ["sip:bob@10.0.0.7:5062;alias=192.0.2.20~40001~1", "udp:192.0.2.20:40001"],
        ["sip:bob@10.0.0.7;transport=tls;alias=192.0.2.20~40001~1", "udp:192.0.2.20:40001"],
        ["<sip:bob@10.0.0.7;received=192.0.2.20:40001;line=7>", "any:192.0.2.20:40001"],
        ["sip:bob@10.0.0.7;transport=tcp;alias=192.0.2.20~40001~2", "tcp:192.0.2.20:40001"],
      ] as const) {
        const { dialog } = subscribed({ contact })
        const { hop, requestUri, isBound } = prepareDialog(dialog)
        assert.equal(dialog.reach, "alias")
        assert.equal(`${hop?.transport?.name ?? "any"}:${hop?.host}:${hop?.port}`, place)
        assert.ok(!/alias|received/.test(requestUri) && requestUri.startsWith("sip:bob@10.0.0.7"))
        // nobody can connect to the port of a connection that was another server's
        assert.equal(isBound, place.startsWith("tcp"))
      }
      for (const contact of [
        "sip:bob@192.0.2.20;alias=nowhere~1~1",
        "sip:bob@192.0.2.20;alias=192.0.2.9~5060~3",
      ])
        assert.equal(subscribed({ contact }).dialog.reach, undefined)
    },
  )

  it("record_route is the route set in order, each as written", { tags: ["OPS-import"] }, () => {
    const { dialog } = subscribed({
      recordRoute: `<sip:p1.example.com;lr;x=1>,\r\n "P, Q" <sip:p2.example.com;lr>;y=1\r\n`,
    })
    assert.deepEqual(dialog.routeSet, ["<sip:p1.example.com;lr;x=1>", `"P, Q" <sip:p2.example.com;lr>;y=1`])
  })

  it("To and From of the SUBSCRIBE stay apart from presentity and watcher", { tags: ["OPS-import"] }, () => {
    const { dialog, watcher: who } = subscribed({
      toUser: "a.lias",
      fromUser: "b.lias",
      fromDomain: "pbx.example.com",
    })
    assert.deepEqual(
      [dialog.localUri, dialog.remoteUri, who],
      ["<sip:a.lias@example.com>", "<sip:b.lias@pbx.example.com>", "sip:bob@example.com"],
    )
  })

  it("the other server's grace is replaced by ours", { tags: ["OPS-import", "OPS-expires_offset"] }, () => {
    assert.equal(subscribed({}).expiresAt, now + 60_000)
    assert.equal(subscribed({}, { graceMillis: -30_000 }).expiresAt, now + 30_000)
    assert.equal(why(adoptActiveWatcherRow(subscription(), { ...rules, graceMillis: -60_000 })), "expired")
  })

  it("counters, status, reason and the time of the first SUBSCRIBE", { tags: ["OPS-import"] }, () => {
    assert.deepEqual(subscribed({}).takenOver, { localCseq: 7, notified: 7, createdAt: now - 600_000 })
    assert.deepEqual(subscribed({ insertedTime: null, lastCseq: -1, nextVersion: -1 }).takenOver, {
      localCseq: 0,
      notified: 0,
      createdAt: now,
    })
    const { status, polite } = subscribed({ reason: "polite-block" })
    assert.deepEqual([status, polite], ["active", true])
    assert.deepEqual(subscribed({ status: 2 }).status, "pending")
    assert.deepEqual([subscribed({ eventId: "7" }).eventId, subscribed({}).eventId], ["7", null])
  })

  it("what could not stand in a message again is skipped", { tags: ["OPS-import", "T1"] }, () => {
    const skipped = (over: Partial<ActiveWatcherRow>): string =>
      why(adoptActiveWatcherRow(subscription(over), rules))
    assert.equal(skipped({ callId: "a\r\nX: 1" }), "callid is empty or not a word")
    assert.equal(skipped({ toTag: "" }), "to_tag is empty or not a word")
    assert.equal(skipped({ fromTag: "a;b" }), "from_tag is no token")
    assert.equal(skipped({ contact: "" }), "contact is no URI")
    assert.equal(skipped({ localContact: "here" }), "local_contact is no URI")
    assert.equal(skipped({ recordRoute: "<sip:p" }), "record_route cannot be read")
    assert.equal(skipped({ eventId: "a\nb" }), "event_id is no token")
    assert.equal(skipped({ toUser: "a>\r\n" }), "To or From is no address")
    assert.equal(skipped({ status: 3 }), "terminated: its watcher was refused there")
    assert.equal(skipped({ status: 9 }), "status 9 is not known")
    assert.match(skipped({ contact: "sips:bob@192.0.2.20" }), /not to be reached/)
    assert.match(skipped({ contact: "sip:bob@192.0.2.20;transport=tls" }), /not to be reached/)
    const overTls = { ...rules, listened: ["tls", "ws"] as const }
    for (const contact of ["sips:bob@192.0.2.20", "sip:bob@192.0.2.20;transport=tls"])
      assert.equal(why(adoptActiveWatcherRow(subscription({ contact }), overTls)), "taken")
    const inBrowser = subscription({ contact: "sip:bob@192.0.2.20;transport=ws" })
    assert.match(why(adoptActiveWatcherRow(inBrowser, overTls)), /not to be reached/)
    assert.equal(
      skipped({ contact: "sip:bob@192.0.2.20;transport=tls", recordRoute: "<sip:192.0.2.1;lr>" }),
      "taken",
    )
  })
})

describe("watchers and xcap", () => {
  it("pending waits, terminated does not, and nobody was born after now", { tags: ["OPS-import"] }, () => {
    const command = taken(adoptWatcherRow(watcher({ insertedTime: second(60) }), rules))
    assert.deepEqual(command, {
      _tag: "AdoptWatcher",
      packageName: "presence",
      watcher: "sip:bob@example.com",
      createdAt: now,
    })
    assert.equal(
      why(adoptWatcherRow(watcher({ status: 3 }), rules)),
      "terminated: its watcher was refused there",
    )
  })

  it(
    "rules, OMA rules when they are read, hard state; the first of each kind",
    { tags: ["OPS-import", "OPS-integrated_xcap_server"] },
    () => {
      const row = { username: "alice", domain: "example.com", docType: 2, doc: Buffer.from("<ruleset/>") }
      const tag = (docType: number, oma = false): string => {
        const adoption = adoptXcapRow({ ...row, docType }, { ...rules, oma }, true)
        return adoption._tag === "Ask" ? adoption.command._tag : adoption.why
      }
      assert.deepEqual([tag(2), tag(32, true), tag(16)], ["ReplaceRules", "ReplaceRules", "SetHardState"])
      assert.equal(tag(32), "doc_type 32 (OMA pres-rules, taken with oma_rules) is not read")
      assert.equal(tag(8), "doc_type 8 (rls-services) is not read")
      assert.match(why(adoptXcapRow(row, rules, false)), /a second document/)
    },
  )
})
