/**
 * A stream with stand-ins: its first state and its decisions, in which everything happens as it did, to nobody.
 *
 * Digests of views are those of what is shown now. A digest of something that the case does not hold is a stand-in: it
 * differs from every view, as it did. Of a string that stands in a place nobody has thought of, a stand-in is made.
 */
import { randomBytes } from "node:crypto"
import { programFlow } from "../../domain/presentity/abandon.ts"
import { clockOf } from "../../domain/presentity/clock.ts"
import type { Event, NotificationsIssued } from "../../domain/presentity/events.ts"
import { evolve, fold } from "../../domain/presentity/evolve.ts"
import { viewFor } from "../../domain/presentity/notify.ts"
import type { Reaction } from "../../domain/presentity/react.ts"
import { retentionStream } from "../../domain/presentity/retention.ts"
import { sharingTagsStream } from "../../domain/presentity/sharing-tags.ts"
import { freeze, thaw } from "../../domain/presentity/snapshot.ts"
import type { Snapshot } from "../../domain/presentity/snapshot.ts"
import { audience } from "../../domain/presentity/state.ts"
import type { State, Subscription } from "../../domain/presentity/state.ts"
import { get } from "../../domain/table.ts"
import type { Body, Uri } from "../../domain/vocabulary.ts"
import type { RecordedDecision } from "../../ports/event-store.ts"
import { makeAnonymousText } from "./anonymous-text.ts"
import { makeStandIns } from "./stand-ins.ts"

export interface Anonymizer {
  /** Begins a stream. */
  readonly stream: (state: State) => State
  readonly decision: (recorded: RecordedDecision) => RecordedDecision
  /** Of anybody or anything that stands outside the streams. */
  readonly name: (text: string) => string
}

/** Strings that are words of ours. */
const ours: ReadonlySet<string> = new Set([
  "_tag",
  "packageName",
  "cause",
  "status",
  "reason",
  "event",
  "handling",
  "role",
  "outcome",
  "to",
  "matched",
  "policy",
  "contentType",
  // what of it is kept matches what the package sends
  "accept",
])

/** Digests, of which some are said in words: nothing shown yet, no document, undecided, withheld, watcher information. */
const isSpoken = (shown: string): boolean => /^(?:|-|\?|!|w\d+)$/.test(shown)

const digestsMax = 10_000

/** @param key a new one each time: whoever has it can tell who is who */
export const makeAnonymizer = (reaction: Reaction, key: Buffer = randomBytes(32)): Anonymizer => {
  const standIns = makeStandIns(key)
  const text = makeAnonymousText(standIns)
  /** Of views that were shown: theirs → that of the view with stand-ins. */
  const digests = new Map<string, string>()
  let [original, anonymous]: readonly [State | null, State | null] = [null, null]

  const standInOf = (shown: string): string =>
    isSpoken(shown) ? shown : (digests.get(shown) ?? standIns.digest(shown))

  /** `nonce.version`, as entity-tags of ours are: the version goes on saying which decision gave it. */
  const entityTag = (tag: string): string => {
    const [, nonce, version] = /^(.*)(\.[0-9a-z]{1,7})$/s.exec(tag) ?? []
    return nonce === undefined || version === undefined ? text.name(tag) : text.name(nonce) + version
  }

  const anonymized = (key: string, value: unknown): unknown => {
    if (typeof value === "string") {
      // a place that is none names nobody
      if (ours.has(key) || ((key === "flow" || key === "source") && value === programFlow)) return value
      if (key === "shown") return standInOf(value)
      return key === "entityTag" || key === "supersedes" ? entityTag(value) : text.name(value)
    }
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) {
      // names of headers say what they are
      if (key === "headers") return value.map(([name, one]: [string, string]) => [name, text.name(one)])
      return value.map((one) => anonymized(key, one))
    }
    if ("contentType" in value && "text" in value) return text.body(value as Body)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, anonymized(name, one)]))
  }

  const byPackage = <V>(pairs: readonly (readonly [string, V])[]): readonly (readonly [string, V])[] =>
    pairs.map(([name, value]) => [name, anonymized("", value) as V])

  /** Transport, address and Call-ID with stand-ins; the CSeq is a number like any other. */
  const originOf = (origin: string): string => {
    if (origin === "import") return origin
    const [, who = origin, cseq = ""] = /^(.*)( \d+)$/s.exec(origin) ?? []
    return text.name(who) + cseq
  }

  const streamName = (stream: Uri): Uri =>
    stream === sharingTagsStream || stream === retentionStream ? stream : (text.name(stream) as Uri)

  const snapshotOf = (state: State): Snapshot => {
    const { presentity, publications, hardState, rules, watchersChangedIn, ...rest } = freeze(state)
    return {
      ...(anonymized("", rest) as typeof rest),
      presentity: streamName(presentity),
      publications: byPackage(publications),
      ...(hardState === undefined ? {} : { hardState: byPackage(hardState) }),
      rules: byPackage(rules),
      watchersChangedIn,
    }
  }

  const note = (shown: string, was: State, is: State, one: Subscription | undefined): void => {
    const eventPackage = one === undefined ? null : reaction.packages.find(one.packageName)
    const other = one === undefined ? undefined : get(is.subscriptions, one.no)
    if (eventPackage === null || one === undefined || other === undefined || isSpoken(shown)) return
    if (viewFor(was, one, eventPackage).digest !== shown) return
    if (digests.size >= digestsMax) digests.clear()
    digests.set(shown, viewFor(is, other, eventPackage).digest)
  }

  const told = (event: NotificationsIssued, state: State): Subscription | undefined =>
    audience(state, event)[0] ?? get(state.subscriptions, event.suppressed[0] ?? -1)

  return {
    name: text.name,
    stream: (state) => {
      digests.clear()
      original = state
      const first = thaw(snapshotOf(state))
      for (const one of freeze(state).subscriptions) note(one.shown, state, first, one)
      // once more, with the digests of what is still shown
      anonymous = thaw(snapshotOf(state))
      return anonymous
    },
    decision: ({ position, decision }) => {
      if (original === null || anonymous === null) throw new Error("a decision stands in a stream")
      let [was, is] = [original, anonymous]
      const at = clockOf(decision)
      const events = decision.events.map((event) => {
        if (event._tag === "NotificationsIssued") note(event.shown, was, is, told(event, was))
        const standIn = anonymized("", event) as Event
        was = evolve(was, event, at)
        is = evolve(is, standIn, at)
        return standIn
      })
      // what else is known of a request is about persons, and decides nothing
      const { origin, nonce, about: _, ...rest } = decision
      const next = {
        ...rest,
        stream: streamName(decision.stream),
        origin: originOf(origin),
        nonce: text.name(nonce),
        events,
      }
      original = fold(original, decision)
      anonymous = fold(anonymous, next)
      return { position, decision: next }
    },
  }
}
