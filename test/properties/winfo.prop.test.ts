/**
 * Laws of watcher information: what its receiver knows after each document is what there is to know, and nobody else
 * receives any.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { xmlCodec } from "../../src/adapters/xml/codec.ts"
import { element } from "../../src/domain/packages/element.ts"
import type { Attribute, Element, Node } from "../../src/domain/packages/element.ts"
import { watcherInfoNamespace } from "../../src/domain/packages/watcher-info.ts"
import { freeze, thaw } from "../../src/domain/presentity/snapshot.ts"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import { alice } from "../support/builders.ts"
import { parameters, settle } from "../support/history.ts"
import type { Moment, Run } from "../support/machine.ts"
import { anyRuledSteps, forEveryRuledHistory, playRuled, ruledWorlds } from "../support/ruled-history.ts"
import type { RuledStep } from "../support/ruled-history.ts"
import { makeWatcherInfoReader, readWatcherInfo, watcherList } from "../support/watcher-info-reader.ts"
import type { WatcherInfoReader, Watchers } from "../support/watcher-info-reader.ts"
import { anyChoices, writeOtherwise } from "../support/xml-arbitraries.ts"
import type { Choose } from "../support/xml-arbitraries.ts"

interface Received {
  readonly moment: Moment
  readonly no: number
  readonly cseq: number
  readonly state: string
  readonly list: Watchers
  readonly text: string
}

/** Watcher information in the order it is sent, by subscription. */
const received = (run: Run): ReadonlyMap<number, readonly Received[]> => {
  const all = new Map<number, Received[]>()
  for (const moment of run.moments) {
    for (const { no, cseq, packageName, body, state } of moment.notifications) {
      if (!packageName.endsWith(".winfo")) continue
      const list = body === null ? null : watcherList(body)
      if (body === null || list === null) throw new Error(`a NOTIFY of ${packageName} without a document`)
      const before = all.get(no)
      const one = { moment, no, cseq, state, list, text: body.text }
      if (before === undefined) all.set(no, [one])
      else before.push(one)
    }
  }
  return all
}

/** Everybody there is to tell of, from the subscriptions themselves. */
const truth = (state: State, packageName: string): ReadonlyMap<string, string> => {
  const all: [number, string][] = []
  for (const one of values(state.subscriptions)) {
    if (one.packageName === packageName) all.push([one.no, `${nameOf(one)} ${one.status}`])
  }
  for (const one of values(state.waiting)) {
    if (one.packageName === packageName) all.push([one.no, `${nameOf(one)} waiting`])
  }
  return new Map(all.sort(([a], [b]) => a - b).map(([no, what]) => [`w${no}`, what]))
}

const nobody = "sip:anonymous@anonymous.invalid"

/** As others are to know a watcher. */
const nameOf = (one: { readonly watcher: string; readonly private?: true }): string =>
  one.private === true ? nobody : one.watcher

/** What a reader knows of a package, in the words of `truth`. */
const known = (reader: WatcherInfoReader, packageName: string): ReadonlyMap<string, string> =>
  new Map(
    [...reader.table(alice, packageName).values()]
      .sort((one, other) => numberOf(one.id) - numberOf(other.id))
      .map(({ id, uri, status }) => [id, `${uri} ${status}`]),
  )

const numberOf = (id: string): number => Number(id.slice(1))

/** Things of other namespaces that look as if they said something of watchers. */
const strangers: readonly Node[] = [
  { _tag: "Comment", text: "w1" },
  element("urn:x", "watcher", { id: "w3", status: "terminated", event: "timeout" }, ["sip:eve@example.com"]),
  element("", "watcher", { id: "w99", status: "active", event: "subscribe" }, ["sip:eve@example.com"]),
  element("urn:x", "watcher-list", { resource: alice, package: "presence" }, [
    element(watcherInfoNamespace, "watcher", { id: "w98", status: "active", event: "subscribe" }, [
      "sip:eve@example.com",
    ]),
  ]),
]
const strangeAttributes: readonly Attribute[] = [
  ["version", "0"],
  ["state", "full"],
  ["resource", "sip:eve@example.com"],
  ["package", "dialog"],
  ["id", "w1"],
  ["status", "terminated"],
].map(([name = "", value = ""]) => ({ namespace: "urn:x", name, prefix: "x", value }))

/** The same document with strangers everywhere, in another spelling. */
const amongStrangers = (text: string, choose: Choose): string => {
  const some = <T>(all: readonly T[]): readonly T[] => all.filter(() => choose(3) === 0)
  const disturbed = (of: Element): Element => ({
    ...of,
    attributes: [...some(strangeAttributes), ...of.attributes, unknownAttribute],
    children: [
      ...some(strangers),
      ...of.children.flatMap((node) => [
        node._tag === "Element" ? disturbed(node) : node,
        ...some(strangers),
      ]),
    ],
  })
  const read = xmlCodec.parse(text)
  if (read._tag === "Malformed") throw new Error(read.why)
  return writeOtherwise(disturbed(read.root), choose)
}

