/**
 * Many presentities, one synchronous machine: commands in, batches of decisions out, answers and NOTIFYs released only when a
 * batch is committed.
 *
 * Sans-I/O: the engine opens nothing, waits for nothing and reads no clock. Whoever drives it has the sockets, the store, the
 * clock and the random numbers. The server's pump, the simulator and `examples/drive-the-engine.ts` drive the very same object
 * by this loop:
 *
 *     const engine = makeEngine({ packages, limits, authorize })
 *     const deliver = ({ ticket, answer, notifications }) => { … } // answer the request, then send its NOTIFYs
 *
 *     engine.advance(clock(), nonce) // decide what has fallen due
 *     do {
 *       for (const request of requests.splice(0)) {
 *         let offered = engine.offer(request, clock(), nonce)
 *         if (offered._tag === "Missing") {
 *           engine.load(await store.load(offered.presentity))
 *           offered = engine.offer(request, clock(), nonce)
 *         }
 *         if (offered._tag === "Released") deliver(offered.release)
 *       }
 *       for (let batch = engine.takeBatch(100); batch !== null; batch = engine.takeBatch(100)) {
 *         const { conflicts } = await store.append(batch.decisions) // when it throws: engine.failed()
 *         const { release, again } = engine.committed(conflicts)
 *         release.forEach(deliver)
 *         requests.push(...again)
 *       }
 *     } while (requests.length > 0)
 *
 * What it promises, and asks:
 *
 * - An answer is `Released` at once when nothing has to be stored for it. Otherwise it is `Held` until `committed`.
 * - Decisions build on each other before they are stored: `offer` decides on the provisional state of a presentity, `state`
 *   shows the committed one. At most one batch is out at a time.
 * - `committed(conflicts)` gives up the decisions on streams that another writer has moved, and all that were decided on top of
 *   them. Their presentities leave memory, and their requests come back as `again`, to be offered after `load`.
 * - `failed()` gives up the batch and everything decided since. What it calls `doubtful` may be stored nevertheless.
 * - A nonce is the caller's: unguessable and fresh for each decision, a token (RFC 3261 §25.1). Entity-tags are made of it.
 * - The end of each NOTIFY comes back as a `ReportDelivery` command.
 */
import type { Packages } from "../packages/event-package.ts"
import type { About } from "../presentity/about.ts"
import type { Accepted, Answer, Command } from "../presentity/commands.ts"
import type { Authorize, IsUnread, Limits } from "../presentity/context.ts"
import type { Decision } from "../presentity/events.ts"
import type { Notify } from "../presentity/intents.ts"
import type { State } from "../presentity/state.ts"
import type { Millis, SubscriptionNo, Uri } from "../vocabulary.ts"

/** A command on its way in. `ticket` is whatever the shell needs to deliver the answer; the engine only keeps it. */
export interface Offer<Ticket> {
  /** Null for a request inside a dialog: the dialog says which presentity. */
  readonly presentity: Uri | null
  readonly command: Command
  readonly origin: string
  /** What else is known of the request; absent: nothing. */
  readonly about?: About
  readonly ticket: Ticket
  /**
   * Decided before what is overdue, not after it: what was true while nobody looked, as rules that changed while the server was
   * down. Absent: no.
   */
  readonly amends?: true
}

export interface Batch {
  /** In the order they were decided; several of one stream follow each other in version. */
  readonly decisions: readonly Decision[]
  /** For each of them the watcher whose request it was; null: the presentity's own, or nobody's. */
  readonly requesters: readonly (Uri | null)[]
}

/** What may leave now, in order: for each decision first its answer, then its NOTIFYs. */
export interface Release<Ticket> {
  readonly ticket: Ticket | null
  /** When it was decided: for what fell due, when it was due. */
  readonly at: Millis
  readonly answer: Answer
  readonly notifications: readonly Notify[]
}

