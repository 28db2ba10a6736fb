/**
 * Non-INVITE server transactions: a request reaches the core once, however often it arrives.
 *
 * @source RFC 3261 §17.2.2, §17.2.3, §8.2.2.2; RFC 4320 §4.1
 *
 * The diagram of RFC 3261 §17.2.2 is the table below. There is no timer per transaction: entries live in generations, and the
 * oldest generation is dropped as a whole once every entry in it has outlived Timer J.
 */
import { reply } from "../../encoding/sip-replies.ts"
import type { SipCounters } from "../../ports/sip-transport.ts"
import { parseAddress } from "./address-headers.ts"
import { copyText } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Limits, Timers } from "./options.ts"
import { formatResponse } from "./responses.ts"
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

/** When a 100 is due: from then on copies of the request come every T2 (RFC 4320 §4.1). */
export const dueAfterMs = ({ t1Ms, t2Ms }: Timers): number => t2Ms - t1Ms

/** What is needed to answer, kept only until the answer is there. */
export interface Unanswered {
  readonly message: RawMessage
  /** The top Via line as it goes back. */
  readonly topVia: string
  readonly tag: string | null
}

export interface ServerTransaction {
  readonly key: string
  readonly startedAt: number
  readonly channel: Channel
  readonly address: string
  readonly port: number
  /** Told of each copy that comes; absent: nobody asks. */
  readonly repeated?: (octets: number) => void
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
  /** @param isRemembered false on a stream, where nothing is retransmitted (Timer J is 0) */
  readonly open: (transaction: ServerTransaction, mergeKey: string | null, isRemembered: boolean) => void
  /** Stores the final response and sends it; false when the transaction had one already. */
  readonly complete: (transaction: ServerTransaction, response: Buffer) => boolean
  /** Moves time on; called a few times per second. */
  readonly tick: () => void
}

const branchCookie = "z9hG4bK"

/**
 * What makes two requests the same.
 *
 * @source RFC 3261 §17.2.3; without a real branch the RFC 2543 tuple is used
 */
export const transactionKey = (message: RawMessage, via: Via, method = message.method): string => {
  const { branch } = via
  if (branch !== null && branch.length > branchCookie.length && branch.startsWith(branchCookie))
    return copyText(`${branch}\n${via.host}:${via.port ?? 5060}\n${method}`)
  return copyText(
    `\n${message.uri}\n${message.to}\n${message.from}\n${message.callId}\n${message.cseq} ${method}\n${message.vias[0]!}`,
  )
}

/** @source RFC 3261 §8.2.2.2: From tag, Call-ID and CSeq */
export const mergeKeyOf = (message: RawMessage): string =>
  copyText(`${parseAddress(message.from)?.tag ?? ""}\n${message.callId}\n${message.cseqText}`)

const generationsKept = 9

/** What an entry costs besides its strings and its response. */
const entryBytes = 400

interface Generation {
  readonly entries: Map<string, ServerTransaction>
  readonly merges: Set<string>
  bytes: number
}

const generation = (): Generation => ({ entries: new Map(), merges: new Set(), bytes: 0 })

