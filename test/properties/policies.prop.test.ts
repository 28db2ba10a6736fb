/**
 * Laws of policies: whoever the table of docs/watching.md does not let in is refused and never sent a document, and a policy
 * that changes leaves everybody as a SUBSCRIBE would find them.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { readConfig } from "../../src/app/config/config.ts"
import { packagesOf } from "../../src/app/config/packages.ts"
import { watchingOf } from "../../src/app/config/watch-policies.ts"
import { policyReports } from "../../src/app/node/begin-policies.ts"
import { policyChanges } from "../../src/domain/presentity/apply-policies.ts"
import type { Command } from "../../src/domain/presentity/commands.ts"
import { askTheRules, defaultLimits, standingAt } from "../../src/domain/presentity/context.ts"
import type { Context } from "../../src/domain/presentity/context.ts"
import { decide } from "../../src/domain/presentity/decide.ts"
import { fold } from "../../src/domain/presentity/evolve.ts"
import type { Notify } from "../../src/domain/presentity/intents.ts"
import { react } from "../../src/domain/presentity/react.ts"
import { initial } from "../../src/domain/presentity/state.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { ownPolicies } from "../../src/domain/presentity/watching.ts"
import type { Watching } from "../../src/domain/presentity/watching.ts"
import { get, values } from "../../src/domain/table.ts"
import type { SubHandling, Uri, WatchPolicy } from "../../src/domain/vocabulary.ts"
import { decodeEvents } from "../../src/encoding/event-codec.ts"
import { formatEvent } from "../../src/explain/event-text.ts"
import { at, dialogOf, publish, subscribe } from "../support/builders.ts"
import { handling, rule, ruleset } from "../support/rules-builders.ts"

const packages = packagesOf(
  readConfig({
    flags: {},
    set: [],
    env: {},
    file: null,
    defaults: { pass_through: ["note=text/plain"] },
  }),
)

/** As the documentation has it, written once more. */
const defaults: Readonly<Record<string, WatchPolicy>> = {
  presence: "rules",
  dialog: "domain",
  "dialog;sla": "domain",
  "call-info": "domain",
  "line-seize": "domain",
  conference: "domain",
  "message-summary": "owner",
  reg: "owner",
  note: "owner",
}
const lineNames = ["dialog", "dialog;sla", "call-info", "line-seize"]
const names = Object.keys(defaults)
const everyName = [...names, "presence.winfo", "dialog.winfo", "message-summary.winfo", "note.winfo.winfo"]

const alice = "sip:alice@example.com" as Uri
const phone = "tel:+4930123" as Uri
const watchers = [
  "sip:alice@example.com",
  "sip:bob@example.com",
  "sip:carol@example.com",
  "sip:bob@sub.example.com",
  "sip:bob@elsewhere.test",
  "sip:alice@elsewhere.test",
  "tel:+4930123",
  "tel:+4930124",
  "sip:anonymous@anonymous.invalid",
  "sip:example.com",
] as Uri[]

const policy = fc.constantFrom<WatchPolicy>("owner", "domain", "everybody", "rules")
const settings: fc.Arbitrary<Watching> = fc.record({
  policies: fc.dictionary(
    fc.oneof(
      fc.constantFrom(...everyName),
      fc.constantFrom(...everyName).map((name) => `${name}@example.com`),
      fc.constantFrom(...everyName).map((name) => `${name}@elsewhere.test`),
      fc.constantFrom("*", "*@example.com", "*@elsewhere.test"),
    ),
    policy,
    { maxKeys: 6 },
  ),
  lineMembers: fc.dictionary(fc.constantFrom<string>(alice, phone), fc.subarray(watchers), { maxKeys: 2 }),
  mailboxOwners: fc.dictionary(fc.constantFrom<string>(alice, phone), fc.subarray(watchers), { maxKeys: 2 }),
})

/** Everybody is treated by name. */
const documents = fc
  .array(
    fc.tuple(fc.constantFrom(...watchers), fc.constantFrom("allow", "block", "confirm", "polite-block")),
    { maxLength: 3 },
  )
  .map((rules) =>
    ruleset(
      rules
        .map(([who, how], index) =>
          rule(`r${index}`, `<identity><one id="${who}"/></identity>`, handling(how)),
        )
        .join(""),
    ),
  )

