/**
 * Options of a program that has presence in it, and their defaults.
 */
import { parserCodec, xmlCodec } from "../../adapters/xml/codec.ts"
import { remembering } from "../../adapters/xml/remember.ts"
import { bundledWith } from "../../domain/packages/bundled.ts"
import type { BundledName } from "../../domain/packages/bundled.ts"
import type { EventPackage, Packages } from "../../domain/packages/event-package.ts"
import { allowEveryone, askTheRules, defaultLimits } from "../../domain/presentity/context.ts"
import type { Authorize, Limits } from "../../domain/presentity/context.ts"
import type { PackageName } from "../../domain/vocabulary.ts"
import { watchingFrom } from "../config/watch-policies.ts"
import type { WatchOptions } from "../config/watch-policies.ts"
import { checkedPackage } from "../extensions/checked-package.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import { quiet, shown, wordsOf } from "../extensions/words.ts"
import { commonRules, makeRegistry, watcherInfo } from "../packages/index.ts"
import { foreverSeconds } from "./arguments.ts"
import type { PresenceFault } from "./faults.ts"
import { CallbackFault } from "./refused.ts"

/** What an embedding program may choose. Options that cannot be meant fail with OptionsInvalid, before anything is started. */
export interface PresenceOptions<Name extends PackageName = PackageName> {
  /** Event packages; left out: all bundled ones. Each has its watcher information as `NAME.winfo`. */
  readonly packages?: readonly EventPackage<unknown, Name>[]
  /** Bounds and lifetimes; left out: as in the server, but without pacing and with lifetimes as long as anybody asks. */
  readonly limits?: Partial<Limits>
  /**
   * Authorization documents from elsewhere, asked before each `watch` and by `refreshRules`; null: there is none. Left
   * out, and without `authorize`, everybody may watch. Where it fails, what was in force stays; where nothing was, watchers
   * wait, and it is asked again every now and then.
   */
  readonly rules?: RulesSource
  /** Seconds after which a source that has not answered counts as failed; left out: 10. */
  readonly rulesWait?: number
  /** Told when `rules` throws, does not answer in time, or gives what cannot be used; left out: a line in the log. */
  readonly onRulesFault?: (fault: RulesFault) => void
  /**
   * Who may watch which package, as the server's settings `watch_policy`, `line_members` and `mailbox_owners` have it; `{}`:
   * every package as it says itself. Watchers are who they say: whoever calls `watch` has to know them. Left out: presence is
   * by its rules where there are `rules` or `authorize`, and everybody may watch everything else.
   */
  readonly watching?: WatchOptions
  /** Asked for every watcher: how it is to be treated, or null to let policies and rules say. */
  readonly authorize?: Authorize
  /**
   * Milliseconds since 1970; left out: the system's. Has to be told of by `settle` when it jumps. While it throws or gives what is no
   * instant, time goes on from the last it gave.
   */
  readonly now?: () => number
  /** Told of what goes wrong inside: decisions that throw, a store that is away; left out: a line in the log for each. */
  readonly onFault?: (fault: PresenceFault) => void
  /**
   * Seconds after which a store that has not answered counts as away, also when it is opened: a start then fails. An append is
   * given up after three seconds. Left out: 30.
   */
  readonly storeWait?: number
  /** Characters that a body or an authorization document may have; above it 413. Left out: 1,048,576. */
  readonly bodyMax?: number
  /**
   * Items that wait for somebody who iterates `notifications`, `decisions`, or what is exposed in a `feed`, and is slow; one more ends
   * that iteration with `FellBehind`. Left out: 10,000.
   */
  readonly queueMax?: number
}

export const defaultBodyMax = 1_048_576
export const queueMaxOf = ({ queueMax = 10_000 }: PresenceOptions): number => queueMax
export const storeWaitOf = ({ storeWait = 30 }: PresenceOptions): number => storeWait

/** Why nothing is known of somebody's rules. */
export interface RulesFault {
  readonly presentity: string
  readonly event: PackageName
  /** In one line. */
  readonly why: string
}

export type { BundledName }

/** An event package, or its watcher information; a package with parameters in its name shares that of its type. */
export type EventName<Name extends string> =
  | Name
  | (Name extends `${string};${string}` ? never : `${Name}.winfo`)

export const packagesOf = (options: PresenceOptions): Packages =>
  makeRegistry(
    options.packages?.map(checkedPackage) ?? bundledWith({}, remembering(xmlCodec), parserCodec),
    (name) => watcherInfo(name),
    commonRules(),
  )

/** @throws Error with a line for each entry of `watching` that cannot be meant */
export const limitsOf = (options: PresenceOptions): Limits => ({
  ...defaultLimits,
  notifyIntervalMillis: 0,
  maxExpiresPublish: foreverSeconds,
  maxExpiresSubscribe: foreverSeconds,
  ...options.limits,
  ...(options.watching === undefined
    ? {}
    : { watching: watchingFrom(options.watching, packagesOf(options)) }),
})

export const authorizeOf = (options: PresenceOptions): Authorize =>
  options.authorize === undefined
    ? options.rules === undefined && options.watching === undefined
      ? allowEveryone
      : askTheRules
    : checkedAuthorize(options.authorize)

const treatments: ReadonlySet<unknown> = new Set(["block", "confirm", "polite-block", "allow", null])

/** @throws CallbackFault: nobody is let in by a function that fails */
const checkedAuthorize =
  (authorize: Authorize): Authorize =>
  (question) => {
    let answer: unknown
    try {
      answer = authorize(question)
    } catch (cause) {
      throw new CallbackFault({ callback: "authorize", why: `threw: ${wordsOf(cause)}`, cause })
    }
    if (treatments.has(answer)) return answer as ReturnType<Authorize>
    quiet(answer)
    const expected = "allow, block, confirm, polite-block or null"
    throw new CallbackFault({ callback: "authorize", why: `gave ${shown(answer)}: expected ${expected}` })
  }
