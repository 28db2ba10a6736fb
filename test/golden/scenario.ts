/**
 * A history in which every kind of event happens, with every field it can have, on the engine of today with the packages of
 * a server: what golden logs are recorded from.
 */
import { pseudonym } from "../../src/adapters/store/encryption/encrypted-decision.ts"
import { dropDocuments } from "../../src/adapters/store/integrity/hash-chain.ts"
import { makeMemoryLog } from "../../src/adapters/store/memory.ts"
import { caseWorldOf } from "../../src/app/case/world.ts"
import { readConfig } from "../../src/app/config/config.ts"
import type { Release } from "../../src/domain/engine/engine.ts"
import { makeEngine } from "../../src/domain/engine/make-engine.ts"
import { programFlow } from "../../src/domain/presentity/abandon.ts"
import { clockOf } from "../../src/domain/presentity/clock.ts"
import type { Answer, Command, DeliveryOutcome } from "../../src/domain/presentity/commands.ts"
import type { Event } from "../../src/domain/presentity/events.ts"
import type { Farewell } from "../../src/domain/presentity/farewell.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { retentionStream } from "../../src/domain/presentity/retention.ts"
import { sharingTagsStream } from "../../src/domain/presentity/sharing-tags.ts"
import { anonymous } from "../../src/domain/privacy.ts"
import { get, values } from "../../src/domain/table.ts"
import type { Arrival, EntityTag, Millis, Uri } from "../../src/domain/vocabulary.ts"
import { worldOf } from "../../src/explain/case/world.ts"
import type { CaseWorld } from "../../src/explain/case/world.ts"
import type { RecordedDecision } from "../../src/ports/event-store.ts"
import { alice, at, bob, carol, dialogOf, publish, resubscribe, subscribe } from "../support/builders.ts"
import { pidf } from "../support/ruled.ts"
import { everything, handling, rule, ruleset } from "../support/rules-builders.ts"

const settings = caseWorldOf(
  readConfig({
    flags: {},
    set: ["pass_through=ua-profile=text/xml|application/json"],
    env: {},
    file: null,
    defaults: { mix_dialog_presence: true },
  }),
)

export const world: CaseWorld = {
  ...settings,
  limits: {
    ...settings.limits,
    watching: { policies: { "*": "everybody" }, lineMembers: {}, mailboxOwners: {} },
  },
  authorize: "rules",
}

const [dave, erin, frank] = ["dave", "erin", "frank"].map((name) => `sip:${name}@example.com` as Uri) as [
  Uri,
  Uri,
  Uri,
]
const line = "sip:line@example.com" as Uri

const one = (who: Uri): string => `<identity><one id="${who}"/></identity>`
const rules = (until: string) => ({
  contentType: "application/auth-policy+xml",
  text: ruleset(
    rule("r0", one(bob), handling("allow"), everything) +
      rule("r1", one(carol), handling("allow"), everything) +
      rule("r2", one(dave), handling("confirm"), everything) +
      rule("r3", one(erin), handling("polite-block"), everything) +
      rule(
        "r4",
        `${one(frank)}<validity><from>2026-11-20T09:00:00Z</from><until>2026-11-20T${until}Z</until></validity>`,
        handling("allow"),
        everything,
      ),
  ),
})

const dialogBody = (state: string) => ({
  contentType: "application/dialog-info+xml",
  text:
    `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com">` +
    `<dialog id="d1" call-id="c1" local-tag="l1" remote-tag="r1" direction="initiator"><state>${state}</state></dialog></dialog-info>`,
})

export interface Played {
  readonly log: readonly RecordedDecision[]
  /** By position of the decision they belong to. */
  readonly notifications: ReadonlyMap<number, readonly Notify[]>
}