export interface Engine<Ticket> {
  /**
   * Decides a command at `now`, catching up first with what was due before, unless it `amends`: then that is decided
   * afterwards, on what the command has made of the presentity. When `now` is earlier than it was, the presentity first
   * follows the clock.
   *
   * @returns `Missing`: the presentity is not in memory; `load` it and offer again. `Held`: released with a later
   *   batch. `Released`: nothing to store, the answer may leave.
   */
  readonly offer: (offer: Offer<Ticket>, now: Millis, nonce: () => string) => Offered<Ticket>
  /** Puts a presentity into memory as the store knows it. */
  readonly load: (state: State) => void
  readonly isLoaded: (presentity: Uri) => boolean
  /**
   * Takes a presentity out of memory on which nothing is undecided: the store knows it otherwise. Requests in its dialogs still find
   * it.
   */
  readonly unload: (presentity: Uri) => void
  /**
   * Decides everything that has fallen due by `now`, each at its own deadline. When `now` is earlier than it was, all that live follow
   * the clock first: O(presentities).
   */
  readonly advance: (now: Millis, nonce: () => string) => void
  /** Has everything written down that is known of NOTIFYs: nothing more will come. */
  readonly record: (now: Millis, nonce: () => string) => void
  /** Takes the next batch for the store; null when there is nothing to store or one is already out. */
  readonly takeBatch: (decisionsMax: number) => Batch | null
  /**
   * The batch is stored, except for the decisions of `conflicts`: streams that another writer moved meanwhile.
   *
   * @returns what may leave, and the offers to be made again once their streams are loaded afresh
   */
  readonly committed: (conflicts: ReadonlySet<Uri>) => {
    readonly release: readonly Release<Ticket>[]
    readonly stored: readonly CommittedDecision[]
    readonly again: readonly Offer<Ticket>[]
  }
  /** The batch, and all decided since, is given up: every stream concerned is to be loaded afresh. */
  readonly failed: () => Failed<Ticket>
  /**
   * What is `doubtful` has turned out to be stored, and its presentity is loaded with it: its NOTIFYs leave now. Nothing can have
   * been decided on that presentity in between, so their numbers are in order.
   */
  readonly leaveLate: (decision: Doubtful<Ticket>) => void
  /** How it stands with a NOTIFY that nothing is written of yet; null: nobody knows any more. */
  readonly delivery: (presentity: Uri, no: SubscriptionNo, cseq: number) => "under way" | "answered" | null
  /** Committed state of a presentity in memory. */
  readonly state: (presentity: Uri) => State | undefined
  readonly presentities: () => IterableIterator<Uri>
  /**
   * Issue time of the oldest NOTIFY whose final answer is missing or not yet committed with what follows from it; null
   * when there is none. O(presentities with such + undecided).
   */
  readonly oldestInFlight: () => Millis | null
  /** Whether there is one. O(1) while NOTIFYs are under way, else O(undecided). */
  readonly hasInFlight: () => boolean
  readonly counts: () => {
    readonly presentities: number
    readonly dialogs: number
    readonly undecided: number
  }
}

export interface Failed<Ticket> {
  /** Of what was decided in vain, in order. */
  readonly offers: readonly Offer<Ticket>[]
  readonly streams: readonly Uri[]
  /** What the store was asked to keep, and may have kept, or may still. */
  readonly doubtful: readonly Doubtful<Ticket>[]
}

/** A decision that was given up before anybody said whether it is stored. */
export interface Doubtful<Ticket> extends CommittedDecision {
  /** What was decided; not to be offered again when it is stored. Null: time passed. */
  readonly offer: Offer<Ticket> | null
  /** They have not left. */
  readonly notifications: readonly Notify[]
  /** Answers to NOTIFYs that it writes down. */
  readonly took: readonly Accepted[]
}

export type Offered<Ticket> =
  | { readonly _tag: "Missing"; readonly presentity: Uri }
  | { readonly _tag: "Held" }
  | { readonly _tag: "Released"; readonly release: Release<Ticket> }

/** One committed decision with the states around it, for projections. */
export interface CommittedDecision {
  readonly decision: Decision
  readonly before: State
  readonly after: State
}

export interface EngineOptions {
  readonly packages: Packages
  readonly limits: Limits
  readonly authorize: Authorize
  /** Whether this server looks after subscriptions with that sharing tag; absent: after all. */
  readonly isTagActive?: (tag: string) => boolean
  /** Whether the source that keeps rules for somebody has not been read yet; absent: it has, or there is none. */
  readonly isUnread?: IsUnread
  /** Answers to NOTIFYs are written down after so long when nothing else is decided meanwhile; absent: never. */
  readonly recordAfterMillis?: Millis
  /**
   * Told of a defect of ours; the presentity it happened on decides nothing more, all others go on. Without it a
   * defect is thrown.
   */
  readonly onDefect?: (presentity: Uri, command: string, defect: unknown) => void
}
