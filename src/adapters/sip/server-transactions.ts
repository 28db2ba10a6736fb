/**
 * Non-INVITE server transactions: a request reaches the core once, however often it arrives.
 *
 * @source RFC 3261 §17.2.2, §17.2.3, §8.2.2.2; RFC 4320 §4.1
 *
 * No timer per transaction: entries live in generations, and the oldest generation is dropped as a whole once every
 * entry in it has outlived Timer J.
 */
import { parseAddress } from "./address-headers.ts"
import { copyText } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Counters, Limits, Timers } from "./options.ts"
import { formatResponse } from "./responses.ts"
import { reply } from "../../encoding/sip-replies.ts"
import type { Via } from "./via.ts"

/** Something bytes can be sent through: a UDP socket, or one TCP connection (which ignores the address). */
export interface Channel {
  /** @param failed called, never at once, when the bytes could not be sent at all */
  readonly send: (bytes: Buffer, address: string, port: number, failed?: () => void) => void
}

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
  state: "trying" | "proceeding" | "completed"
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

export const makeServerTransactions = (
  limits: Limits,
  timers: Timers,
  counters: Counters,
  clock: () => number,
): ServerTransactions => {
  const generationMs = timers.transactionMs / (generationsKept - 1)
  /** Client retransmissions are T2 apart from here on, and a 100 is due (RFC 4320 §4.1). */
  const tryingAfterMs = timers.t2Ms - timers.t1Ms
  const generations: Generation[] = Array.from({ length: generationsKept }, generation)
  let rotatedAt = clock()
  let bytes = 0
  let waiting: ServerTransaction[] = []
  let waitingFrom = 0

  const find = (key: string): ServerTransaction | undefined => {
    for (const { entries } of generations) {
      const found = entries.get(key)
      if (found !== undefined) return found
    }
    return undefined
  }

  const send = (transaction: ServerTransaction, bytes: Buffer): void =>
    transaction.channel.send(bytes, transaction.address, transaction.port)

  const sendTrying = (transaction: ServerTransaction): void => {
    const { message, topVia } = transaction.unanswered!
    transaction.state = "proceeding"
    transaction.response = formatResponse(message, topVia, null, reply(100))
    send(transaction, transaction.response)
  }

  const complete = (transaction: ServerTransaction, response: Buffer): boolean => {
    if (transaction.state === "completed") return false
    transaction.state = "completed"
    transaction.response = response
    transaction.unanswered = null
    generations[0]!.bytes += response.length
    bytes += response.length
    send(transaction, response)
    return true
  }

  const rotate = (): void => {
    const oldest = generations.pop()!
    bytes -= oldest.bytes
    counters.serverTransactions -= oldest.entries.size
    for (const transaction of oldest.entries.values())
      if (transaction.unanswered !== null) {
        const { message, topVia, tag } = transaction.unanswered
        complete(transaction, formatResponse(message, topVia, tag, reply(500)))
      }
    generations.unshift(generation())
  }

  /**
   * Whoever was stopped, or listens only now, has not looked for long: what came since is not as old as the last look. Taken out of
   * the newest generation, and given back into the one that is newest afterwards.
   */
  const sparing = (since: number, work: () => void): void => {
    const { entries, merges } = generations[0]!
    const young = [...entries.values()].filter(({ startedAt }) => startedAt > since)
    const octets = young.reduce(
      (sum, one) => sum + entryBytes + one.key.length + (one.response?.length ?? 0),
      0,
    )
    for (const { key } of young) entries.delete(key)
    generations[0]!.bytes -= octets
    work()
    const newest = generations[0]!
    for (const one of young) newest.entries.set(one.key, one)
    if (young.length > 0) for (const key of merges) newest.merges.add(key)
    newest.bytes += octets
  }

  return {
    absorb: (key, channel, address, port, octets = 0) => {
      const transaction = find(key)
      if (transaction === undefined) return false
      transaction.repeated?.(octets)
      counters.retransmissionsAbsorbed++
      if (transaction.response !== null) channel.send(transaction.response, address, port)
      else if (clock() - transaction.startedAt >= tryingAfterMs) sendTrying(transaction)
      return true
    },
    has: (key) => find(key) !== undefined,
    isMerged: (mergeKey) => generations.some(({ merges }) => merges.has(mergeKey)),
    isFull: () =>
      counters.serverTransactions >= limits.serverTransactionsMax ||
      bytes >= limits.serverTransactionBytesMax,
    open: (transaction, mergeKey, isRemembered) => {
      waiting.push(transaction)
      if (!isRemembered) return
      const newest = generations[0]!
      const size = entryBytes + transaction.key.length + (mergeKey === null ? 0 : mergeKey.length)
      newest.entries.set(transaction.key, transaction)
      if (mergeKey !== null) newest.merges.add(mergeKey)
      newest.bytes += size
      bytes += size
      counters.serverTransactions++
    },
    complete,
    tick: () => {
      const now = clock()
      while (waitingFrom < waiting.length && waiting[waitingFrom]!.startedAt + tryingAfterMs <= now) {
        const transaction = waiting[waitingFrom++]!
        if (transaction.state === "trying") sendTrying(transaction)
      }
      if (waitingFrom > 1_024 && waitingFrom * 2 > waiting.length) {
        waiting = waiting.slice(waitingFrom)
        waitingFrom = 0
      }
      const catchUp = (): void => {
        for (let left = generationsKept; left > 0 && now - rotatedAt >= generationMs; left--) {
          rotate()
          rotatedAt += generationMs
        }
      }
      if (now - rotatedAt >= 1.25 * generationMs) sparing(now - generationMs, catchUp)
      else catchUp()
      if (now - rotatedAt >= generationMs) rotatedAt = now
    },
  }
}
