/**
 * Non-INVITE server transactions: a request reaches the core once, however often it arrives.
 *
 * @source RFC 3261 §17.2.2, §17.2.3, §8.2.2.2; RFC 4320 §4.1
 *
 * The diagram of RFC 3261 §17.2.2 is the table below. No transaction has a timer of its own: each lasts equally long, so the
 * oldest stands first in a queue, and what has lasted long enough is taken from there.
 */
import { reply } from "../../encoding/sip-replies.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import { flattened } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Limits, Timers } from "./options.ts"
import { makeQueue } from "./queue.ts"
import type { Queue } from "./queue.ts"
import { formatResponse } from "./responses.ts"
import { makeShardedMap } from "./sharded-map.ts"
import type { ShardedMap } from "./sharded-map.ts"
import type { Channel } from "./transports/transport.ts"
import type { Via } from "./via.ts"

/** `completed` of the figure; `terminated`: it is remembered no more. */
export type ServerState = "trying" | "proceeding" | "completed" | "terminated"
/**
 * `repeated`: a copy of the request; `due`: a 100 is due, since the client's Timer E has reached T2; `final`: the answer is
 * there; `timerJ`: the time for which it is remembered is over.
 */
export type ServerEvent = "repeated" | "due" | "final" | "timerJ"
/** `refuse`: nobody has answered, and nobody will. */
export type ServerEffect = "nothing" | "send100" | "sendFinal" | "resend" | "refuse"

/**
 * @source RFC 3261 §17.2.2 figure 8; RFC 4320 §4.1 (`due`) and §4.2 (`refuse`). RFC 6026 changes the transactions of INVITE
 *   only
 */
export const diagram: Readonly<
  Record<ServerState, Readonly<Record<ServerEvent, readonly [ServerState, ServerEffect]>>>
> = {
  trying: {
    repeated: ["trying", "nothing"],
    due: ["proceeding", "send100"],
    final: ["completed", "sendFinal"],
    timerJ: ["terminated", "refuse"],
  },
  proceeding: {
    repeated: ["proceeding", "resend"],
    due: ["proceeding", "nothing"],
    final: ["completed", "sendFinal"],
    timerJ: ["terminated", "refuse"],
  },
  completed: {
    repeated: ["completed", "resend"],
    due: ["completed", "nothing"],
    final: ["completed", "nothing"],
    timerJ: ["terminated", "nothing"],
  },
  terminated: {
    repeated: ["terminated", "nothing"],
    due: ["terminated", "nothing"],
    final: ["terminated", "nothing"],
    timerJ: ["terminated", "nothing"],
  },
}

/** Milliseconds after the request at which a 100 is due: from then on the client repeats it every T2 (RFC 4320 §4.1). */
export const dueAfterMs = ({ t1Ms, t2Ms }: Timers): number => t2Ms - t1Ms

/** What is needed to answer, kept only until the answer is there. */
export interface Unanswered {
  readonly message: RawMessage
  /** The top Via line as it goes back. */
  readonly topVia: string
  readonly tag: string | null
}

/** A request that opens a transaction. */
export interface Opening {
  readonly key: string
  /** See `mergeKeyOf`; null: the request cannot be merged with another. */
  readonly mergeKey: string | null
  readonly channel: Channel
  readonly address: string
  readonly port: number
  /** False on a stream, where nothing is retransmitted (Timer J is 0). */
  readonly isRemembered: boolean
  /** Called with the octets of each copy that comes; null: nobody counts them. */
  readonly repeated: ((octets: number) => void) | null
  readonly unanswered: Unanswered
}

export interface ServerTransaction extends Omit<Opening, "unanswered"> {
  /** Whole milliseconds. */
  readonly startedAt: number
  state: ServerState
  /** The last response, resent to each retransmission; null before there is one. */
  response: Buffer | null
  /** Null once the final response is there, so that the request's text can go. */
  unanswered: Unanswered | null
}

export interface ServerTransactions {
  /**
   * Absorbs a retransmission: true when the request must not go further. The stored response goes back the way this
   * copy came, which may be a connection although the first one came as a datagram.
   */
  readonly absorb: (key: string, channel: Channel, address: string, port: number, octets?: number) => boolean
  readonly has: (key: string) => boolean
  readonly isMerged: (mergeKey: string) => boolean
  readonly isFull: () => boolean
  readonly open: (opening: Opening) => ServerTransaction
  /** Stores the final response and sends it, unless there is one. */
  readonly complete: (transaction: ServerTransaction, response: Buffer) => void
  /** Moves time on; called a few times per second. */
  readonly tick: () => void
}

const branchCookie = "z9hG4bK"

/**
 * What makes two requests the same. Keys differ most at their end.
 *
 * @source RFC 3261 §17.2.3; without a real branch the RFC 2543 tuple is used
 */
export const transactionKey = (message: RawMessage, via: Via, method = message.method): string => {
  const { branch } = via
  if (branch !== null && branch.length > branchCookie.length && branch.startsWith(branchCookie))
    return flattened(`${method}\n${via.host}:${via.port ?? 5060}\n${branch}`)
  return flattened(
    `\n${message.uri}\n${message.to}\n${message.vias[0]!}\n${message.cseq} ${method}\n${message.from}\n${message.callId}`,
  )
}

/**
 * What copies of a request that come by several paths have in common. CSeq is compared as a number and a method, however written.
 *
 * @param tag of its From; null: it has none
 * @source RFC 3261 §8.2.2.2: From tag, Call-ID and CSeq
 */
export const mergeKeyOf = (message: RawMessage, tag: string | null): string =>
  flattened(`${message.cseq} ${message.method}\n${message.callId}\n${tag ?? ""}`)