const unknownAttribute: Attribute = { namespace: "", name: "mood", prefix: "", value: "happy" }

const forEveryWatchedHistory = (check: (run: Run) => void): void =>
  forEveryRuledHistory(check, 1, { watched: true })

const legal: ReadonlySet<string> = new Set([
  "pending/subscribe",
  "active/subscribe",
  "active/approved",
  "waiting/timeout",
  "terminated/rejected",
  "terminated/timeout",
  "terminated/giveup",
  "terminated/approved",
])

describe("documents of watcher information", () => {
  it("versions count from 0 in each subscription, without a gap, in CSeq order", { tags: ["L32"] }, () => {
    forEveryWatchedHistory((run) => {
      for (const documents of received(run).values()) {
        let cseq = 0
        for (const [index, one] of documents.entries()) {
          deepStrictEqual(one.list.version, index)
          ok(one.cseq > cseq)
          cseq = one.cseq
        }
      }
    })
  })

  it("after each document its receiver knows exactly what a full one would say", { tags: ["L33"] }, () => {
    forEveryWatchedHistory((run) => {
      for (const documents of received(run).values()) {
        const reader = makeWatcherInfoReader()
        for (const { text, list, moment } of documents) {
          deepStrictEqual(reader.take(readWatcherInfo(text)), "read")
          deepStrictEqual(known(reader, list.packageName), truth(moment.after, list.packageName))
        }
      }
    })
  })

  it(
    "nobody who asked not to be named is, whatever becomes of it, and every entry is one watcher",
    { tags: ["3325-9.3-a"] },
    () => {
      let hidden = 0
      forEveryWatchedHistory((run) => {
        /** By number: how its last request said that it is to be named. */
        const wishes = new Map<number, boolean>()
        for (const { events, notifications } of run.moments) {
          for (const event of events) {
            if (event._tag === "SubscriptionCreated") wishes.set(event.no, event.private === true)
            if (event._tag === "SubscriptionRefreshed" && event.private !== undefined)
              wishes.set(event.no, event.private)
          }
          for (const { body, packageName } of notifications) {
            const list = packageName.endsWith(".winfo") && body !== null ? watcherList(body) : null
            if (list === null) continue
            deepStrictEqual(new Set(list.entries.map(({ id }) => id)).size, list.entries.length)
            for (const { id, uri } of list.entries) {
              const isPrivate = wishes.get(numberOf(id))
              deepStrictEqual(uri === nobody, isPrivate)
              if (isPrivate === true) hidden++
            }
          }
        }
      })
      ok(hidden > 50, `only ${hidden} entries without a name`)
    },
  )

  it("who misses some knows it, and knows everything again after a refresh", { tags: ["L33"] }, () => {
    forEveryWatchedHistory((run) => {
      for (const documents of received(run).values()) {
        const reader = makeWatcherInfoReader()
        for (const one of documents) {
          const { command } = one.moment
          const answers = command._tag === "Subscribe" || command._tag === "Resubscribe"
          const isAnswer = answers && one.moment.events.some(isAbout(one.no))
          if (isAnswer) ok(one.list.isFull, "an answer that is not full")
          // loses what its number says, but no answer
          if (!isAnswer && (one.no * 7 + one.cseq * 3) % 4 === 0) continue
          reader.take(readWatcherInfo(one.text))
          const { packageName } = one.list
          if (reader.isSure())
            deepStrictEqual(known(reader, packageName), truth(one.moment.after, packageName))
          if (one.list.isFull) ok(reader.isSure())
        }
      }
    })
  })

  it(
    "what its reader knows is the true list, whatever strangers stand in a document and however often it comes",
    { tags: ["3858-3-h", "L33"] },
    () => {
      let read = 0
      for (const of of ruledWorlds) {
        fc.assert(
          fc.property(anyRuledSteps({ watched: true }), anyChoices, (steps, choose) => {
            for (const documents of received(playRuled(of, steps)).values()) {
              const reader = makeWatcherInfoReader()
              for (const [index, { text, list, moment }] of documents.entries()) {
                const strange = amongStrangers(text, choose)
                deepStrictEqual(readWatcherInfo(strange), readWatcherInfo(text))
                deepStrictEqual(reader.take(readWatcherInfo(strange)), "read")
                for (const one of documents.slice(Math.max(0, index - 3), index + 1))
                  deepStrictEqual(reader.take(readWatcherInfo(one.text)), "stale")
                deepStrictEqual(known(reader, list.packageName), truth(moment.after, list.packageName))
                read += list.entries.length
              }
            }
          }),
          parameters<[readonly RuledStep[], Choose]>(),
        )
      }
      ok(read > 300, `only ${read} watchers`)
    },
  )

  it("every state knows how many subscriptions to watcher information it has, however it came about", () => {
    let most = 0
    forEveryWatchedHistory((run) => {
      for (const { after } of run.moments) {
        const counted = values(after.subscriptions).filter(({ packageName }) =>
          packageName.endsWith(".winfo"),
        ).length
        deepStrictEqual(after.winfoSubscriptions, counted)
        deepStrictEqual(thaw(freeze(after)).winfoSubscriptions, counted)
        most = Math.max(most, counted)
      }
    })
    ok(most > 1, `at most ${most} at once`)
  })

  it("when nothing moves any more, every receiver that took all knows who watches", { tags: ["L36"] }, () => {
    forEveryWatchedHistory((history) => {
      const run = settle(history)
      const documents = received(run)
      for (const state of run.states.values()) {
        for (const one of values(state.subscriptions)) {
          if (!one.packageName.endsWith(".winfo") || one.shown === "") continue
          const reader = makeWatcherInfoReader()
          for (const { text } of documents.get(one.no) ?? []) reader.take(readWatcherInfo(text))
          const watched = one.packageName.slice(0, -".winfo".length)
          deepStrictEqual(known(reader, watched), truth(state, watched))
        }
      }
    })
  })

  it(
    "an id is one watcher's for ever, once in a document, with a legal status and event",
    { tags: ["3858-3-d", "3858-3-f"] },
    () => {
      forEveryWatchedHistory((run) => {
        const owners = new Map<string, string>()
        const last = new Map<string, string>()
        for (const [no, documents] of received(run)) {
          for (const { list, moment, state } of documents) {
            deepStrictEqual(new Set(list.entries.map(({ id }) => id)).size, list.entries.length)
            deepStrictEqual(list.resource, alice)
            for (const { id, uri, status, event, expiration, duration } of list.entries) {
              // under its own name or under none
              if (uri !== nobody) {
                deepStrictEqual(owners.get(id) ?? uri, uri)
                owners.set(id, uri)
              }
              ok(legal.has(`${status}/${event}`), `${status}/${event}`)
              const was = last.get(`${no} ${id}`)
              ok(was !== "terminated", `${id} rises from the dead`)
              ok(was !== "waiting" || status === "waiting" || status === "terminated")
              last.set(`${no} ${id}`, status)
              const one = get(moment.after.subscriptions, Number(id.slice(1)))
              if (one === undefined) deepStrictEqual(expiration, null)
              else {
                deepStrictEqual(expiration, `${Math.floor((one.expiresAt - moment.at) / 1000)}`)
                deepStrictEqual(duration, `${Math.floor((moment.at - one.createdAt) / 1000)}`)
              }
            }
            if (list.isFull)
              ok(
                list.entries.every(({ status }) => status !== "terminated"),
                state,
              )
          }
        }
      })
    },
  )

  it(
    "a partial document says only what is new, and at least something",
    { tags: ["L33", "3857-4.7.2-b"] },
    () => {
      forEveryWatchedHistory((run) => {
        for (const documents of received(run).values()) {
          const rows = new Map<string, string>()
          const renamed = new Set(
            run.moments.flatMap(({ events }) =>
              events.flatMap((one) =>
                one._tag === "SubscriptionRefreshed" && one.private !== undefined ? [one.no] : [],
              ),
            ),
          )
          for (const { list } of documents) {
            if (!list.isFull) ok(list.entries.length > 0, "an empty partial document")
            for (const { id, uri, status, event } of list.entries) {
              const row = `${status}/${event}`
              // there and back between two documents is news, too; so is the name under which it goes, there and back
              if (!list.isFull && rows.get(id) === `${row} ${uri}`) {
                ok(row === "pending/subscribe" || row === "active/approved" || renamed.has(numberOf(id)))
              }
              rows.set(id, `${row} ${uri}`)
            }
          }
        }
      })
    },
  )
})

