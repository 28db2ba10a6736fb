/**
 * Laws of watcher information: what its receiver knows after each document is what there is to know, and nobody else
 * receives any.
 */
import { deepStrictEqual, ok } from "node:assert/strict"
import { describe, it } from "vitest"
import type { State } from "../../src/domain/presentity/state.ts"
import { get, values } from "../../src/domain/table.ts"
import { alice } from "../support/builders.ts"
import type { Moment, Run } from "../support/machine.ts"
import { settle } from "../support/history.ts"
import { watcherList } from "../support/ruled.ts"
import type { Watchers } from "../support/ruled.ts"
import { forEveryRuledHistory } from "../support/ruled-history.ts"

interface Received {
  readonly moment: Moment
  readonly no: number
  readonly cseq: number
  readonly state: string
  readonly list: Watchers
}

/** Watcher information in the order it is sent, by subscription. */
const received = (run: Run): ReadonlyMap<number, readonly Received[]> => {
  const all = new Map<number, Received[]>()
  for (const moment of run.moments) {
    for (const { no, cseq, packageName, body, state } of moment.notifications) {
      if (!packageName.endsWith(".winfo")) continue
      const list = body === null ? null : watcherList(body)
      if (list === null) throw new Error(`a NOTIFY of ${packageName} without a document`)
      const before = all.get(no)
      const one = { moment, no, cseq, state, list }
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
    if (one.packageName === packageName) all.push([one.no, `${one.watcher} ${one.status}`])
  }
  for (const one of values(state.waiting)) {
    if (one.packageName === packageName) all.push([one.no, `${one.watcher} waiting`])
  }
  return new Map(all.sort(([a], [b]) => a - b).map(([no, what]) => [`w${no}`, what]))
}

/** A receiver after RFC 3858 §4; terminated rows are dropped. */
const makeReceiver = () => {
  let known = new Map<string, string>()
  let version = -1
  /** Whether a document may have been missed since the last full one. */
  let sure = false
  return {
    take: ({ list }: Received): void => {
      if (list.isFull) known = new Map()
      else if (list.version <= version) return
      sure = list.isFull || (sure && list.version === version + 1)
      version = list.version
      for (const { id, uri, status } of list.entries) {
        if (status === "terminated") known.delete(id)
        else known.set(id, `${uri} ${status}`)
      }
    },
    sure: () => sure,
    knows: () => new Map([...known].sort(([a], [b]) => Number(a.slice(1)) - Number(b.slice(1)))),
  }
}

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
  it("L32: versions count from 0 in each subscription, without a gap, in CSeq order", () => {
    forEveryRuledHistory((run) => {
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

  it("L33: after each document its receiver knows exactly what a full one would say", () => {
    forEveryRuledHistory((run) => {
      for (const documents of received(run).values()) {
        const receiver = makeReceiver()
        for (const one of documents) {
          receiver.take(one)
          deepStrictEqual(receiver.knows(), truth(one.moment.after, one.list.packageName))
        }
      }
    })
  })

  it("L33: who misses some knows it, and knows everything again after a refresh", () => {
    forEveryRuledHistory((run) => {
      for (const documents of received(run).values()) {
        const receiver = makeReceiver()
        for (const one of documents) {
          const { command } = one.moment
          const answers = command._tag === "Subscribe" || command._tag === "Resubscribe"
          const isAnswer = answers && one.moment.events.some(isAbout(one.no))
          if (isAnswer) ok(one.list.isFull, "an answer that is not full")
          // loses what its number says, but no answer
          if (!isAnswer && (one.no * 7 + one.cseq * 3) % 4 === 0) continue
          receiver.take(one)
          if (receiver.sure())
            deepStrictEqual(receiver.knows(), truth(one.moment.after, one.list.packageName))
          if (one.list.isFull) ok(receiver.sure())
        }
      }
    })
  })

  it("L36: when nothing moves any more, every receiver that took all knows who watches", () => {
    forEveryRuledHistory((history) => {
      const run = settle(history)
      const documents = received(run)
      for (const state of run.states.values()) {
        for (const one of values(state.subscriptions)) {
          if (!one.packageName.endsWith(".winfo") || one.shown === "") continue
          const receiver = makeReceiver()
          for (const document of documents.get(one.no) ?? []) receiver.take(document)
          deepStrictEqual(receiver.knows(), truth(state, one.packageName.slice(0, -".winfo".length)))
        }
      }
    })
  })

  it("3858-3-d / 3858-3-f: an id is one watcher's for ever, once in a document, with a legal status and event", () => {
    forEveryRuledHistory((run) => {
      const owners = new Map<string, string>()
      const last = new Map<string, string>()
      for (const [no, documents] of received(run)) {
        for (const { list, moment, state } of documents) {
          deepStrictEqual(new Set(list.entries.map(({ id }) => id)).size, list.entries.length)
          deepStrictEqual(list.resource, alice)
          for (const { id, uri, status, event, expiration, duration } of list.entries) {
            deepStrictEqual(owners.get(id) ?? uri, uri)
            owners.set(id, uri)
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
  })

  it("L33 / 3857-4.7.2-b: a partial document says only what is new, and at least something", () => {
    forEveryRuledHistory((run) => {
      for (const documents of received(run).values()) {
        const rows = new Map<string, string>()
        for (const { list } of documents) {
          if (!list.isFull) ok(list.entries.length > 0, "an empty partial document")
          for (const { id, status, event } of list.entries) {
            const row = `${status}/${event}`
            // there and back between two documents is news, too
            if (!list.isFull && rows.get(id) === row)
              ok(row === "pending/subscribe" || row === "active/approved")
            rows.set(id, row)
          }
        }
      }
    })
  })
})

describe("who receives watcher information", () => {
  it("L34: the presentity and nobody else, whoever asks in whatever way", () => {
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

  it("L34: what begins and ends in one decision is told to nobody", () => {
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
