/**
 * Documents that somebody else keeps, on their way into the log: a place that is looked at again and again.
 *
 * A document that cannot be used is refused with the reason, and what was in force stays in force. Where nothing was in force
 * that is not to say that there are none: whoever watches waits until it is known (`isUnread`). The same is true of everybody while
 * the place itself has not been read.
 */
import { Clock, Deferred, Effect, Fiber, Semaphore } from "effect"
import type { Scope } from "effect"
import { keyOf } from "../../ports/document-source.ts"
import type { DocumentChange, DocumentPlace, Look, Trouble } from "../../ports/document-source.ts"
import type { Answer, Command } from "../../domain/presentity/commands.ts"
import type { IsUnread } from "../../domain/presentity/context.ts"
import type { State } from "../../domain/presentity/state.ts"
import { values } from "../../domain/table.ts"
import type { Millis, PackageName, Uri } from "../../domain/vocabulary.ts"
import type { Pump } from "./pump.ts"

/** A place that says which documents are in force. */
export interface DocumentSource extends DocumentPlace {
  readonly everySeconds: number
}

export interface DocumentKind {
  /** For messages. */
  readonly name: string
  /** Whether documents of this package come from the source. */
  readonly governs: (packageName: PackageName) => boolean
  readonly commandOf: (packageName: PackageName, text: string | null) => Command
  /** What is in force, by package. */
  readonly inForce: (state: State) => Iterable<readonly [PackageName, string]>
  /** Whether watchers wait while their source has not been read. */
  readonly decidesWhoWatches: boolean
}

/** A document that cannot be used. */
export interface Troubled extends Trouble {
  /** When it was found so. */
  readonly since: Millis
}

/** How it stands with a source. */
export interface SourceHealth {
  /** `rules` or `hard state`. */
  readonly kind: string
  /** `folder /etc/presently/rules` */
  readonly name: string
  /** `reading`: for the first time; `unreachable`: it could not be read when it was last looked at, or has not answered yet. */
  readonly state: "reading" | "read" | "unreachable"
  /** Why it is unreachable; null: it is not. */
  readonly why: string | null
  /** Since when it is unreachable; null: it is not. */
  readonly since: Millis | null
  /** Documents there are, usable or not. */
  readonly documents: number
  readonly troubles: readonly Troubled[]
  /** Looks that read it, and looks that could not. */
  readonly looks: number
  readonly failures: number
}

export interface Follower {
  /**
   * Puts in force what the source has, and follows it from then on. Succeeds when that is done, or when the source cannot be
   * read in time; then all that the log knows nothing of waits.
   */
  readonly begin: Effect.Effect<void, never, Scope.Scope>
  /** Puts in force whatever has changed since the last look; waits for one that is under way, but not for ever. */
  readonly poll: Effect.Effect<void>
  readonly isUnread: IsUnread
  /** Null: there is no source. */
  readonly health: () => SourceHealth | null
}

/** Documents that are decided on at the same time. */
const concurrency = 256

/** Until the next look at a source that could not be read while a start waits for it, or when the store was away. */
const impatientMillis = 250

/**
 * Puts what a source says in force.
 *
 * The source is the truth: what is in force when it is first read, and that it does not have, is removed.
 *
 * @param waitSeconds how long a start waits for it, and how long it may be silent without being called unreachable
 */
