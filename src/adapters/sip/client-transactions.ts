/**
 * Non-INVITE client transactions: one NOTIFY each, resent until answered, ended exactly once.
 *
 * The diagram of RFC 3261 §17.1.2.2 is the table below; one timing wheel turns for all of them. The state `completed`
 * is not kept: all it does is swallow further responses (Timer K), and a response that matches nothing is dropped
 * anyway.
 */
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Timers } from "./options.ts"
import type { Channel } from "./transports/transport.ts"
import { parseVia } from "./via.ts"

export type ClientState = "trying" | "proceeding" | "ended"
/** `denied`: it may not be sent again, and waiting for an answer to what was sent is not worth while any more. */
export type ClientEvent = "provisional" | "final" | "timerE" | "timerF" | "failure" | "denied"
export type ClientEffect = "nothing" | "resend" | "answered" | "timedOut" | "failed" | "unrepeated"

/** @source RFC 3261 §17.1.2.2 figure 6, but for `denied` */
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

/** Timer E after it fired: doubled up to T2, and T2 at once after a provisional response. */
export const nextResendMs = (state: ClientState, lastMs: number, timers: Timers): number =>
  state === "proceeding" ? timers.t2Ms : Math.min(lastMs * 2, timers.t2Ms)

/** How a transaction ended: the final response, or why there is none. */
export type ClientResult = RawMessage | "timedOut" | "failed" | "unrepeated"

/** Whether it is sent again; `over`: it is not, and ends here. */
export type Resending = "resend" | "wait" | "over"

/** How long an answer is waited for that cannot be asked for again, in units of T1. */
const patience = 16

export interface ClientTransaction {
  readonly branch: string
  readonly callId: string
  readonly cseq: number
  readonly channel: Channel
  readonly address: string
  readonly port: number
  /** True on a stream: nothing is resent. */
  readonly isReliable: boolean
  /** Called exactly once. */
  readonly ended: (result: ClientResult) => void
  state: ClientState
  /** What is resent; released at the end. */
  bytes: Buffer | null
  resendMs: number
  resendAt: number
  endsAt: number
  /** The transport could not send it. */
  readonly failed: () => void
  /**
   * Asked before it is sent again; null: it always may be. Timer F goes on all the same. `isLate`: no answer has come for 16·T1.
   */
  readonly mayResend: ((octets: number, isLate: boolean) => Resending) | null
}

export type ClientRequest = Pick<
  ClientTransaction,
  "branch" | "callId" | "cseq" | "channel" | "address" | "port" | "isReliable" | "ended"
> &
  Partial<Pick<ClientTransaction, "mayResend">>

export interface ClientTransactions {
  /** Sends the bytes and follows them to their end. */
  readonly start: (request: ClientRequest, bytes: Buffer) => void
  /** Hands a response to its transaction; false when there is none. */
  readonly answer: (message: RawMessage) => boolean
  /** The transport lost this one (RFC 3261 §8.1.3.1). */
  readonly fail: (branch: string) => void
  /** Moves time on; called every `wheelTickMs`. */
  readonly tick: () => void
  /** Whether one address and port has as many octets under way as are left for all others. */
  readonly isShareUsed: (address: string, port: number) => boolean
  /** Counts octets that wait to be sent as if they were; to be called back when they do not wait any more. */
  readonly hold: (address: string, port: number, octets: number) => () => void
}

/** Octets to one address and port. */
interface Load {
  readonly address: string
  readonly port: number
  readonly octets: number
}

export const wheelTickMs = 50
const targetKey = (address: string, port: number): string => `${address} ${port}`

/** 51 s of slots: more than the longest timer. */
const wheelSlots = 1_024

/** The transactions of one stack, and the octets that are under way with them. */
interface Memory {
  readonly timers: Timers
  readonly counters: SipCounters
  readonly clock: () => number
  readonly octetsMax: number
  readonly maySend: () => boolean
  /** By branch. */
  readonly open: Map<string, ClientTransaction>
  readonly held: Set<Load>
  /** By target; null as long as all together have less than one may have: then nothing is counted. */
  loads: Map<string, number> | null
  readonly wheel: ClientTransaction[][]
  /** The slot up to which the wheel has turned. */
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

/** What is there has been put into `open` or `held`, and what is gone taken out. */
const load = (memory: Memory, address: string, port: number, octets: number): void => {
  const { counters, octetsMax } = memory
  counters.clientOctets += octets
  if (memory.loads !== null) add(memory.loads, address, port, octets)
  else if (counters.clientOctets > octetsMax / 2) memory.loads = countLoads(memory)
  // counting begins anew only after as much again: so it costs little however often
  if (memory.loads !== null && counters.clientOctets < octetsMax / 4) memory.loads = null
}

const schedule = ({ wheel, turned }: Memory, transaction: ClientTransaction): void => {
  const dueAt = Math.min(transaction.resendAt, transaction.endsAt)
  // Rounded up, so that nothing is early; a slot already passed waits for the next tick.
  const slot = Math.min(Math.max(Math.ceil(dueAt / wheelTickMs), turned + 1), turned + wheelSlots - 1)
  wheel[slot % wheelSlots]!.push(transaction)
}

const start = (memory: Memory, request: ClientRequest, bytes: Buffer): void => {
  const { timers, counters } = memory
  const now = memory.clock()
  // what may not be sent now is sent as if it had got lost
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
    endsAt: now + timers.transactionMs,
    failed: () => happen(memory, transaction, "failure", null),
  }
  memory.open.set(branch, transaction)
  counters.clientTransactions++
  load(memory, address, port, bytes.length)
  schedule(memory, transaction)
  if (isSent) channel.send(bytes, address, port, transaction.failed)
}

const answer = (memory: Memory, message: RawMessage): boolean => {
  // RFC 3261 §8.1.3.3, §18.1.2: one Via, ours. The branch holds enough randomness to prove that the peer has
  // seen the request; Call-ID and CSeq must agree with it.
  const via = message.vias.length === 1 ? parseVia(message.vias[0]!) : null
  const transaction = via === null || via.branch === null ? undefined : memory.open.get(via.branch)
  if (transaction === undefined || via!.end !== message.vias[0]!.length) return false
  if (
    message.method !== "NOTIFY" ||
    message.cseq !== transaction.cseq ||
    message.callId !== transaction.callId
  )
    return false
  happen(memory, transaction, message.status < 200 ? "provisional" : "final", message)
  return true
}

/** Moves a transaction on by the table, and does what it says. */
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
  const lateAt = transaction.endsAt - timers.transactionMs + patience * timers.t1Ms
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
  // what may not be sent again is asked about at that moment as well
  if (may === "wait" && resendAt < lateAt) transaction.resendAt = Math.min(transaction.resendAt, lateAt)
}

/** Turns the wheel as far as the time has come. */
const turn = (memory: Memory, now: number): void => {
  const { wheel } = memory
  const target = Math.floor(now / wheelTickMs)
  // After a long stall each slot is visited once.
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
    // `happen` may have ended it.
    if (transaction.bytes !== null) schedule(memory, transaction)
  }
}