/** Independent of the code: the table, in words. */
const expected = (
  presentity: Uri,
  name: string,
  watcher: Uri,
  watching: Watching,
): { readonly policy: WatchPolicy; readonly isLetIn: boolean | "rules" } => {
  const isWinfo = name.includes(".winfo")
  const domain = presentity === alice ? "example.com" : null
  const { policies, lineMembers, mailboxOwners } = watching
  const candidates = [
    ...(domain === null ? [] : [`${name}@${domain}`]),
    name,
    ...(isWinfo || name === "presence" ? [] : [...(domain === null ? [] : [`*@${domain}`]), "*"]),
  ]
  const key = candidates.find((one) => Object.hasOwn(policies, one))
  const chosen = key === undefined ? (isWinfo ? "owner" : defaults[name]!) : policies[key]!
  const members = lineMembers[presentity]
  const isOut =
    lineNames.includes(name) && members !== undefined && watcher !== presentity && !members.includes(watcher)
  if (isOut) return { policy: chosen, isLetIn: false }
  const isListed =
    name.replaceAll(".winfo", "") === "message-summary" &&
    mailboxOwners[presentity]?.includes(watcher) === true
  const isOwner = watcher === presentity || (isListed && !watcher.includes("anonymous"))
  const isColleague = presentity === alice && /(?:@|:)example\.com$/.test(watcher)
  switch (chosen) {
    case "owner":
      return { policy: chosen, isLetIn: isOwner }
    case "domain":
      return { policy: chosen, isLetIn: isOwner || isColleague }
    case "everybody":
      return { policy: chosen, isLetIn: true }
    case "rules":
      return { policy: chosen, isLetIn: "rules" }
  }
}

const begin = at("10:00:00")

const makeWorld = (presentity: Uri, watching: Watching | undefined) => {
  let state: State = initial(presentity)
  let limits = { ...defaultLimits, ...(watching === undefined ? {} : { watching }) }
  let now = begin
  const sent: Notify[] = []
  const context = (): Context => ({
    ...standingAt({ packages, limits, authorize: askTheRules }, now),
    nonce: `n${state.version}`,
  })
  return {
    sent,
    context,
    state: () => state,
    wait: (millis: number) => void (now += millis),
    /** Settings change while nobody is there. */
    restart: (other: Watching) => void (limits = { ...defaultLimits, watching: other }),
    ask: (command: Command) => {
      const { events, answer } = decide(state, command, context())
      if (events.length === 0) return { answer, notifies: [] as readonly Notify[], events }
      const decision = { events, at: now, version: state.version + 1 }
      const before = state
      state = fold(before, decision)
      const notifies = react(before, events, state, now, { packages, limits })
      sent.push(...notifies)
      return { answer, notifies, events }
    },
    /** What a SUBSCRIBE would be answered now; nothing changes. */
    try: (command: Command) => decide(state, command, context()),
  }
}
type World = ReturnType<typeof makeWorld>

const callInfo = "<sip:alice@example.com>;appearance-index=2"

const asks = (name: string, watcher: Uri, no: number): Command =>
  subscribe({
    packageName: name,
    watcher,
    expires: 3600,
    dialog: dialogOf(no),
    ...(name === "line-seize" ? { argument: callInfo } : {}),
  })

const publishAll = ({ ask }: World): void => {
  const tuple = `<tuple id="t"><status><basic>open</basic></status></tuple>`
  const presence = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${alice}">${tuple}</presence>`
  const call = `<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="${alice}"><dialog id="d"><state>confirmed</state></dialog></dialog-info>`
  const body = (contentType: string, text: string) => ({ body: { contentType, text }, expires: 3600 })
  const answers = [
    ask(publish({ packageName: "presence", ...body("application/pidf+xml", presence) })),
    ask(publish({ packageName: "dialog", ...body("application/dialog-info+xml", call) })),
    ask(publish({ packageName: "dialog;sla", ...body("application/dialog-info+xml", call) })),
    ask(
      publish({
        packageName: "message-summary",
        ...body("application/simple-message-summary", "Messages-Waiting: yes\r\n"),
      }),
    ),
    ask(publish({ packageName: "note", ...body("text/plain", "secret") })),
  ]
  for (const { answer } of answers) assert.equal(answer._tag, "Accepted", JSON.stringify(answer))
}