/** What an entry costs besides its strings and its response. */
const entryBytes = 400

/** Timer J begins with the final response: so much longer is a transaction remembered, counted from its request. */
const answerShare = 1 / 16

/** The transactions of one stack. */
interface Memory {
  readonly limits: Limits
  readonly timers: Timers
  readonly counters: SipCounters
  readonly clock: () => number
  readonly byKey: ShardedMap<ServerTransaction>
  /** The newest transaction of each merge key. */
  readonly byMergeKey: ShardedMap<ServerTransaction>
  /** Those that are remembered, oldest first. */
  readonly remembered: Queue<ServerTransaction>
  /** Those for which a 100 may become due, oldest first. */
  readonly waiting: Queue<ServerTransaction>
  bytes: number
}

export const makeServerTransactions = (
  limits: Limits,
  timers: Timers,
  counters: SipCounters,
  clock: () => number,
): ServerTransactions => {
  const memory: Memory = {
    limits,
    timers,
    counters,
    clock,
    byKey: makeShardedMap(),
    byMergeKey: makeShardedMap(),
    remembered: makeQueue(),
    waiting: makeQueue(),
    bytes: 0,
  }
  return {
    absorb: (key, channel, address, port, octets = 0) => {
      const transaction = memory.byKey.get(key)
      if (transaction === undefined) return false
      transaction.repeated?.(octets)
      counters.retransmissionsAbsorbed++
      const effect = happen(memory, transaction, isDue(memory, transaction) ? "due" : "repeated")
      // the way this copy came
      if (effect === "resend") channel.send(transaction.response!, address, port)
      return true
    },
    has: (key) => memory.byKey.has(key),
    isMerged: (mergeKey) => memory.byMergeKey.has(mergeKey),
    isFull: () =>
      counters.serverTransactions >= limits.serverTransactionsMax ||
      memory.bytes >= limits.serverTransactionBytesMax,
    open: (opening) => open(memory, opening),
    complete: (transaction, response) => {
      happen(memory, transaction, "final", response)
    },
    tick: () => {
      const now = clock()
      sendDue(memory, now)
      forget(memory, now)
    },
  }
}

const isDue = ({ clock, timers }: Memory, { state, startedAt }: ServerTransaction): boolean =>
  state === "trying" && clock() - startedAt >= dueAfterMs(timers)

/** Moves a transaction on by the table, and does what it says but for `resend`, whose way only the caller knows. */
const happen = (
  memory: Memory,
  transaction: ServerTransaction,
  event: ServerEvent,
  final: Buffer | null = null,
): ServerEffect => {
  const [state, effect] = diagram[transaction.state][event]
  transaction.state = state
  if (effect === "send100") respond(transaction, formatUnanswered(transaction, 100))
  else if (effect === "sendFinal" || effect === "refuse") {
    const response = final ?? formatUnanswered(transaction, 500)
    transaction.unanswered = null
    if (transaction.isRemembered) memory.bytes += response.length
    respond(transaction, response)
  }
  return effect
}

const respond = (transaction: ServerTransaction, response: Buffer): void => {
  transaction.response = response
  transaction.channel.send(response, transaction.address, transaction.port)
}

const formatUnanswered = ({ unanswered }: ServerTransaction, status: 100 | 500): Buffer => {
  const { message, topVia, tag } = unanswered!
  return formatResponse(message, topVia, status === 100 ? null : tag, reply(status))
}

const open = (memory: Memory, opening: Opening): ServerTransaction => {
  const { key, mergeKey, channel, address, port, isRemembered, repeated, unanswered } = opening
  const transaction: ServerTransaction = {
    key,
    mergeKey,
    channel,
    address,
    port,
    isRemembered,
    repeated,
    startedAt: Math.ceil(memory.clock()),
    state: "trying",
    response: null,
    unanswered,
  }
  memory.waiting.push(transaction)
  if (!isRemembered) return transaction
  memory.remembered.push(transaction)
  memory.byKey.set(key, transaction)
  if (mergeKey !== null) memory.byMergeKey.set(mergeKey, transaction)
  memory.bytes += sizeOf(transaction)
  memory.counters.serverTransactions++
  return transaction
}

/** Without its response. */
const sizeOf = ({ key, mergeKey }: ServerTransaction): number =>
  entryBytes + key.length + (mergeKey === null ? 0 : mergeKey.length)

const sendDue = (memory: Memory, now: number): void => {
  const dueAfter = dueAfterMs(memory.timers)
  for (let oldest = memory.waiting.first(); oldest !== undefined; oldest = memory.waiting.first()) {
    if (oldest.state === "trying") {
      if (oldest.startedAt + dueAfter > now) break
      happen(memory, oldest, "due")
    }
    memory.waiting.shift()
  }
}

/** Forgets what has outlived Timer J. */
const forget = (memory: Memory, now: number): void => {
  const { remembered, byKey, byMergeKey, counters } = memory
  const lastsMs = memory.timers.transactionMs * (1 + answerShare)
  for (let oldest = remembered.first(); oldest !== undefined; oldest = remembered.first()) {
    if (oldest.startedAt + lastsMs > now) break
    remembered.shift()
    happen(memory, oldest, "timerJ")
    byKey.delete(oldest.key)
    const { mergeKey } = oldest
    if (mergeKey !== null && byMergeKey.get(mergeKey) === oldest) byMergeKey.delete(mergeKey)
    memory.bytes -= sizeOf(oldest) + (oldest.response?.length ?? 0)
    counters.serverTransactions--
  }
}
