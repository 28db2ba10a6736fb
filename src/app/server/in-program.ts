/**
 * A whole server inside a program: sockets, store and tables by the same settings as `presently serve`.
 */
import type { Layer } from "effect"
import type { EventPackage } from "../../domain/packages/event-package.ts"
import type { PackageName } from "../../domain/vocabulary.ts"
import type { LogIsTaken } from "../../ports/claim.ts"
import type { EventStore } from "../../ports/event-store.ts"
import type { RequestPolicy } from "../config/request-policy-hook.ts"
import type { PublishRule, SubscribeRule } from "../config/request-policy-rules.ts"
import type { SettingName } from "../config/settings.ts"
import type { RulesSource } from "../extensions/extensions.ts"
import type { Reloaded } from "../node/reloaded.ts"

type Typed = "request_policy" | "handle_publish" | "handle_subscribe" | "extensions"

/** Settings by name, as in the configuration file; left out: memory, and any free port on loopback. */
export interface ServerOptions<Name extends PackageName = PackageName> extends Readonly<
  Partial<Record<Exclude<SettingName, Typed>, unknown>>
> {
  /** Functions that are asked about each request, or the file that has them. */
  readonly request_policy?: RequestPolicy | string
  readonly handle_publish?: readonly PublishRule[]
  readonly handle_subscribe?: readonly SubscribeRule[]
  /**
   * Event packages beside the bundled ones, each with its watcher information as `NAME.winfo`. A fault of one affects the
   * presentity on which it occurred, which answers 500 until the server starts again; all others continue.
   */
  readonly packages?: readonly EventPackage<unknown, Name>[]
  /**
   * Authorization documents (RFC 5025) from elsewhere, asked for before each new subscription and when rules are refreshed. Where
   * it fails or takes longer than `rules_wait`, the rules in force stay; where there are none, watchers wait.
   */
  readonly rules?: RulesSource
  /** Where the log is kept: `storeOf({ … })`, or a layer of your own. There are no tables then. */
  readonly store?: Layer.Layer<EventStore, Error>
  /** A module that exports these three, in their place. */
  readonly extensions?: string
}

/** A server that was started by a program. */
export interface RunningServer {
  /** Where it listens, with real ports: `udp:127.0.0.1:5060`. */
  readonly addresses: readonly string[]
  /** URL of the management port; null when it is off. */
  readonly admin: string | null
  /** Resolves when everything that has arrived and fallen due so far has happened. */
  readonly settle: () => Promise<void>
  /**
   * Reads the files of users and tokens, rules and hard state again, as `presently serve` does on SIGHUP.
   *
   * @throws ConfigInvalid naming every error in them: then nothing has changed
   */
  readonly reload: () => Promise<Reloaded>
  /**
   * Resolves when another program took the log: nothing is decided, answered or sent any more, and only `close` is left to do.
   * Until then it stays pending.
   */
  readonly lost: Promise<LogIsTaken>
  /** Takes no more requests, decides what is under way, and closes sockets and store. */
  readonly close: () => Promise<void>
  /** The same, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Starts a SIP presence server (RFC 3856) inside the program; its log is silent. What it needs is loaded by the first call.
 *
 * @param options settings by name, as in the configuration file; left out: memory, and any free port on loopback
 * @param now milliseconds since 1970, for tests; lifetimes go by it, SIP timers do not
 * @throws ConfigInvalid naming an argument that cannot be meant, and every setting that is wrong
 * @throws LogIsTaken naming the program that has the log
 * @throws StoreUnfit saying why the database will not do
 *
 * @example
 * ```ts
 * await using server = await Server.start({ listen: ["udp:0.0.0.0:5060"], database_url: "postgres://…" })
 * console.log(server.addresses)
 * ```
 */
const start = async <Name extends PackageName = PackageName>(
  options: ServerOptions<Name> = {},
  now: (() => number) | null = null,
): Promise<RunningServer> => {
  const { startWithin } = await import("./start-in-program.ts")
  return startWithin(options as ServerOptions, now)
}

/** A whole SIP presence server inside a program. */
export const Server = { start } as const
