/**
 * Non-INVITE client transactions: one NOTIFY each, resent until answered, ended exactly once.
 *
 * The state diagram of RFC 3261 §17.1.2.2 is the table below; one timing wheel serves all transactions. The
 * Completed state is not kept: its only purpose is to absorb further responses (Timer K), and a response that
 * matches no transaction is dropped anyway.
 */
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Timers } from "./options.ts"
import type { Channel } from "./transports/transport.ts"
import { parseVia } from "./via.ts"

export type ClientState = "trying" | "proceeding" | "ended"
/** `denied`: it must not be resent, and waiting any longer for a response is not worth while. */
export type ClientEvent = "provisional" | "final" | "timerE" | "timerF" | "failure" | "denied"
export type ClientEffect = "nothing" | "resend" | "answered" | "timedOut" | "failed" | "unrepeated"

/** @source RFC 3261 §17.1.2.2 figure 6, plus `denied` */
const diagram: Readonly<
  Record<ClientState, Readonly<Record<ClientEvent, readonly [ClientState, ClientEffect]>>>
> = {
  trying: {
    provisional: ["proceeding", "nothing"],
    final: ["ended", "answered"],
    timerE: ["trying", "resend"],
    timerF: ["ended", "timedOut"],
    failure: ["ended", "failed"],
    denied: ["ended", "unrepeated"],
  },
  proceeding: {
    provisional: ["proceeding", "nothing"],
    final: ["ended", "answered"],
    timerE: ["proceeding", "resend"],
    timerF: ["ended", "timedOut"],
    failure: ["ended", "failed"],
    denied: ["ended", "unrepeated"],
  },
  ended: {
    provisional: ["ended", "nothing"],
    final: ["ended", "nothing"],
    timerE: ["ended", "nothing"],
    timerF: ["ended", "nothing"],
    failure: ["ended", "nothing"],
    denied: ["ended", "nothing"],
  },
}

/** Timer E after it has fired: doubled up to T2, or T2 at once after a provisional response. */
export const nextResendMs = (state: ClientState, lastMs: number, timers: Timers): number =>
  state === "proceeding" ? timers.t2Ms : Math.min(lastMs * 2, timers.t2Ms)

/** How a transaction ended: the final response, or why there is none. */
export type ClientResult = RawMessage | "timedOut" | "failed" | "unrepeated"

/** Whether to resend; `over`: end the transaction instead. */
export type Resending = "resend" | "wait" | "over"

/** How long to wait for a response when the request cannot be resent, in units of T1. */
const patience = 16

export interface ClientTransaction {
  readonly branch: string
  readonly callId: string
  readonly cseq: number
  readonly channel: Channel
  readonly address: string
  readonly port: number
  /** A stream: nothing is resent. */
  readonly isReliable: boolean
  /** Called exactly once. */
  readonly ended: (result: ClientResult) => void
  state: ClientState
  /** The request to resend; released at the end. */
  bytes: Buffer | null
  resendMs: number
  resendAt: number
  /** When it ends without a response; `startedAt` is when it began. */
  endsAt: number
  readonly startedAt: number
  /** The transport could not send it. */
  readonly failed: () => void
  /**
   * Asked before each retransmission; null: always allowed. Timer F runs on regardless. `isLate`: no response
   * for 16·T1.
   */
  readonly mayResend: ((octets: number, isLate: boolean) => Resending) | null
}

export type ClientRequest = Pick<
  ClientTransaction,
  "branch" | "callId" | "cseq" | "channel" | "address" | "port" | "isReliable" | "ended"
> &
  Partial<Pick<ClientTransaction, "mayResend">> & {
    /** How long to wait for the first response, if less than Timer F. */
    readonly withinMs?: number | undefined
  }

export interface ClientTransactions {
  /** Sends the request and follows it until the transaction ends. */
  readonly start: (request: ClientRequest, bytes: Buffer) => void
  /** Hands a response to its transaction; false if there is none. */
  readonly answer: (message: RawMessage) => boolean
  /** The transport failed to deliver this request (RFC 3261 §8.1.3.1). */
  readonly fail: (branch: string) => void
  /** Advances time; called every `wheelTickMs`. */
  readonly tick: () => void
  /** Whether one address and port has as many octets outstanding as are left for all others. */
  readonly isShareUsed: (address: string, port: number) => boolean
  /** Counts octets that are waiting to be sent as outstanding. Call the result when they no longer wait. */
  readonly hold: (address: string, port: number, octets: number) => () => void
}