/** The transactions of one stack. */
interface Memory {
  readonly limits: Limits
  readonly timers: Timers
  readonly counters: SipCounters
  readonly clock: () => number
  /** The newest first. */
  readonly generations: Generation[]
  rotatedAt: number
  bytes: number
  /** Those for which a 100 may become due, oldest first, from `waitingFrom` on. */
  waiting: ServerTransaction[]
  waitingFrom: number
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
    generations: Array.from({ length: generationsKept }, generation),
    rotatedAt: clock(),
    bytes: 0,
    waiting: [],
    waitingFrom: 0,
  }
  return {
    absorb: (key, channel, address, port, octets = 0) => {
      const transaction = find(memory, key)
      if (transaction === undefined) return false
      transaction.repeated?.(octets)
      counters.retransmissionsAbsorbed++
      const effect = happen(memory, transaction, isDue(memory, transaction) ? "due" : "repeated")
      // the way this copy came
      if (effect === "resend") channel.send(transaction.response!, address, port)
      return true
    },
    has: (key) => find(memory, key) !== undefined,
    isMerged: (mergeKey) => memory.generations.some(({ merges }) => merges.has(mergeKey)),
    isFull: () =>
      counters.serverTransactions >= limits.serverTransactionsMax ||
      memory.bytes >= limits.serverTransactionBytesMax,
    open: (transaction, mergeKey, isRemembered) => {
      memory.waiting.push(transaction)
      if (isRemembered) remember(memory, transaction, mergeKey)
    },
    complete: (transaction, response) => happen(memory, transaction, "final", response) === "sendFinal",
    tick: () => {
      const now = clock()
      sendDue(memory, now)
      forget(memory, now)
    },
  }
}

const find = ({ generations }: Memory, key: string): ServerTransaction | undefined => {
  for (const { entries } of generations) {
    const found = entries.get(key)
    if (found !== undefined) return found
  }
  return undefined
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
    memory.generations[0]!.bytes += response.length
    memory.bytes += response.length
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

const remember = (memory: Memory, transaction: ServerTransaction, mergeKey: string | null): void => {
  const newest = memory.generations[0]!
  const size = entryBytes + transaction.key.length + (mergeKey === null ? 0 : mergeKey.length)
  newest.entries.set(transaction.key, transaction)
  if (mergeKey !== null) newest.merges.add(mergeKey)
  newest.bytes += size
  memory.bytes += size
  memory.counters.serverTransactions++
}

const sendDue = (memory: Memory, now: number): void => {
  const dueAfter = dueAfterMs(memory.timers)
  for (let next = memory.waiting[memory.waitingFrom]; next !== undefined;) {
    if (next.startedAt + dueAfter > now) break
    happen(memory, next, "due")
    next = memory.waiting[++memory.waitingFrom]
  }
  if (memory.waitingFrom > 1_024 && memory.waitingFrom * 2 > memory.waiting.length) {
    memory.waiting = memory.waiting.slice(memory.waitingFrom)
    memory.waitingFrom = 0
  }
}

/** Forgets what has outlived Timer J. */
const forget = (memory: Memory, now: number): void => {
  const generationMs = memory.timers.transactionMs / (generationsKept - 1)
  const catchUp = (): void => {
    for (let left = generationsKept; left > 0 && now - memory.rotatedAt >= generationMs; left--) {
      rotate(memory)
      memory.rotatedAt += generationMs
    }
  }
  if (now - memory.rotatedAt >= 1.25 * generationMs) sparing(memory, now - generationMs, catchUp)
  else catchUp()
  if (now - memory.rotatedAt >= generationMs) memory.rotatedAt = now
}

const rotate = (memory: Memory): void => {
  const oldest = memory.generations.pop()!
  memory.bytes -= oldest.bytes
  memory.counters.serverTransactions -= oldest.entries.size
  for (const transaction of oldest.entries.values()) happen(memory, transaction, "timerJ")
  memory.generations.unshift(generation())
}

/**
 * Whoever was stopped, or listens only now, has not looked for long: what came since is not as old as the last look. Taken out of
 * the newest generation, and given back into the one that is newest afterwards.
 */
const sparing = ({ generations }: Memory, since: number, work: () => void): void => {
  const { entries, merges } = generations[0]!
  const young = [...entries.values()].filter(({ startedAt }) => startedAt > since)
  const octets = young.reduce(
    (sum, { key, response }) => sum + entryBytes + key.length + (response?.length ?? 0),
    0,
  )
  for (const { key } of young) entries.delete(key)
  generations[0]!.bytes -= octets
  work()
  const newest = generations[0]!
  for (const transaction of young) newest.entries.set(transaction.key, transaction)
  if (young.length > 0) for (const key of merges) newest.merges.add(key)
  newest.bytes += octets
}