describe("who receives watcher information", () => {
  it("the presentity and nobody else, whoever asks in whatever way", { tags: ["L34"] }, () => {
    forEveryRuledHistory((run) => {
      for (const { before, after, command, answer, events, notifications } of run.moments) {
        for (const state of [before, after]) {
          for (const one of values(state.subscriptions)) {
            if (one.packageName.endsWith(".winfo")) deepStrictEqual(one.watcher, alice)
          }
        }
        if (command._tag !== "Subscribe" || !command.packageName?.endsWith(".winfo")) continue
        if (command.watcher === alice) continue
        deepStrictEqual(answer._tag === "Rejected" ? answer.rejection.status : null, 403)
        deepStrictEqual([events, notifications], [[], []])
      }
    })
  })

  it("what begins and ends in one decision is told to nobody", { tags: ["L34"] }, () => {
    forEveryRuledHistory((run) => {
      const fetches = new Set<string>()
      for (const { events } of run.moments) {
        for (const event of events) {
          if (event._tag !== "SubscriptionTerminated" || event.waitsUntil !== null) continue
          if (events.some((other) => other._tag === "SubscriptionCreated" && other.no === event.no))
            fetches.add(`w${event.no}`)
        }
      }
      for (const documents of received(run).values()) {
        for (const { list } of documents) for (const { id } of list.entries) ok(!fetches.has(id), id)
      }
    })
  })
})

const isAbout =
  (no: number) =>
  (event: Moment["events"][number]): boolean =>
    "no" in event && event.no === no
