/**
 * What slow watchers were not told, counted: as a comparison of every view of every watcher would count it, for less.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeSkips } from "../../../src/app/library/skips.ts"
import type { EventPackage } from "../../../src/domain/packages/event-package.ts"
import { makeRegistry } from "../../../src/domain/packages/registry.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { viewFor } from "../../../src/domain/presentity/notify.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import type { Publication, State, Subscription } from "../../../src/domain/presentity/state.ts"
import { emptyTable, get, set, setAll } from "../../../src/domain/table.ts"
import type { EntityTag } from "../../../src/domain/vocabulary.ts"
import { alice, bob } from "../../support/builders.ts"
import { stub, text } from "../../support/stub-package.ts"
import type { Lines } from "../../support/stub-package.ts"

/** How often views were made of documents that nobody keeps: those of watchers with rules and media types of their own. */
let filtered = 0

const ruled: EventPackage<Lines> = {
  ...stub({ name: "ruled" }),
  rules: {
    read: ({ text }) => ({ _tag: "Parsed", rules: text }),
    judge: () => ({ handling: "allow", matched: "" }) as never,
    names: () => [],
    nextBoundary: () => null,
    asksForSphere: () => false,
    sphere: () => null,
    filter: ({ lines }, rules, matched) => {
      filtered++
      return { lines: lines.map((line) => `${line} ${String(rules)} ${matched.length}`) }
    },
  },
}

/** Shows who subscribes to `ruled`. */
const composing: EventPackage<Lines> = {
  ...stub({ name: "composing" }),
  composesFrom: "ruled",
  compose: ({ documents, subscriptions = [] }) => ({
    lines: [...documents.flatMap(({ document }) => document.lines), `${subscriptions.length}`],
  }),
}

const watchers: EventPackage<Lines> = { ...stub({ name: "ruled.winfo" }), watcherInfoOf: "ruled" }

const all = [stub(), ruled, composing, watchers]
const packages = makeRegistry(all)

const subscription = (no: number, over: Partial<Subscription>): Subscription => ({
  no,
  packageName: "stub",
  eventId: null,
  watcher: bob,
  status: "active",
  polite: false,
  matched: null,
  forced: false,
  event: "subscribe",
  changedIn: 1,
  createdAt: 0,
  expiresAt: 3_600_000,
  giveUpAt: null,
  dialog: no,
  notified: 0,
  shown: "",
  spared: false,
  issuedAt: 0,
  toldIn: 0,
  pacedAt: 0,
  heardAt: 0,
  dueAt: null,
  dormant: false,
  rates: null,
  repeatAt: null,
  recent: [],
  ...over,
})

const publication = (content: string): Publication => ({
  entityTag: "t" as EntityTag,
  createdIn: 1,
  slot: 1,
  bodyFrom: 1,
  receivedAt: 0,
  expiresAt: 3_600_000,
  body: text(content),
  sender: null,
})

type Change = (state: State) => State

const published = (name: string, content: string): Change => {
  return (state) => ({
    ...state,
    publications: set(
      state.publications,
      name,
      set(emptyTable<EntityTag, Publication>(), "t" as EntityTag, publication(content)),
    ),
  })
}

const subscribed = (no: number, over: Partial<Subscription>): Change => {
  return (state) => {
    const present = get(state.subscriptions, no) ?? subscription(no, {})
    return { ...state, subscriptions: set(state.subscriptions, no, { ...present, ...over }) }
  }
}

const name = fc.constantFrom(...all.map((one) => one.name))
const seen = fc.record(
  {
    status: fc.constantFrom<Subscription["status"]>("active", "pending"),
    polite: fc.boolean(),
    matched: fc.constantFrom(null, "", "0", "0,1"),
    accept: fc.constantFrom(["text/plain"], ["text/html"]),
    // nothing that anybody sees
    notified: fc.nat(3),
  },
  { requiredKeys: [] },
)
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.tuple(name, fc.constantFrom("A", "B")).map((one) => published(...one)),
  fc.tuple(fc.integer({ min: 1, max: 8 }), seen).map((one) => subscribed(...one)),
  fc.tuple(name, fc.constantFrom("A", "B")).map(([of, content]): Change => (state) => ({
    ...state,
    hardState: set(state.hardState, of, text(content)),
  })),
  fc.constantFrom("A", "B").map((content): Change => (state) => ({
    ...state,
    rules: set(state.rules, "ruled", { body: text(content), replacedIn: 1, boundaryAt: null }),
  })),
  fc.nat(3).map((version): Change => (state) => ({
    ...state,
    watchersChangedIn: set(state.watchersChangedIn, "ruled", version),
  })),
  fc.constant<Change>((state) => ({ ...state, version: state.version + 1 })),
)