/** Octets for one address and port. */
interface Load {
  readonly address: string
  readonly port: number
  readonly octets: number
}

export const wheelTickMs = 50
const targetKey = (address: string, port: number): string => `${address} ${port}`

/** 51 s of slots: more than the longest timer. */
const wheelSlots = 1_024

/** The transactions of one stack, and the octets outstanding in them. */
interface Memory {
  readonly timers: Timers
  readonly counters: SipCounters
  readonly clock: () => number
  readonly octetsMax: number
  readonly maySend: () => boolean
  /** By branch. */
  readonly open: Map<string, ClientTransaction>
  readonly held: Set<Load>
  /** Octets by target; null while the total is below what one target may have, so that nothing need be counted. */
  loads: Map<string, number> | null
  readonly wheel: ClientTransaction[][]
  /** The last slot that has been run. */
  turned: number
}

export const makeClientTransactions = (
  timers: Timers,
  counters: SipCounters,
  clock: () => number,
  octetsMax = Number.POSITIVE_INFINITY,
  maySend: () => boolean = () => true,
): ClientTransactions => {
  const memory: Memory = {
    timers,
    counters,
    clock,
    octetsMax,
    maySend,
    open: new Map(),
    held: new Set(),
    loads: null,
    wheel: Array.from({ length: wheelSlots }, () => []),
    turned: Math.floor(clock() / wheelTickMs),
  }
  return {
    start: (request, bytes) => start(memory, request, bytes),
    answer: (message) => answer(memory, message),
    fail: (branch) => {
      const transaction = memory.open.get(branch)
      if (transaction !== undefined) happen(memory, transaction, "failure", null)
    },
    isShareUsed: (address, port) =>
      memory.loads !== null &&
      (memory.loads.get(targetKey(address, port)) ?? 0) >= octetsMax - counters.clientOctets,
    hold: (address, port, octets) => {
      const waiting: Load = { address, port, octets }
      memory.held.add(waiting)
      load(memory, address, port, octets)
      return () => {
        if (memory.held.delete(waiting)) load(memory, address, port, -octets)
      }
    },
    tick: () => turn(memory, clock()),
  }
}

const add = (into: Map<string, number>, address: string, port: number, octets: number): void => {
  const key = targetKey(address, port)
  const sum = (into.get(key) ?? 0) + octets
  if (sum > 0) into.set(key, sum)
  else into.delete(key)
}

const countLoads = ({ open, held }: Memory): Map<string, number> => {
  const counted = new Map<string, number>()
  for (const { address, port, bytes } of open.values()) add(counted, address, port, bytes?.length ?? 0)
  for (const { address, port, octets } of held) add(counted, address, port, octets)
  return counted
}

/** Call after `open` or `held` has been changed. */
const load = (memory: Memory, address: string, port: number, octets: number): void => {
  const { counters, octetsMax } = memory
  counters.clientOctets += octets
  if (memory.loads !== null) add(memory.loads, address, port, octets)
  else if (counters.clientOctets > octetsMax / 2) memory.loads = countLoads(memory)
  // stop only well below the threshold, so that repeated recounts stay cheap
  if (memory.loads !== null && counters.clientOctets < octetsMax / 4) memory.loads = null
}

const schedule = ({ wheel, turned }: Memory, transaction: ClientTransaction): void => {
  const dueAt = Math.min(transaction.resendAt, transaction.endsAt)
  // round up, so that nothing fires early; a slot already passed is run at the next tick
  const slot = Math.min(Math.max(Math.ceil(dueAt / wheelTickMs), turned + 1), turned + wheelSlots - 1)
  wheel[slot % wheelSlots]!.push(transaction)
}

