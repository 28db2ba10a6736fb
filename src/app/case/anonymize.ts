/**
 * A stream under pseudonyms: its initial state and its decisions, in which everything happens as it did, but to invented people.
 *
 * Digests of views are computed again from the anonymized views. A digest of something that the case does not hold becomes a
 * pseudonym, which differs from every view just as the original did. A string in a field that this file does not know is replaced
 * by a pseudonym as well.
 */
import { randomBytes } from "node:crypto"
import { programFlow } from "../../domain/presentity/abandon.ts"
import type { About, Requester } from "../../domain/presentity/about.ts"
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
import type { AnonymousText } from "./anonymous-text.ts"
import { makeStandIns } from "./stand-ins.ts"

export interface Anonymizer {
  /** Begins a stream. */
  readonly stream: (state: State) => State
  readonly decision: (recorded: RecordedDecision) => RecordedDecision
  /** For anything that stands outside the streams. */
  readonly name: (text: string) => string
}

/** Strings from our own fixed vocabulary, which identify nobody. */
const ours: ReadonlySet<string> = new Set([
  "_tag",
  "reach",
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
  // only what matches the form that the package sends is kept
  "accept",
  "needs",
])

/** Digests, including the reserved values: nothing shown yet, no document, undecided, withheld, watcher information. */
const isSpoken = (shown: string): boolean => /^(?:|-|\?|!|w\d+)$/.test(shown)

const digestsMax = 10_000

const streamName = (text: AnonymousText, stream: Uri): Uri =>
  stream === sharingTagsStream || stream === retentionStream ? stream : (text.name(stream) as Uri)

/** What is known of a request: a device or person has the same pseudonym in all decisions, and references stay what they are. */
const aboutOf = (about: About, text: AnonymousText): About => {
  const { command, by, request, node, epoch, profile } = about
  return {
    ...(command === undefined ? {} : { command: text.name(command) }),
    ...(by === undefined ? {} : { by: typeof by === "number" ? by : requesterOf(by, text) }),
    ...(request === undefined ? {} : { request: text.name(request) }),
    ...(node === undefined ? {} : { node: text.name(node) }),
    ...(epoch === undefined ? {} : { epoch }),
    ...(profile === undefined ? {} : { profile: typeof profile === "number" ? profile : text.name(profile) }),
  }
}

const requesterOf = (by: Requester, text: AnonymousText): Requester =>
  Object.fromEntries(Object.entries(by).map(([part, value]: [string, string]) => [part, text.name(value)]))

/**
 * How the values of facts and snapshots are replaced, by their field.
 *
 * @param viewDigest gives the digest that replaces one of a view
 */
const valuesWith = (text: AnonymousText, viewDigest: (shown: string) => string) => {
  /** `nonce.version`, the form of our entity-tags; the version is kept, so that it still names the decision that made the tag. */
  const entityTag = (tag: string): string => {
    const [, nonce, version] = /^(.*)(\.[0-9a-z]{1,7})$/s.exec(tag) ?? []
    return nonce === undefined || version === undefined ? text.name(tag) : text.name(nonce) + version
  }

  const anonymized = (key: string, value: unknown): unknown => {
    if (typeof value === "string") {
      // the flow within a program is no address, and identifies nobody
      if (ours.has(key) || ((key === "flow" || key === "source") && value === programFlow)) return value
      if (key === "shown") return viewDigest(value)
      return key === "entityTag" || key === "supersedes" ? entityTag(value) : text.name(value)
    }
    if (typeof value !== "object" || value === null) return value
    if (Array.isArray(value)) {
      // header names identify nobody
      if (key === "headers") return value.map(([name, value]: [string, string]) => [name, text.name(value)])
      return value.map((item) => anonymized(key, item))
    }
    if ("contentType" in value && "text" in value) return text.body(value as Body)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, anonymized(name, member)]))
  }

  const byPackage = <V>(pairs: readonly (readonly [string, V])[]): readonly (readonly [string, V])[] =>
    pairs.map(([name, value]) => [name, anonymized("", value) as V])

  /** Transport, address and Call-ID become pseudonyms; the CSeq number is kept. */
  const originOf = (origin: string): string => {
    if (origin === "import") return origin
    const [, who = origin, cseq = ""] = /^(.*)( \d+)$/s.exec(origin) ?? []
    return text.name(who) + cseq
  }

  const snapshotOf = (state: State): Snapshot => {
    const { presentity, publications, hardState, rules, watchersChangedIn, ...rest } = freeze(state)
    return {
      ...(anonymized("", rest) as typeof rest),
      presentity: streamName(text, presentity),
      publications: byPackage(publications),
      ...(hardState === undefined ? {} : { hardState: byPackage(hardState) }),
      rules: byPackage(rules),
      watchersChangedIn,
    }
  }

  return { anonymized, originOf, snapshotOf }
}

/** @param key a new one for each export: whoever has it can undo the pseudonyms */
export const makeAnonymizer = (reaction: Reaction, key: Buffer = randomBytes(32)): Anonymizer => {
  const standIns = makeStandIns(key)
  const text = makeAnonymousText(standIns)
  /** Digests of views that were shown, each with the digest of the same view under pseudonyms. */
  const digests = new Map<string, string>()
  let [original, anonymous]: readonly [State | null, State | null] = [null, null]

  const { anonymized, originOf, snapshotOf } = valuesWith(text, (shown) =>
    isSpoken(shown) ? shown : (digests.get(shown) ?? standIns.digest(shown)),
  )

  const note = (shown: string, before: State, alike: State, subscription: Subscription | undefined): void => {
    const eventPackage = subscription === undefined ? null : reaction.packages.find(subscription.packageName)
    const same = subscription === undefined ? undefined : get(alike.subscriptions, subscription.no)
    if (eventPackage === null || subscription === undefined || same === undefined || isSpoken(shown)) return
    if (viewFor(before, subscription, eventPackage).digest !== shown) return
    if (digests.size >= digestsMax) digests.clear()
    digests.set(shown, viewFor(alike, same, eventPackage).digest)
  }

  const told = (event: NotificationsIssued, state: State): Subscription | undefined =>
    audience(state, event)[0] ?? get(state.subscriptions, event.suppressed[0] ?? -1)

  return {
    name: text.name,
    stream: (state) => {
      digests.clear()
      original = state
      const first = thaw(snapshotOf(state))
      for (const subscription of freeze(state).subscriptions)
        note(subscription.shown, state, first, subscription)
      // thawed again: the digests of views that are still shown are known now
      anonymous = thaw(snapshotOf(state))
      return anonymous
    },
    decision: ({ position, decision }) => {
      if (original === null || anonymous === null) throw new Error("a decision stands in a stream")
      let [before, alike] = [original, anonymous]
      const at = clockOf(decision)
      const events = decision.events.map((event) => {
        if (event._tag === "NotificationsIssued") note(event.shown, before, alike, told(event, before))
        const standIn = anonymized("", event) as Event
        before = evolve(before, event, at)
        alike = evolve(alike, standIn, at)
        return standIn
      })
      const { origin, nonce, about, ...rest } = decision
      const next = {
        ...rest,
        stream: streamName(text, decision.stream),
        origin: originOf(origin),
        nonce: text.name(nonce),
        events,
        ...(about === undefined ? {} : { about: aboutOf(about, text) }),
      }
      original = fold(original, decision)
      anonymous = fold(anonymous, next)
      return { position, decision: next }
    },
  }
}
