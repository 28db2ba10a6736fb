/**
 * Options of presence within a program, and their defaults.
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

/** What an embedding program may choose. Invalid options fail with OptionsInvalid before anything is started. */
export interface PresenceOptions<Name extends PackageName = PackageName> {
  /** Event packages; left out: all bundled ones. Each has its watcher information as `NAME.winfo`. */
  readonly packages?: readonly EventPackage<unknown, Name>[]
  /** Bounds and lifetimes; left out: as in the server, but without pacing and with unlimited lifetimes. */
  readonly limits?: Partial<Limits>
  /**
   * Authorization documents from elsewhere, asked for before each `watch` and by `refreshRules`; null: there is none. Without it
   * and without `authorize`, everybody may watch. Where it fails, the rules in force stay; where there are none, watchers wait,
   * and it is asked again from time to time.
   */
  readonly rules?: RulesSource
  /** Seconds after which a source without an answer has failed; left out: 10. */
  readonly rulesWait?: number
  /** Called when `rules` throws, does not answer in time, or returns something unusable; left out: that is logged. */
  readonly onRulesFault?: (fault: RulesFault) => void
  /**
   * Who may watch which package, as in the server's settings `watch_policy`, `line_members` and `mailbox_owners`; `{}`: every
   * package by its own policy. Watchers are who they claim to be: the caller of `watch` has to know them. Left out: presence is
   * subject to its rules where there are `rules` or `authorize`, and everybody may watch everything else.
   */
  readonly watching?: WatchOptions
  /** Asked for every watcher: how to treat it, or null to leave the decision to policies and rules. */
  readonly authorize?: Authorize
  /**
   * Milliseconds since 1970; left out: the system's clock. Call `settle` after it jumped. While it throws or returns no instant,
   * time continues from the last valid one.
   */
  readonly now?: () => number
  /** Called for internal faults: decisions that throw, a store that is away; left out: each is logged. */
  readonly onFault?: (fault: PresenceFault) => void
  /**
   * Seconds after which a store without an answer counts as away, also while it is opened: a start then fails. An append is
   * abandoned after three seconds. Left out: 30.
   */
  readonly storeWait?: number
  /** The most characters in a body or an authorization document; more is refused with 413. Left out: 1,048,576. */
  readonly bodyMax?: number
  /**
   * How many items wait for a slow reader of `notifications`, `decisions` or a `feed`; one more ends that iteration with
   * `FellBehind`. Left out: 10,000.
   */
  readonly queueMax?: number
}

export const defaultBodyMax = 1_048_576
export const queueMaxOf = ({ queueMax = 10_000 }: PresenceOptions): number => queueMax
export const storeWaitOf = ({ storeWait = 30 }: PresenceOptions): number => storeWait

/** Rules that could not be read. */
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

/** @throws Error with a line for each invalid entry of `watching` */
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

/** @throws CallbackFault: a function that fails admits nobody */
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