const start = (memory: Memory, request: ClientRequest, bytes: Buffer): void => {
  const { timers, counters } = memory
  const now = memory.clock()
  // while sending is paused, treat the request as lost: it is resent later
  const isSent = memory.maySend()
  const resendMs = request.isReliable && isSent ? Number.POSITIVE_INFINITY : timers.t1Ms
  const { branch, callId, cseq, channel, address, port, isReliable, ended, mayResend = null } = request
  const transaction: ClientTransaction = {
    branch,
    callId,
    cseq,
    channel,
    address,
    port,
    isReliable,
    ended,
    mayResend,
    state: "trying",
    bytes,
    resendMs,
    resendAt: now + resendMs,
    startedAt: now,
    endsAt: now + Math.min(request.withinMs ?? timers.transactionMs, timers.transactionMs),
    failed: () => happen(memory, transaction, "failure", null),
  }
  memory.open.set(branch, transaction)
  counters.clientTransactions++
  load(memory, address, port, bytes.length)
  schedule(memory, transaction)
  if (isSent) channel.send(bytes, address, port, transaction.failed)
}

const answer = (memory: Memory, message: RawMessage): boolean => {
  // RFC 3261 §8.1.3.3, §18.1.2: exactly one Via, ours. The branch is random enough to prove that the peer has
  // seen the request; Call-ID and CSeq must match as well.
  const via = message.vias.length === 1 ? parseVia(message.vias[0]!) : null
  const transaction = via === null || via.branch === null ? undefined : memory.open.get(via.branch)
  if (transaction === undefined || via!.end !== message.vias[0]!.length) return false
  if (
    message.method !== "NOTIFY" ||
    message.cseq !== transaction.cseq ||
    message.callId !== transaction.callId
  )
    return false
  // somebody is there, so that it is worth while to wait for as long as RFC 3261 says
  if (message.status < 200) transaction.endsAt = transaction.startedAt + memory.timers.transactionMs
  happen(memory, transaction, message.status < 200 ? "provisional" : "final", message)
  return true
}

/** Applies an event by the table. */
const happen = (
  memory: Memory,
  transaction: ClientTransaction,
  event: ClientEvent,
  response: RawMessage | null,
): void => {
  const [state, effect] = diagram[transaction.state][event]
  transaction.state = state
  switch (effect) {
    case "nothing":
      return
    case "resend":
      return resend(memory, transaction)
    default:
      memory.open.delete(transaction.branch)
      memory.counters.clientTransactions--
      load(memory, transaction.address, transaction.port, -transaction.bytes!.length)
      transaction.bytes = null
      transaction.ended(effect === "answered" ? response! : effect)
  }
}

const resend = (memory: Memory, transaction: ClientTransaction): void => {
  const { timers } = memory
  const { mayResend, resendAt } = transaction
  const lateAt = transaction.startedAt + patience * timers.t1Ms
  const may = !memory.maySend()
    ? "wait"
    : mayResend === null
      ? "resend"
      : mayResend(transaction.bytes!.length, resendAt >= lateAt)
  if (may === "over") return happen(memory, transaction, "denied", null)
  if (may === "resend") {
    memory.counters.notifyRetransmitted++
    transaction.channel.send(transaction.bytes!, transaction.address, transaction.port, transaction.failed)
    if (transaction.isReliable) {
      transaction.resendAt = Number.POSITIVE_INFINITY
      return
    }
  }
  transaction.resendMs = nextResendMs(transaction.state, transaction.resendMs, timers)
  transaction.resendAt += transaction.resendMs
  // ask again when it becomes late, even if it may not be resent now
  if (may === "wait" && resendAt < lateAt) transaction.resendAt = Math.min(transaction.resendAt, lateAt)
}

/** Runs every slot up to now. */
const turn = (memory: Memory, now: number): void => {
  const { wheel } = memory
  const target = Math.floor(now / wheelTickMs)
  // after a long stall visit each slot once
  if (target - memory.turned > wheelSlots) memory.turned = target - wheelSlots
  while (memory.turned < target) {
    memory.turned++
    const index = memory.turned % wheelSlots
    const slot = wheel[index]!
    if (slot.length === 0) continue
    wheel[index] = []
    runSlot(memory, slot, now)
  }
}

const runSlot = (memory: Memory, slot: readonly ClientTransaction[], now: number): void => {
  for (const transaction of slot) {
    if (transaction.state === "ended") continue
    if (transaction.endsAt <= now) happen(memory, transaction, "timerF", null)
    else if (transaction.resendAt <= now) happen(memory, transaction, "timerE", null)
    // `happen` may have ended it
    if (transaction.bytes !== null) schedule(memory, transaction)
  }
}