const isEmpty = (notify: Notify): boolean => notify.body === null && notify.headers === undefined

/** Whatever else runs on the machine. */
const patient = { timeout: 180_000 }

describe("policies", patient, () => {
  it(
    "whoever the table does not let in is answered 403 and sent nothing; whoever it lets in is active at once",
    { tags: ["AUT-13"] },
    () => {
      const counts = { in: 0, out: 0, rules: 0 }
      fc.assert(
        fc.property(
          fc.constantFrom(alice, phone),
          fc.constantFrom(...everyName),
          fc.constantFrom(...watchers),
          settings,
          documents,
          fc.option(fc.constantFrom<SubHandling>("allow", "block", "confirm", "polite-block"), { freq: 1 }),
          (presentity, name, watcher, watching, text, verdict) => {
            const world = makeWorld(presentity, watching)
            publishAll(world)
            const isWinfo = name.includes(".winfo")
            world.ask({
              _tag: "ReplaceRules",
              packageName: name,
              rules: { contentType: "application/auth-policy+xml", text },
            })
            if (verdict !== null && !isWinfo)
              world.ask({ _tag: "DecideWatcher", packageName: name, watcher, handling: verdict })
            const { policy: decisive, isLetIn } = expected(presentity, name, watcher, watching)
            const { answer, notifies, events } = world.ask(asks(name, watcher, 1))
            const status = answer._tag === "Accepted" ? 200 : answer.rejection.status
            if (verdict !== null && !isWinfo) {
              assert.equal(status, verdict === "block" ? 403 : 200)
              return
            }
            if (isLetIn === "rules") {
              counts.rules++
              // of several rules for one watcher the most generous holds
              const all = [...text.matchAll(/<one id="([^"]+)"\/>.*?sub-handling>([a-z-]+)</g)]
                .filter(([, who]) => who === watcher && !watcher.includes("anonymous"))
                .map(([, , said]) => said!)
              const best =
                ["allow", "polite-block", "confirm", "block"].find((one) => all.includes(one)) ?? "block"
              const isRefused = best === "block" || (isWinfo && best === "polite-block")
              assert.equal(status, isRefused ? 403 : 200, `${name} ${watcher} ${best}`)
              if (best !== "allow") {
                const shown = notifies.filter((one) => one.state === "pending" && !isEmpty(one))
                assert.deepEqual(shown, [])
              }
              return
            }
            counts[isLetIn ? "in" : "out"]++
            assert.equal(status, isLetIn ? 200 : 403, `${name} of ${presentity} for ${watcher}: ${decisive}`)
            if (!isLetIn) assert.deepEqual([events, notifies], [[], []])
            else {
              assert.equal(notifies[0]?.state, "active")
              const [created] = events
              assert.equal(created?._tag === "SubscriptionCreated" ? created.policy : "", decisive)
            }
          },
        ),
        { numRuns: 1200 },
      )
      for (const [what, count] of Object.entries(counts)) assert.ok(count > 50, `${what}: ${count}`)
    },
  )

  it(
    "a policy that changes leaves everybody as a SUBSCRIBE would find them, and shows nothing to those who are ended",
    { tags: ["AUT-13"] },
    () => {
      const seen = { ended: 0, converted: 0, same: 0 }
      fc.assert(
        fc.property(
          fc.constantFrom(alice, phone),
          fc.option(settings, { nil: undefined }),
          settings,
          fc.array(fc.tuple(fc.constantFrom(...everyName), fc.constantFrom(...watchers)), {
            minLength: 1,
            maxLength: 6,
          }),
          documents,
          (presentity, was, is, wishes, text) => {
            const world = makeWorld(presentity, was)
            publishAll(world)
            for (const packageName of ["presence", "dialog", "note"]) {
              world.ask({
                _tag: "ReplaceRules",
                packageName,
                rules: { contentType: "application/auth-policy+xml", text },
              })
            }
            wishes.forEach(([name, watcher], index) => world.ask(asks(name, watcher, index + 1)))
            world.wait(60_000)
            world.restart(is)
            const before = world.state()
            const told = policyChanges(before, world.context())
            const { notifies, events } = world.ask({ _tag: "ApplyPolicies" })
            // what is said beforehand is what happens
            const touched = events.flatMap((event) =>
              event._tag === "SubscriptionTerminated" || event._tag === "SubscriptionStatusChanged"
                ? event.no
                : [],
            )
            assert.deepEqual(
              told.filter(({ was }) => was !== "waiting").map(({ no }) => no),
              touched,
            )
            for (const one of values(before.subscriptions)) {
              // a line that is taken is refused for another reason (RFC 3265 has none for that: the package's own)
              const fresh = decide(
                { ...world.state(), subscriptions: initial(presentity).subscriptions },
                asks(one.packageName, one.watcher, 90),
                world.context(),
              )
              const [created] = fresh.events.filter(({ _tag }) => _tag === "SubscriptionCreated")
              const after = get(world.state().subscriptions, one.no)
              const label = `${one.packageName} of ${presentity} for ${one.watcher}`
              if (fresh.answer._tag === "Rejected" && fresh.answer.rejection.status === 403) {
                assert.equal(after, undefined, label)
                seen.ended++
                const own = notifies.filter(({ no }) => no === one.no)
                assert.deepEqual(
                  own.map(({ state, reason }) => [state, reason]),
                  [["terminated", "rejected"]],
                  label,
                )
                assert.ok(own.every(isEmpty), label)
              } else if (created?._tag === "SubscriptionCreated") {
                assert.ok(after !== undefined, label)
                const { status, polite, matched } = created
                assert.deepEqual(
                  [after.status, after.polite, after.matched],
                  [status, polite, matched],
                  label,
                )
                const isSame = one.status === status && one.polite === polite && one.matched === matched
                seen[isSame ? "same" : "converted"]++
                if (status === "pending")
                  assert.ok(notifies.filter(({ no }) => no === one.no).every(isEmpty), label)
              }
            }
            assert.deepEqual(world.ask({ _tag: "ApplyPolicies" }).events, [], "once is enough")
          },
        ),
        { numRuns: 600 },
      )
      for (const [what, count] of Object.entries(seen)) assert.ok(count > 15, `${what}: ${count}`)
    },
  )

  it(
    "what is said to keep those who watch keeps them, and where nothing is said to nothing would",
    { tags: ["AUT-13"] },
    () => {
      const seen = { policy: 0, lists: 0, rules: 0, former: 0 }
      fc.assert(
        fc.property(
          fc.constantFrom(alice, phone),
          fc.option(settings, { nil: undefined }),
          settings,
          fc.array(fc.tuple(fc.constantFrom(...everyName), fc.constantFrom(...watchers), fc.boolean()), {
            minLength: 1,
            maxLength: 6,
          }),
          documents,
          (presentity, was, is, wishes, text) => {
            const world = makeWorld(presentity, was)
            publishAll(world)
            for (const packageName of ["presence", "dialog", "note"])
              world.ask({
                _tag: "ReplaceRules",
                packageName,
                rules: { contentType: "application/auth-policy+xml", text },
              })
            wishes.forEach(([name, watcher, isShort], index) =>
              world.ask({
                ...asks(name, watcher, index + 1),
                ...(isShort ? { expires: 60 } : {}),
              } as Command),
            )
            // who was undecided is remembered
            world.wait(90_000)
            world.ask({ _tag: "FallDue" })
            world.restart(is)
            const state = world.state()
            const changesWith = (watching: Watching) =>
              policyChanges(state, {
                ...world.context(),
                limits: { ...defaultLimits, watching },
              }).filter(({ isSeen }) => isSeen)
            const all = policyChanges(state, world.context())
            const reports = policyReports({
              changes: new Map([[presentity, all]]),
              state: () => state,
              context: world.context(),
            })
            const named = changesWith(is)
            assert.deepEqual(
              reports.map(({ packageName, ended, changed }) => [packageName, ended + changed]),
              [...Map.groupBy(named, ({ packageName }) => packageName)]
                .map(([name, some]) => [name, some.length] as const)
                .sort(([one], [other]) => (one < other ? -1 : 1)),
            )
            for (const { packageName, keeping, what } of reports) {
              const ours = named.filter((one) => one.packageName === packageName)
              const isKept = (watching: Watching): boolean =>
                changesWith(watching).every(
                  (one) => one.packageName !== packageName || !ours.some(({ no }) => no === one.no),
                )
              const byRules = ours.some(({ policy }) => policy === "rules")
              const [, written = ""] = /^(.*?) keeps? them/.exec(keeping) ?? []
              if (/^(?:watch_policy|line_members) = /.test(written)) {
                const [, entries = ""] = /watch_policy = (.*?)(?: with line_members|$)/.exec(written) ?? []
                const [, members = ""] = /line_members = (.*)$/.exec(written) ?? []
                const split = (list: string): readonly string[] => (list === "" ? [] : list.split(", "))
                const given = watchingOf({
                  watch_policy: split(entries.replaceAll(/ \(instead of [a-z]+\)/g, "")),
                  line_members: split(members),
                  mailbox_owners: [],
                })
                const followed: Watching = {
                  ...is,
                  policies: { ...is.policies, ...given.policies },
                  lineMembers: { ...is.lineMembers, ...given.lineMembers },
                }
                assert.ok(isKept(followed), `${what}; ${keeping}`)
                if (entries !== "") seen.policy++
                if (members !== "") seen.lists++
                for (const [key, policy] of Object.entries(given.policies)) {
                  const isNarrower = (["owner", "domain"] as const).some(
                    (other) =>
                      other !== policy &&
                      ours.every(({ formerly }) => formerly !== policy) &&
                      policy === "everybody" &&
                      isKept({ ...followed, policies: { ...followed.policies, [key]: other } }),
                  )
                  assert.ok(!isNarrower, `there is a narrower one: ${keeping}`)
                }
                if (keeping.includes("*=everybody"))
                  assert.ok(isKept({ ...is, policies: { ...is.policies, "*": "everybody" } }), keeping)
                if (/; rules that let them in/.test(keeping)) seen.former++
              } else {
                assert.match(
                  keeping,
                  /^(?:rules that let them in keep them|no single setting keeps all of them); /,
                )
                if (byRules) {
                  seen.rules++
                  continue
                }
                const domains = presentity === alice ? "@example.com" : ""
                for (const policy of ["owner", "domain", "everybody", "rules"] as const)
                  for (const key of [packageName, `${packageName}${domains}`])
                    assert.ok(
                      !isKept({ ...is, policies: { ...is.policies, [key]: policy } }),
                      `${key}=${policy} would have: ${what}; ${keeping}`,
                    )
              }
            }
          },
        ),
        { numRuns: 900 },
      )
      for (const [what, count] of Object.entries(seen)) assert.ok(count > 0, `${what}: ${count}`)
    },
  )

  it.for([
    [
      "undecided ones whom everybody lets in",
      { policies: { presence: "everybody" } },
      [["presence", "sip:bob@elsewhere.test"]],
      "watch_policy = presence=rules (instead of everybody) keeps them; see docs/watching.md",
    ],
    [
      "those that a list keeps out",
      { lineMembers: { [alice]: ["sip:carol@example.com"] } },
      [["dialog", "sip:bob@example.com"]],
      "line_members = sip:alice@example.com=sip:carol@example.com|sip:bob@example.com keeps them; see docs/watching.md",
    ],
    [
      "those that a list and a policy keep out",
      { policies: { "dialog@example.com": "owner" }, lineMembers: { [alice]: [] } },
      [["dialog", "sip:bob@example.com"]],
      "watch_policy = dialog@example.com=domain (instead of owner) with line_members = sip:alice@example.com=sip:bob@example.com keeps them; see docs/watching.md",
    ],
    [
      "those of a package that asks rules now",
      { policies: { dialog: "rules" } },
      [["dialog", "sip:carol@example.com"]],
      "watch_policy = dialog=domain (instead of rules) keeps them; rules that let them in do as well; see docs/watching.md",
    ],
  ] as const)("what keeps %s", { tags: ["AUT-13"] }, ([, other, wishes, expectedLine]) => {
    const world = makeWorld(alice, ownPolicies)
    publishAll(world)
    wishes.forEach(([name, watcher], index) => world.ask(asks(name, watcher as Uri, index + 1)))
    world.restart({ ...ownPolicies, ...(other as Partial<Watching>) })
    const [report] = policyReports({
      changes: new Map([[alice, policyChanges(world.state(), world.context())]]),
      state: world.state,
      context: world.context(),
    })
    assert.equal(report?.keeping, expectedLine)
  })

  it("where one setting cannot keep all of them, that is said", { tags: ["AUT-13"] }, () => {
    const was: Watching = { ...ownPolicies, policies: { dialog: "everybody", "dialog@example.com": "rules" } }
    const [first, second] = [alice, phone].map((of) => {
      const world = makeWorld(of, was)
      world.ask(asks("dialog", "sip:bob@elsewhere.test" as Uri, 1))
      world.restart({ ...ownPolicies, policies: { dialog: "owner" } })
      return world
    }) as unknown as readonly [World, World]
    const [report] = policyReports({
      changes: new Map([
        [alice, policyChanges(first.state(), first.context())],
        [phone, policyChanges(second.state(), second.context())],
      ]),
      state: (of) => (of === alice ? first.state() : second.state()),
      context: second.context(),
    })
    assert.equal(report?.keeping, "no single setting keeps all of them; see docs/watching.md")
  })

  it("settings that change nothing for anybody who watches are not told", { tags: ["AUT-13"] }, () => {
    const world = makeWorld(alice, ownPolicies)
    publishAll(world)
    world.ask({
      _tag: "ReplaceRules",
      packageName: "dialog",
      rules: {
        contentType: "application/auth-policy+xml",
        text: ruleset(rule("r", `<identity><one id="sip:bob@example.com"/></identity>`, handling("allow"))),
      },
    })
    world.ask(asks("dialog", "sip:bob@example.com" as Uri, 1))
    world.restart({ ...ownPolicies, policies: { dialog: "rules" } })
    const changes = policyChanges(world.state(), world.context())
    assert.deepEqual(
      changes.map(({ isSeen, policy }) => [isSeen, policy]),
      [[false, "rules"]],
    )
    assert.deepEqual(
      policyReports({ changes: new Map([[alice, changes]]), state: world.state, context: world.context() }),
      [],
    )
  })

  it("a list that ends a subscription is what the log says ended it", { tags: ["AUT-13"] }, () => {
    const world = makeWorld(alice, ownPolicies)
    world.ask(asks("dialog", "sip:bob@example.com" as Uri, 1))
    world.restart({ ...ownPolicies, lineMembers: { [alice]: [] } })
    const { events } = world.ask({ _tag: "ApplyPolicies" })
    const [ended] = events
    assert.equal(ended?._tag === "SubscriptionTerminated" ? ended.policy : "", "members")
    assert.equal(formatEvent(ended!, String), "#1  rejected  by line_members")
    assert.deepEqual(decodeEvents(JSON.parse(JSON.stringify(events))), events)
  })

  it("what is published later is told to nobody whom the table does not let in", { tags: ["AUT-13"] }, () => {
    let bodies = 0
    fc.assert(
      fc.property(
        settings,
        fc.constantFrom(...names),
        fc.constantFrom(...watchers),
        (watching, name, watcher) => {
          const world = makeWorld(alice, ownPolicies)
          world.ask(asks(name, watcher, 1))
          world.restart(watching)
          world.ask({ _tag: "ApplyPolicies" })
          const from = world.sent.length
          publishAll(world)
          const { isLetIn } = expected(alice, name, watcher, watching)
          const told = world.sent.slice(from).filter((one) => !isEmpty(one))
          if (isLetIn === false) assert.deepEqual(told, [])
          bodies += told.length
        },
      ),
      { numRuns: 300 },
    )
    assert.ok(bodies > 10, `${bodies}`)
  })
})