/** Plays it from beginning to end. @throws Error when something in it is refused that should not be */
export const playScenario = (): Played => {
  const { packages, limits, authorize } = worldOf(world)
  const log = makeMemoryLog()
  const roles = new Map<string, string>()
  let isUnread = false
  const engine = makeEngine<string>({
    packages,
    limits,
    authorize,
    recordAfterMillis: 10_000,
    isTagActive: (tag) => roles.get(tag) !== "backup",
    isUnread: () => isUnread,
  })
  const notifications = new Map<number, readonly Notify[]>()
  let now: Millis = at("10:00:00")
  let count = 0
  let answers: Answer[] = []
  let flying: Notify[] = []
  let positions = 0
  const nonce = (): string => `n${++count}`
  const commit = (): void => {
    for (let batch = engine.takeBatch(100); batch !== null; batch = engine.takeBatch(100)) {
      log.append(batch.decisions)
      const first = positions
      positions += batch.decisions.length
      let index = first
      for (const release of engine.committed(new Set()).release) {
        take(release)
        if (release.notifications.length > 0) {
          // the decision it came with: the next one that brought NOTIFYs about is found by its stream and time
          while (!isOf(release, log.read(index, 1)[0]!)) index++
          notifications.set(++index, release.notifications)
        }
      }
    }
  }
  const isOf = (
    { notifications: [first], at: when }: Release<string>,
    { decision }: RecordedDecision,
  ): boolean =>
    decision.stream === first?.presentity &&
    clockOf(decision) === when &&
    decision.events.some(
      (event) =>
        event._tag === "NotificationsIssued" ||
        event._tag === "FarewellRepeated" ||
        (event._tag === "SubscriptionTerminated" && !event.silent),
    )
  const take = (release: Release<string>): void => {
    answers.push(release.answer)
    flying.push(...release.notifications)
  }
  const ask = (presentity: Uri | null, command: Command, expected: "good" | "refused" = "good"): Answer => {
    answers = []
    const offer = { presentity, command, origin: `udp:192.0.2.20:5060 call-${count} 1`, ticket: "" }
    let offered = engine.offer(offer, now, nonce)
    if (offered._tag === "Missing") {
      engine.load(log.load(offered.presentity))
      offered = engine.offer(offer, now, nonce)
    }
    if (offered._tag === "Released") take(offered.release)
    commit()
    const answer = answers.at(-1)!
    if ((answer._tag === "Rejected") !== (expected === "refused"))
      throw new Error(`${command._tag}: ${JSON.stringify(answer)}`)
    return answer
  }
  /** Every NOTIFY under way is answered; that of `no` otherwise. */
  const answered = (no = 0, outcome: DeliveryOutcome = { _tag: "Accepted", remoteTarget: null }): void => {
    for (let some = flying; some.length > 0; some = flying) {
      flying = []
      for (const notify of some) {
        const own: DeliveryOutcome = notify.no === no ? outcome : { _tag: "Accepted", remoteTarget: null }
        ask(notify.presentity, { _tag: "ReportDelivery", no: notify.no, cseq: notify.cseq, outcome: own })
      }
    }
  }
  const until = (clock: string): void => {
    now = at(clock)
    engine.advance(now, nonce)
    commit()
  }
  const tagOf = (answer: Answer): string =>
    answer._tag === "Accepted" && answer.reply._tag === "Published" ? answer.reply.entityTag : ""
  const numberOf = (presentity: Uri): number => engine.state(presentity)!.version + 1
  const watches = (dialog: number, watcher: Uri, over: Parameters<typeof subscribe>[0] = {}): number => {
    const no = engine.isLoaded(alice) ? numberOf(alice) : 1
    ask(
      alice,
      subscribe({
        packageName: "presence",
        watcher,
        expires: 3600,
        dialog: dialogOf(dialog, { remoteTarget: `sip:w${dialog}@192.0.2.20` }),
        ...over,
      }),
    )
    return no
  }

  // rules, watchers of every treatment, and watcher information
  ask(alice, { _tag: "ReplaceRules", packageName: "presence", rules: rules("10:20:00") })
  const bobs = watches(1, bob, { rates: { max: 0.5, min: 0.001, adaptiveMin: null }, eventId: "7" })
  watches(2, alice, { packageName: "presence.winfo" })
  watches(3, dave)
  watches(4, erin)
  watches(5, frank)
  watches(6, carol, { suppressIfMatch: "*" })
  const forced = watches(7, "sip:grace@example.com" as Uri, { forceActive: true })
  answered()

  // a publication through its life; bob's own device makes one of the changes
  let tag = tagOf(
    ask(
      alice,
      publish({ packageName: "presence", body: pidf("t1=open"), expires: 600, sender: "sip:w7@192.0.2.20" }),
    ),
  )
  answered()
  until("10:00:01")
  tag = tagOf(
    ask(alice, publish({ packageName: "presence", ifMatch: tag, body: pidf("t1=closed"), expires: 600 })),
  )
  until("10:00:20")
  answered()
  tag = tagOf(ask(alice, publish({ packageName: "presence", ifMatch: tag, expires: 600 })))
  until("10:00:30")
  tag = tagOf(
    ask(
      alice,
      publish({ packageName: "presence", ifMatch: tag, body: pidf("t1=open", "@work"), expires: 600 }),
    ),
  )
  answered(bobs, { _tag: "Refused", status: 503, retryAfter: 10 })
  until("10:00:45")
  answered()

  // refreshes: another target, another pace, waking up, with a document it has already, and asking once
  ask(
    null,
    resubscribe(1, {
      packageName: "presence",
      eventId: "7",
      watcher: bob,
      expires: 3600,
      cseq: 2,
      remoteTarget: "sip:bob@192.0.2.31",
      rates: { max: null, min: null, adaptiveMin: 0.05 },
    }),
  )
  const shown = flying.at(-1)?.entityTag ?? ""
  answered(bobs, { _tag: "Accepted", remoteTarget: "sip:bob@192.0.2.32" })
  ask(null, resubscribe(6, { packageName: "presence", watcher: carol, expires: 3600, cseq: 2 }))
  answered()
  ask(
    null,
    resubscribe(6, {
      packageName: "presence",
      watcher: carol,
      expires: 3600,
      cseq: 3,
      suppressIfMatch: shown,
    }),
  )
  watches(8, bob, { expires: 0 })
  watches(9, bob, { suppressIfMatch: shown })
  answered()

  // a watcher nobody decides on: ends, waits, is decided on, and back
  ask(null, resubscribe(3, { packageName: "presence", watcher: dave, expires: 0, cseq: 2 }))
  ask(alice, { _tag: "DecideWatcher", packageName: "presence", watcher: dave, handling: "allow" })
  const daves = watches(10, dave)
  ask(alice, { _tag: "DecideWatcher", packageName: "presence", watcher: dave, handling: null })
  ask(
    null,
    resubscribe(10, { packageName: "presence", watcher: dave, expires: 600, cseq: 2, forceActive: true }),
  )
  answered(daves, { _tag: "TimedOut" })
  ask(alice, { _tag: "RefreshWatchers", packageName: "presence", kind: "state" })
  answered(forced, { _tag: "Unreachable" })
  ask(alice, { _tag: "RefreshWatchers", packageName: "presence", kind: "rules" })

  // hard state; calls that show in presence; lamps in full and in part
  ask(alice, { _tag: "SetHardState", packageName: "presence", body: pidf("h=closed") })
  answered()
  until("10:01:00")
  const lamp = watches(11, bob, { packageName: "dialog", eventId: null })
  answered()
  const call = tagOf(ask(alice, publish({ packageName: "dialog", body: dialogBody("early"), expires: 60 })))
  answered(lamp, { _tag: "Refused", status: 481, retryAfter: null })
  until("10:01:10")
  ask(alice, publish({ packageName: "dialog", ifMatch: call, body: dialogBody("confirmed"), expires: 60 }))
  answered()

  // a phone that restarts, watched by one that needs a dialog in every document, and one that asks for one dialog
  const device = "instance urn:uuid:00000000-0000-4000-8000-000000000001"
  ask(
    erin,
    subscribe({
      packageName: "dialog",
      watcher: erin,
      expires: 600,
      needs: "idle-dialog",
      dialog: dialogOf(70),
    }),
  )
  answered()
  ask(
    erin,
    subscribe({
      packageName: "dialog",
      watcher: dave,
      expires: 600,
      argument: 'call-id="c1";to-tag="l1";from-tag="r1"',
      dialog: dialogOf(71),
    }),
  )
  answered()
  // the registrar tells a phone of messages, until it subscribes by itself
  ask(
    dave,
    subscribe({
      packageName: "message-summary",
      watcher: dave,
      expires: 600,
      unsolicited: true,
      dialog: dialogOf(73, { remoteTag: "" }),
    }),
  )
  answered()
  ask(dave, subscribe({ packageName: "message-summary", watcher: dave, expires: 600, dialog: dialogOf(74) }))
  answered()

  // old phones that read XPIDF: by profile, and by an Accept that changes
  ask(
    erin,
    subscribe({
      packageName: "presence",
      watcher: erin,
      expires: 600,
      needs: "one-tuple",
      phone: "lobby",
      accept: ["application/xpidf+xml"],
      dialog: dialogOf(72),
    }),
  )
  answered()
  ask(
    null,
    resubscribe(72, {
      packageName: "presence",
      watcher: erin,
      expires: 600,
      accept: ["application/pidf+xml"],
      cseq: 2,
    }),
  )
  answered()
  ask(erin, publish({ packageName: "dialog", body: dialogBody("confirmed"), expires: 600, device }))
  answered()
  until("10:01:12")
  ask(erin, publish({ packageName: "dialog", body: dialogBody("terminated"), expires: 600, device }))
  answered()
  // the same dialog again, in a publication that may be late: it stays beside the one that says the call is over
  ask(erin, publish({ packageName: "dialog", body: dialogBody("early"), expires: 600, device }))
  answered()

  // appearances of a shared line: state in headers, and an argument
  const info = "<sip:line@example.com>;appearance-index=1;appearance-state=active"
  ask(line, subscribe({ packageName: "call-info", expires: 600, dialog: dialogOf(20) }))
  answered()
  const calls = tagOf(
    ask(line, publish({ packageName: "call-info", expires: 600, headers: [["Call-Info", info]] })),
  )
  answered()
  until("10:01:20")
  ask(
    line,
    publish({
      packageName: "call-info",
      ifMatch: calls,
      expires: 600,
      headers: [["Call-Info", info.replace("active", "held")]],
    }),
  )
  answered()
  ask(
    line,
    subscribe({
      packageName: "line-seize",
      watcher: carol,
      expires: 15,
      argument: "<sip:line@example.com>;appearance-index=2",
      dialog: dialogOf(21),
    }),
  )
  answered()
  ask(
    null,
    resubscribe(21, {
      packageName: "line-seize",
      watcher: carol,
      expires: 15,
      cseq: 2,
      argument: "<sip:line@example.com>;appearance-index=3",
    }),
  )
  answered()

  // and again, later than what is dropped as old
  until("10:01:30")
  const later = tagOf(
    ask(line, publish({ packageName: "call-info", expires: 600, headers: [["Call-Info", info]] })),
  )
  answered()
  until("10:01:40")
  ask(
    line,
    publish({
      packageName: "call-info",
      ifMatch: later,
      expires: 600,
      headers: [["Call-Info", info.replace("active", "idle")]],
    }),
  )
  answered()

  // two servers share subscriptions
  const share = (role: "active" | "backup", epoch: number): void => {
    roles.set("vip", role)
    ask(sharingTagsStream, { _tag: "SetSharingTag", tag: "vip", role })
    ask(alice, { _tag: "SwitchSharingTag", tag: "vip", role, epoch })
  }
  watches(12, carol, { sharingTag: "vip" })
  answered()
  share("backup", 1)
  watches(13, bob, { sharingTag: "vip" })
  answered()
  until("10:02:00")
  share("active", 2)
  answered()

  // phones of which nothing shows that they are where they say; one moves, one has a name that leads elsewhere
  until("10:02:10")
  const quiet = "sip:quiet@example.com" as Uri
  ask(quiet, publish({ packageName: "presence", body: pidf("t1=open", "@long".repeat(30)), expires: 3600 }))
  const meets = (dialog: number, room: number, over: Parameters<typeof subscribe>[0] = {}): number => {
    const no = numberOf(quiet)
    ask(
      quiet,
      subscribe({
        packageName: "presence",
        forceActive: true,
        expires: 3600,
        dialog: dialogOf(dialog, { remoteTarget: `sip:w${dialog}@host.example`, room }),
        ...over,
      }),
    )
    return no
  }
  const named = meets(50, 100)
  ask(quiet, { _tag: "RefreshWatchers", packageName: "presence", kind: "state" })
  answered(named, { _tag: "Accepted", remoteTarget: null, address: "udp:192.0.2.20:5060" })
  ask(quiet, { _tag: "RefreshWatchers", packageName: "presence", kind: "state" })
  const [doubted] = flying.splice(0)
  ask(quiet, {
    _tag: "ReportDelivery",
    no: named,
    cseq: doubted?.cseq ?? 0,
    outcome: { _tag: "Unproven" },
  })
  answered(named, { _tag: "Accepted", remoteTarget: null, address: "udp:192.0.2.21:5060" })
  const moves = { packageName: "presence", forceActive: true, expires: 3600 }
  ask(null, resubscribe(50, { ...moves, cseq: 2, remoteTarget: "sip:w@192.0.2.51", room: 90 }))
  answered(named, { _tag: "TimedOut" })
  meets(51, 5_000)
  answered()
  ask(null, resubscribe(51, { ...moves, cseq: 2, remoteTarget: "sip:w@192.0.2.52", room: 80 }))
  ask(null, resubscribe(51, { ...moves, cseq: 3 }))
  const another = { ...moves, eventId: "2" }
  ask(null, resubscribe(51, { ...another, cseq: 4, remoteTarget: "sip:w@192.0.2.53", room: 70 }))
  ask(null, resubscribe(51, { ...another, cseq: 5, expires: 0 }))
  answered()
  meets(52, 10, { expires: 0, watcher: carol, suppressIfMatch: "*" })
  ask(
    quiet,
    subscribe({ ...moves, expires: 0, dialog: dialogOf(53, { remoteTarget: "sip:w@192.0.2.99", room: 10 }) }),
    "refused",
  )
  answered()

  // what another server had
  const takenOver = { localCseq: 7, notified: 4, createdAt: at("09:30:00") }
  ask(alice, {
    _tag: "AdoptPublication",
    packageName: "presence",
    entityTag: "a.1700000000.99.1.0" as EntityTag,
    expiresAt: at("10:40:00"),
    receivedAt: at("09:50:00"),
    body: pidf("t9=open"),
    sender: null,
  })
  answered()
  ask(alice, {
    _tag: "AdoptSubscription",
    packageName: "presence",
    eventId: null,
    watcher: carol,
    status: "active",
    polite: false,
    expiresAt: at("10:30:00"),
    dialog: dialogOf(30, { remoteUri: "<sip:carol@elsewhere.example>" }),
    takenOver,
  })
  ask(
    alice,
    {
      _tag: "AdoptWatcher",
      packageName: "presence",
      watcher: "sip:dora@example.com" as Uri,
      createdAt: at("09:00:00"),
    },
    "refused",
  )
  ask(alice, {
    _tag: "DecideWatcher",
    packageName: "presence",
    watcher: "sip:dora@example.com" as Uri,
    handling: "confirm",
  })
  ask(alice, {
    _tag: "AdoptWatcher",
    packageName: "presence",
    watcher: "sip:dora@example.com" as Uri,
    createdAt: at("09:00:00"),
  })
  ask(alice, {
    _tag: "DecideWatcher",
    packageName: "presence",
    watcher: "sip:dora@example.com" as Uri,
    handling: "block",
  })
  answered()

  // a start after a crash, rules that time changes, other rules, the end of watching, and time
  ask(alice, { _tag: "Redeliver", since: now - 60_000 })
  answered()
  until("10:20:00")
  answered()
  tag = tagOf(ask(alice, publish({ packageName: "presence", body: pidf("t5=open"), expires: 600 })))
  answered()
  ask(alice, publish({ packageName: "presence", ifMatch: tag, expires: 0, sender: "sip:w9@192.0.2.20" }))
  until("10:21:00")
  answered()
  ask(alice, { _tag: "ReplaceRules", packageName: "presence", rules: null })
  answered()
  ask(alice, { _tag: "Terminate", packageName: "presence", watcher: erin, reason: "deactivated" })
  ask(alice, { _tag: "SetHardState", packageName: "presence", body: null })
  answered()
  until("11:30:00")
  answered()
  // a source of rules that cannot be read for a while: who comes then waits for it, and who is there waits again
  const somebody = "sip:rita@example.com" as Uri
  const waits = (dialog: number, watcher: Uri): Answer =>
    ask(somebody, subscribe({ packageName: "presence", watcher, expires: 3600, dialog: dialogOf(dialog) }))
  ask(somebody, publish({ packageName: "presence", body: pidf("t1=open"), expires: 3600 }))
  waits(50, bob)
  isUnread = true
  waits(51, carol)
  ask(null, resubscribe(50, { packageName: "presence", watcher: bob, expires: 3600, cseq: 2 }))
  answered()
  isUnread = false
  ask(somebody, { _tag: "RefreshWatchers", packageName: "presence", kind: "rules" })
  answered()
  // a phone behind a NAT whose Contact is silent, and which comes back from another port, by a connection, and by another
  const natted = "sip:ned@example.com" as Uri
  const wanders = { packageName: "presence", watcher: bob, expires: 3600 }
  const inside = { remoteTarget: "sip:bob@192.0.2.77", room: 40 }
  ask(natted, publish({ packageName: "presence", body: pidf("t1=open"), expires: 3600 }))
  const heard = numberOf(natted)
  ask(natted, subscribe({ ...wanders, dialog: dialogOf(70, inside) }))
  for (const { no, cseq } of flying.splice(0))
    ask(natted, { _tag: "ReportDelivery", no, cseq, outcome: { _tag: "TimedOut" } })
  answered()
  const from = (source: string, over: Partial<Arrival> = {}): Arrival => {
    const { localContact, flow } = dialogOf(70)
    return { localContact, flow, source, ...over }
  }
  ask(
    null,
    resubscribe(70, {
      ...wanders,
      cseq: 2,
      remoteTarget: inside.remoteTarget,
      arrival: from("192.0.2.20:40001"),
    }),
  )
  answered()
  const stream = { localContact: "sip:192.0.2.10;transport=tcp", flow: "tcp:192.0.2.10:5060" }
  const connection = from("192.0.2.20:40002", { ...stream, reach: "private" })
  ask(null, resubscribe(70, { ...wanders, cseq: 3, remoteTarget: "sip:bob@10.0.0.7", arrival: connection }))
  answered(heard, { _tag: "FlowLost" })
  answered()
  ask(
    null,
    resubscribe(70, {
      ...wanders,
      packageName: "dialog",
      cseq: 4,
      remoteTarget: "sip:bob@10.0.0.7",
      arrival: from("192.0.2.20:40003", { ...stream, reach: "ob" }),
    }),
  )
  answered()
  // places that were tried in vain, a challenge that is answered, and a document too large for a datagram
  const several = "sip:sam@example.com" as Uri
  ask(several, publish({ packageName: "presence", body: pidf("t1=open"), expires: 3600 }))
  const sought = numberOf(several)
  ask(several, subscribe({ ...wanders, dialog: dialogOf(71) }))
  answered()
  let renewed = 1
  const ends = (outcome: DeliveryOutcome): void => {
    ask(null, resubscribe(71, { ...wanders, cseq: ++renewed }))
    const [sent] = flying.splice(0)
    ask(several, { _tag: "ReportDelivery", no: sought, cseq: sent?.cseq ?? 0, outcome })
    answered()
  }
  const [here, there] = ["tcp:192.0.2.30:5060", "udp:192.0.2.31:5060"]
  const tried = [
    { address: here, outcome: "unreachable" },
    { address: there, outcome: "refused", status: 503 },
    { address: there, outcome: "timed-out" },
  ] as const
  ends({ _tag: "Accepted", remoteTarget: null, tried: tried.slice(0, 1) })
  ends({ _tag: "Refused", status: 503, retryAfter: 10, tried })
  ends({ _tag: "Refused", status: 407, retryAfter: null, credentials: true })
  ends({ _tag: "TooLarge" })
  // and somebody who is still there at the end
  const last = "sip:zoe@example.com" as Uri
  ask(last, { _tag: "ReplaceRules", packageName: "presence", rules: rules("23:00:00") })
  for (const [index, watcher] of [bob, dave, erin].entries())
    ask(last, subscribe({ packageName: "presence", watcher, expires: 3600, dialog: dialogOf(40 + index) }))
  ask(last, publish({ packageName: "presence", body: pidf("t1=open"), expires: 3600 }))
  answered()

  // watchers who ask not to be named to others: from the beginning, no longer, again through a proxy that names nobody,
  // and one that waits
  ask(last, subscribe({ packageName: "presence.winfo", watcher: last, expires: 3600, dialog: dialogOf(43) }))
  const shy = { packageName: "presence", watcher: carol, expires: 3600 }
  ask(last, subscribe({ ...shy, private: true, dialog: dialogOf(44) }))
  answered()
  until("11:30:10")
  ask(null, resubscribe(44, { ...shy, cseq: 2, private: false }))
  answered()
  until("11:30:20")
  ask(null, resubscribe(44, { ...shy, watcher: anonymous, through: "192.0.2.20", cseq: 3, private: true }))
  ask(last, subscribe({ ...shy, watcher: dave, expires: 0, private: true, dialog: dialogOf(45) }))
  answered()

  // a package of several media types, and watchers that take one of them; a start after a crash before their last NOTIFYs were
  // known to have arrived, and a program whose own watchers are gone with it
  const profiles = "ua-profile"
  const phone = "sip:phone@example.com" as Uri
  const document = (contentType: string, text: string) =>
    publish({ packageName: profiles, body: { contentType, text }, expires: 3600 })
  const takes = { packageName: profiles, watcher: bob, expires: 3600 }
  ask(phone, document("text/xml", "<profile/>"))
  ask(phone, subscribe({ ...takes, accept: ["application/json"], eventId: "9", dialog: dialogOf(60) }))
  ask(phone, subscribe({ ...takes, watcher: carol, dialog: dialogOf(61, { room: 4 }) }))
  answered()
  ask(phone, document("application/json", "{}"))
  answered()
  until("11:30:30")
  ask(null, resubscribe(60, { ...takes, accept: ["text/*"], eventId: "9", cseq: 2 }))
  answered()
  const { subscriptions, dialogs } = engine.state(phone)!
  const farewells = [...values(subscriptions)].map((one): Farewell => {
    const { start, localCseq, remoteTarget } = get(dialogs, one.dialog)!
    const { no, packageName, eventId, watcher, status, polite, matched, accept, notified, forced } = one
    return {
      no,
      packageName,
      eventId,
      watcher,
      status,
      polite,
      matched,
      notified,
      forced,
      ...(accept === undefined ? {} : { accept }),
      reason: "timeout",
      start: { ...start, remoteTarget },
      cseq: localCseq + 1,
      isUnproven: watcher === carol,
      isBodiless: watcher === carol,
      rulesFrom: null,
    }
  })
  ask(null, resubscribe(60, { ...takes, accept: ["text/*"], eventId: "9", cseq: 3, expires: 0 }))
  ask(null, resubscribe(61, { ...takes, watcher: carol, cseq: 2, expires: 0 }))
  ask(phone, { _tag: "RepeatFarewells", farewells })
  answered()
  ask(phone, subscribe({ ...takes, dialog: dialogOf(62, { flow: programFlow, source: programFlow }) }))
  answered()
  ask(phone, { _tag: "Abandon" })
  // a clock that stands a day ahead for a while, and is set right: somebody publishes and watches in that time and after it
  const early = "sip:eve@example.com" as Uri
  const watching = { packageName: "presence", expires: 3600 }
  now += 86_400_000
  ask(early, publish({ packageName: "presence", body: pidf("t1=open"), expires: 600 }))
  ask(early, { _tag: "ReplaceRules", packageName: "presence", rules: rules("23:00:00") })
  ask(early, subscribe({ ...watching, watcher: bob, dialog: dialogOf(70) }))
  ask(early, subscribe({ ...watching, watcher: dave, dialog: dialogOf(71) }))
  ask(early, subscribe({ ...watching, watcher: dave, expires: 0, dialog: dialogOf(72) }))
  answered()
  now -= 86_400_000 - 30_000
  engine.advance(now, nonce)
  commit()
  ask(early, publish({ packageName: "presence", body: pidf("t2=closed"), expires: 60 }))
  answered()
  until("11:34:00")
  return { log: log.read(0, 100_000), notifications }
}

