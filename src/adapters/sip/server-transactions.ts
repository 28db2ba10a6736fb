/**
 * Non-INVITE server transactions: a request reaches the core once, however often it arrives.
 *
 * The state diagram of RFC 3261 §17.2.2 is the table below. Transactions need no timers of their own: all
 * last equally long, so they are kept in a queue and expire from its front.
 *
 * @source RFC 3261 §17.2.2, §17.2.3, §8.2.2.2; RFC 4320 §4.1
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

/** The states of the figure; `terminated`: the transaction is removed. */
export type ServerState = "trying" | "proceeding" | "completed" | "terminated"
/**
 * `repeated`: a retransmission; `due`: a 100 is due, because the client's Timer E has reached T2; `final`:
 * the final response is available; `timerJ`: Timer J has fired.
 */
export type ServerEvent = "repeated" | "due" | "final" | "timerJ"
/** `refuse`: the core has not answered in time. */
export type ServerEffect = "nothing" | "send100" | "sendFinal" | "resend" | "refuse"

/**
 * @source RFC 3261 §17.2.2 figure 8; RFC 4320 §4.1 (`due`) and §4.2 (`refuse`). RFC 6026 changes INVITE
 * transactions only
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

/** Milliseconds after which a 100 is due: from then on the client resends every T2 (RFC 4320 §4.1). */
export const dueAfterMs = ({ t1Ms, t2Ms }: Timers): number => t2Ms - t1Ms

/** What is needed to respond; kept only until the final response. */
export interface Unanswered {
  readonly message: RawMessage
  /** The topmost Via, as it is returned in the response. */
  readonly topVia: string
  readonly tag: string | null
}

/** The data of a new transaction. */
export interface Opening {
  readonly key: string
  /** See `mergeKeyOf`; null if the request cannot be merged. */
  readonly mergeKey: string | null
  readonly channel: Channel
  readonly address: string
  readonly port: number
  /** False on a stream, where nothing is retransmitted (Timer J is 0). */
  readonly isRemembered: boolean
  /** Called with the octets of each retransmission; null if nothing counts them. */
  readonly repeated: ((octets: number) => void) | null
  readonly unanswered: Unanswered
}

export interface ServerTransaction extends Omit<Opening, "unanswered"> {
  /** Whole milliseconds. */
  readonly startedAt: number
  state: ServerState
  /** The last response, resent for each retransmission; null until there is one. */
  response: Buffer | null
  /** Null after the final response, so that the request can be freed. */
  unanswered: Unanswered | null
}

export interface ServerTransactions {
  /**
   * Absorbs a retransmission; true if the request must not be processed further. The stored response is sent
   * to where this copy came from, which may be a connection even if the first was a datagram.
   */
  readonly absorb: (key: string, channel: Channel, address: string, port: number, octets?: number) => boolean
  readonly has: (key: string) => boolean
  readonly isMerged: (mergeKey: string) => boolean
  readonly isFull: () => boolean
  readonly open: (opening: Opening) => ServerTransaction
  /** Stores and sends the final response; later calls do nothing. */
  readonly complete: (transaction: ServerTransaction, response: Buffer) => void
  /** Advances time; called several times per second. */
  readonly tick: () => void
}

const branchCookie = "z9hG4bK"

/**
 * The key by which retransmissions match. Keys differ mostly at their end (see `sharded-map.ts`).
 *
 * @source RFC 3261 §17.2.3; without an RFC 3261 branch the rules of RFC 2543 apply
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
 * Equal for copies of a request that arrive by several paths. CSeq is compared by value.
 *
 * @param tag the From tag; null if there is none
 * @source RFC 3261 §8.2.2.2: From tag, Call-ID and CSeq
 */
export const mergeKeyOf = (message: RawMessage, tag: string | null): string =>
  flattened(`${message.cseq} ${message.method}\n${message.callId}\n${tag ?? ""}`)

/** Estimated bytes of an entry without its strings and response. */
const entryBytes = 400

/** Timer J starts with the final response but is counted from the request, so this share is added to it. */
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
  /** Transactions waiting for Timer J, oldest first. */
  readonly remembered: Queue<ServerTransaction>
  /** Transactions for which a 100 may become due, oldest first. */
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
      // to where this copy came from
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

/** Applies an event by the table, except `resend`: only the caller knows where to. */
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

/** Without the response. */
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

/** Removes transactions whose Timer J has fired. */
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