/** Changes what everybody sees who may see anything. */
const everything =
  (content: string): Change =>
  (state) => {
    const next = all.reduce((present, one) => published(one.name, content)(present), state)
    return { ...next, watchersChangedIn: set(next.watchersChangedIn, "ruled", 100 + Number(content)) }
  }

const told = ({ no, packageName }: Subscription): Notify =>
  ({ _tag: "Notify", presentity: alice, no, packageName, state: "active" }) as unknown as Notify

const stored = (before: State, after: State) => ({
  decision: {
    stream: alice,
    version: 1,
    at: 0,
    cause: "Publish" as const,
    origin: "",
    nonce: "n",
    events: [],
  },
  before,
  after,
})

const withWatchers = (some: readonly Subscription[]): State => ({
  ...initial(alice),
  subscriptions: setAll(
    emptyTable<number, Subscription>(),
    some.map((one) => [one.no, one] as const),
  ),
})

describe("skips", { tags: ["LIB-8"] }, () => {
  it(
    "law: as many as views that differ from the one before, whoever watches what, and whatever happens",
    { tags: ["LIB-8"] },
    () => {
      const eight = fc.array(fc.tuple(name, seen), { minLength: 8, maxLength: 8 })
      fc.assert(
        fc.property(
          eight,
          fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 12 }),
          (watching, steps) => {
            const some = watching.map(([packageName, over], index) =>
              subscription(index + 1, { ...over, packageName }),
            )
            const skips = makeSkips(packages)
            for (const one of some) skips.delivered(told(one))
            const expected = new Map(some.map(({ no }) => [no, 0]))
            let state = withWatchers(some)
            // the first change is the one that is told: every other counts from here on
            for (const changes of [[everything("0")], [everything("1")], ...steps]) {
              const next = changes.reduce((present, one) => one(present), state)
              for (const { no, packageName } of some) {
                const eventPackage = packages.find(packageName)!
                const [was, is] = [get(state.subscriptions, no)!, get(next.subscriptions, no)!]
                if (viewFor(state, was, eventPackage).digest !== viewFor(next, is, eventPackage).digest)
                  expected.set(no, expected.get(no)! + 1)
              }
              skips.stored([stored(state, next)])
              state = next
            }
            // the last of them is what is told at last
            for (const one of some)
              assert.equal(
                skips.delivered(told(one)),
                Math.max(0, expected.get(one.no)! - 1),
                `watcher ${one.no}`,
              )
          },
        ),
        { numRuns: 500 },
      )
    },
  )

  it(
    "a thousand watchers that see the same cost one comparison, and none where nothing they see has changed",
    { tags: ["LIB-8"] },
    () => {
      const groups = ["", "0"]
      const some = Array.from({ length: 1000 }, (_, index) =>
        subscription(index + 1, {
          packageName: "ruled",
          matched: groups[index % groups.length]!,
          accept: ["text/plain"],
        }),
      )
      let found = 0
      const skips = makeSkips({ ...packages, find: (one) => (found++, packages.find(one)) })
      for (const one of some) skips.delivered(told(one))
      const withRules: State = {
        ...withWatchers(some),
        rules: set(initial(alice).rules, "ruled", { body: text("R"), replacedIn: 1, boundaryAt: null }),
      }
      const before = published("ruled", "A")(withRules)
      const count = (changed: State): readonly [number, number] => {
        filtered = found = 0
        skips.stored([stored(before, changed)])
        return [filtered, found]
      }
      assert.deepEqual(count({ ...before, version: 2, dialogs: emptyTable() }), [0, 0])
      // a further SUBSCRIBE, and NOTIFYs that were written down
      const [ofSubscribe] = count(subscribed(1001, { packageName: "ruled" })(before))
      assert.equal(ofSubscribe, 0)
      const [ofNotify] = count(some.reduce((state, { no }) => subscribed(no, { notified: 1 })(state), before))
      assert.ok(ofNotify <= 2 * groups.length, `${ofNotify}`)
      // after, for each that sees something else; what it saw before is known
      const [ofPublish] = count(published("ruled", "B")(before))
      assert.equal(ofPublish, groups.length)
      assert.equal(skips.delivered(told(some[0]!)), 0)
    },
  )
})