/** The same log after retention has dropped the older documents of one package, and told of that and of what it dropped before. */
export const withRetention = (log: readonly RecordedDecision[]): readonly RecordedDecision[] => {
  const before = at("10:01:25")
  const dropped = log.map(({ position, decision }): RecordedDecision => {
    const isOld = decision.at < before
    const events = decision.events.map((event) =>
      isOld && "packageName" in event && ["call-info", "dialog"].includes(event.packageName)
        ? dropDocuments(event, event, undefined)
        : event,
    )
    return { position, decision: { ...decision, events } }
  })
  const facts: readonly Event[] = [
    {
      _tag: "LogDropped",
      before: at("00:00:00"),
      position: 0,
      decisions: 12,
      forgotten: 3,
      signature: "c2lnbmVk",
    },
    { _tag: "DocumentsDropped", packageName: "call-info", before, documents: 1, signature: "c2lnbmVk" },
    { _tag: "DocumentsDropped", packageName: "dialog", before, documents: 2 },
    { _tag: "PersonErased", standIn: pseudonym("0123456789ab0123456789ab") },
  ]
  const last = log.at(-1)!
  return [
    ...dropped,
    ...facts.map((event, index): RecordedDecision => ({
      position: last.position + index + 1,
      decision: {
        stream: retentionStream,
        version: index + 1,
        at: last.decision.at + index,
        cause: "Compact",
        origin: "server",
        nonce: `r${index}`,
        events: [event],
      },
    })),
  ]
}