export const makeDocumentPoller = (
  source: DocumentSource | null,
  kind: DocumentKind,
  pump: Pump,
  waitSeconds: number,
): Follower => {
  if (source === null) {
    return { begin: Effect.void, poll: Effect.void, isUnread: () => false, health: () => null }
  }
  let hasRead = false
  let unreachable: { readonly why: string; readonly since: Millis } | null = null
  let documents = 0
  const counts = { looks: 0, failures: 0 }
  /** By place and reason. */
  let troubles = new Map<string, Troubled>()
  /** Packages whose part of the source cannot be read. */
  let unreadPackages: ReadonlySet<PackageName> = new Set()
  /** Documents that cannot be used, or are known and not in force yet. */
  const open = new Map<string, DocumentChange | null>()
  const refused = new Map<string, { readonly text: string; readonly trouble: Trouble }>()
  const lock = Semaphore.makeUnsafe(1)
  const firstRead = Deferred.makeUnsafe<void>()
  const firstApplied = Deferred.makeUnsafe<void>()
  let hasGivenUp = false
  /** Why the last look of a start failed. */
  let lastWhy: string | null = null
  /** What the first look removes because the source does not have it. */
  let unlisted: ReadonlySet<DocumentChange> = new Set()
  /** The store was away when watchers were to be looked at again. */
  let owesReview = false

  const isUnread: IsUnread = (presentity, packageName) =>
    kind.decidesWhoWatches &&
    kind.governs(packageName) &&
    (!hasRead || unreadPackages.has(packageName) || open.has(keyOf({ packageName, presentity })))

  const present = (presentity: Uri, packageName: PackageName): string | null => {
    const state = pump.engine.state(presentity)
    if (state === undefined) return null
    for (const [name, text] of kind.inForce(state)) if (name === packageName) return text
    return null
  }

  /** @returns whether it is to be tried again */
  const apply = Effect.fnUntraced(function* (change: DocumentChange) {
    const { packageName, presentity, text, file } = change
    const key = keyOf(change)
    const before = present(presentity, packageName)
    if (text === before) refused.delete(key)
    else if (text === null || refused.get(key)?.text !== text) {
      const command = kind.commandOf(packageName, text)
      const answer = yield* pump.amend(presentity, command, `${kind.name} source ${file}`)
      const why = refusal(answer)
      if (why !== null && answer._tag === "Rejected" && isPassing(answer)) return true
      if (why === null || text === null) {
        refused.delete(key)
        if (unlisted.has(change)) yield* Effect.logWarning(unlistedInWords(kind, source.name, change))
        else
          yield* Effect.logInfo(
            `${kind.name} of ${nameOf(change)} ${text === null ? "removed" : "in force"}: ${file}`,
          )
      } else refused.set(key, { text, trouble: { of: { packageName, presentity }, file, why } })
    }
    // what is refused stays unread where nothing was in force
    if (!refused.has(key)) open.delete(key)
    source.settle(change)
    return false
  })

  const read = Effect.fnUntraced(function* (found: Look) {
    const isFirst = !hasRead
    // what could not be removed the last time still is to be
    const missing = isFirst
      ? missingFrom(found, kind, pump)
      : [...unlisted].filter((one) => !found.listed.has(keyOf(one)) && !found.unread.has(one.packageName))
    unlisted = new Set(missing)
    const changes = [...found.changes, ...missing]
    const wasUnread = unreadKeys()
    unreadPackages = found.unread
    open.clear()
    for (const { of, spare } of found.troubles) {
      if (of === null || spare === true) continue
      open.set(keyOf(of), null)
      refused.delete(keyOf(of))
    }
    for (const key of refused.keys()) if (found.listed.has(key)) open.set(key, null)
    // until it is decided on: whoever comes in between is not to be treated as if there were nothing
    for (const change of changes) if (change.text !== null) open.set(keyOf(change), change)
    documents = found.listed.size
    hasRead = true
    yield* Deferred.succeed(firstRead, undefined)
    const failed = yield* Effect.forEach(changes, apply, { concurrency })
    unlisted = new Set(changes.filter((one, index) => failed[index] === true && unlisted.has(one)))
    for (const key of refused.keys()) if (!found.listed.has(key)) refused.delete(key)
    yield* tell(found)
    yield* review(isFirst || owesReview ? null : differing(wasUnread, unreadKeys()))
    return owesReview || failed.includes(true)
  })

  const unreadKeys = (): ReadonlySet<string> => new Set([...open.keys(), ...unreadPackages])

  /** Everybody whose watchers wait though they need not, or need to and do not. @param only by key or package; null: all */
  const review = (only: ReadonlySet<string> | null): Effect.Effect<void> => {
    owesReview = false
    if (!kind.decidesWhoWatches || only?.size === 0) return Effect.void
    const asked: { readonly presentity: Uri; readonly packageName: PackageName }[] = []
    for (const presentity of presentitiesIn(only)) {
      const state = pump.engine.state(presentity)
      if (state === undefined) continue
      for (const packageName of treatedOtherwise(state))
        if (only === null || only.has(keyOf({ packageName, presentity })) || only.has(packageName))
          asked.push({ presentity, packageName })
    }
    return Effect.forEach(
      asked,
      ({ presentity, packageName }) =>
        Effect.map(
          pump.amend(
            presentity,
            { _tag: "RefreshWatchers", packageName, kind: "rules" },
            `${kind.name} source ${source.name}`,
          ),
          (answer) => {
            if (answer._tag === "Rejected" && isPassing(answer)) owesReview = true
          },
        ),
      { concurrency, discard: true },
    )
  }

  const presentitiesIn = (only: ReadonlySet<string> | null): Iterable<Uri> => {
    if (only === null || [...only].some((one) => !one.includes(" "))) return [...pump.engine.presentities()]
    return new Set([...only].map((key) => key.slice(key.indexOf(" ") + 1) as Uri))
  }

  /** Packages in which nothing is in force and somebody is treated as if it had been read, or had not. */
  const treatedOtherwise = (state: State): ReadonlySet<PackageName> => {
    const found = new Set<PackageName>()
    const ruled = new Set([...kind.inForce(state)].map(([name]) => name))
    for (const one of values(state.subscriptions)) {
      if (one.forced || ruled.has(one.packageName) || !kind.governs(one.packageName)) continue
      if ((one.unread === true) !== isUnread(state.presentity, one.packageName)) found.add(one.packageName)
    }
    for (const { packageName } of values(state.waiting)) {
      if (!ruled.has(packageName) && kind.governs(packageName) && !isUnread(state.presentity, packageName))
        found.add(packageName)
    }
    return found
  }

  /** Says what cannot be used, once, and what can be again. */
  const tell = Effect.fnUntraced(function* (found: Look) {
    const now = yield* Clock.currentTimeMillis
    const before = troubles
    const all = [...found.troubles, ...[...refused.values()].map(({ trouble }) => trouble)]
    troubles = new Map(
      all.map((one) => {
        const id = `${one.file} ${one.of === null ? "" : keyOf(one.of)} ${one.why}`
        return [id, { ...one, since: before.get(id)?.since ?? now }]
      }),
    )
    for (const [id, one] of troubles)
      if (!before.has(id)) yield* Effect.logWarning(troubleInWords(kind, one, present))
    const files = new Set([...troubles.values()].map(({ file }) => file))
    for (const one of before.values()) {
      if (files.has(one.file)) continue
      files.add(one.file)
      const whose = one.of === null ? "" : ` of ${nameOf(one.of)}`
      yield* Effect.logInfo(`${kind.name}${whose} in ${one.file}: nothing is wrong with it any more`)
    }
  })

  const isLost = Effect.fnUntraced(function* (why: string) {
    if (unreachable?.why === why) return
    const since = unreachable?.since ?? (yield* Clock.currentTimeMillis)
    unreachable = { why, since }
    const meanwhile = !kind.decidesWhoWatches
      ? "what is in force stays"
      : hasRead
        ? "rules that are in force stay"
        : "rules that the log knows count, whoever it knows none of has his watchers wait"
    yield* Effect.logError(`${kind.name}: ${why}: ${meanwhile}`)
  })

  /** @returns whether the next look should come soon */
  const once = lock.withPermits(1)(
    Effect.gen(function* () {
      const silent = `${source.name} has not answered for ${waitSeconds} s`
      const watchdog = yield* Effect.forkChild(
        Effect.sleep(waitSeconds * 1000).pipe(Effect.andThen(isLost(silent))),
      )
      const looked = yield* Effect.result(source.look).pipe(Effect.ensuring(Fiber.interrupt(watchdog)))
      if (looked._tag === "Failure") {
        counts.failures++
        // a start that waits is told when it is over
        if (hasRead || hasGivenUp) yield* isLost(looked.failure.message)
        else lastWhy = looked.failure.message
        return !hasRead && !hasGivenUp
      }
      counts.looks++
      if (unreachable !== null) yield* Effect.logInfo(`${kind.name}: ${source.name} can be read again`)
      unreachable = null
      return yield* read(looked.success)
    }),
  )

  /** In the order in which things happen: reading may take so long, putting in force as long as it takes. */
  const begin = Effect.gen(function* () {
    const follow = Effect.gen(function* () {
      for (;;) {
        const isSoon = yield* once
        if (hasRead && !isSoon) yield* Deferred.succeed(firstApplied, undefined)
        yield* Effect.sleep(isSoon ? impatientMillis : source.everySeconds * 1000)
      }
    })
    yield* Effect.forkScoped(follow)
    yield* Effect.timeoutOption(Deferred.await(firstRead), waitSeconds * 1000)
    if (hasRead) return yield* Deferred.await(firstApplied)
    hasGivenUp = true
    yield* isLost(lastWhy ?? `${source.name} has not answered for ${waitSeconds} s`)
    yield* review(null)
  })

  return {
    begin,
    poll: Effect.suspend(() => Effect.asVoid(Effect.timeoutOption(once, waitSeconds * 1000))),
    isUnread,
    health: () => ({
      kind: kind.name,
      name: source.name,
      state: unreachable !== null ? "unreachable" : hasRead ? "read" : "reading",
      why: unreachable?.why ?? null,
      since: unreachable?.since ?? null,
      documents,
      troubles: [...troubles.values()],
      ...counts,
    }),
  }
}

/** In one of the sets and not in the other. */
const differing = (one: ReadonlySet<string>, other: ReadonlySet<string>): ReadonlySet<string> =>
  new Set([...one, ...other].filter((key) => !one.has(key) || !other.has(key)))

/** The store was away, or too much was asked: the same may be taken later. */
const isPassing = (answer: Extract<Answer, { readonly _tag: "Rejected" }>): boolean =>
  answer.rejection._tag === "ServiceUnavailable"

const nameOf = (of: { readonly presentity: Uri; readonly packageName: PackageName }): string =>
  of.packageName === "presence" ? of.presentity : `${of.presentity} for ${of.packageName}`

const troubleInWords = (
  kind: DocumentKind,
  { of, file, why, spare }: Trouble,
  present: (presentity: Uri, packageName: PackageName) => string | null,
): string => {
  if (of === null) return `${kind.name} in ${file} not used: ${why}`
  if (spare === true) return `${kind.name} of ${nameOf(of)} in ${file} not used: ${why}`
  const isKnown = present(of.presentity, of.packageName) !== null
  const meanwhile = isKnown
    ? "the old stays in force"
    : kind.decidesWhoWatches
      ? "none were in force, and watchers wait"
      : "none was in force"
  return `${kind.name} of ${nameOf(of)} in ${file} refused, ${meanwhile}: ${why}`
}

const missingFrom = (found: Look, kind: DocumentKind, pump: Pump): readonly DocumentChange[] => {
  const missing: DocumentChange[] = []
  for (const presentity of pump.engine.presentities()) {
    const state = pump.engine.state(presentity)
    if (state === undefined) continue
    for (const [packageName] of kind.inForce(state)) {
      const isThere = found.listed.has(keyOf({ packageName, presentity }))
      if (isThere || !kind.governs(packageName) || found.unread.has(packageName)) continue
      missing.push({ packageName, presentity, text: null, file: "no longer there" })
    }
  }
  return missing
}

/** Nobody can tell whether it was taken away there meanwhile or had never come from there. */
const unlistedInWords = (kind: DocumentKind, source: string, change: DocumentChange): string =>
  `${kind.name} of ${nameOf(change)} removed: ${source} has none; what was in force did not come from there, ` +
  "or was taken away there while nobody looked"

/** Why a document is not in force; null when it is. */
export const refusal = (answer: Answer): string | null => {
  if (answer._tag === "Accepted") return null
  const { rejection } = answer
  if ("why" in rejection) return rejection.why
  return rejection._tag === "UnsupportedMediaType"
    ? `of another type than ${rejection.accept.join(" or ")}`
    : `${rejection.status}`
}
