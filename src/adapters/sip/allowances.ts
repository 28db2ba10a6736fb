/**
 * Limits on what may be sent to unproven targets, so that nobody can direct NOTIFYs at a third party.
 *
 * Each dialog may send three times the octets of the requests received for it, and at most three packets.
 * Each address and port, whatever the dialogs, gets three packets and one connection attempt until it has
 * answered; what exceeds that waits for an answer. Silence ends with Timer F, which also ends what has been
 * waiting long enough. When the tables are full the NOTIFY is put off, so that nobody can use up what others
 * need. Proven dialogs never come here.
 */
import type { SipCounters } from "../../ports/sip-transport.ts"
import type { Limits, SipLimit, Timers } from "./options.ts"

/** In the form of a flow: `udp:192.0.2.20:5060`. */
export type Place = string

export interface Waiting {
  /** Tries to send; false if there is still no room. */
  readonly tryNow: () => boolean
  /** Timer F has fired. */
  readonly timedOut: () => void
  /** There is no room to wait; try again in so many seconds. */
  readonly putOff: (seconds: number) => void
}

export interface Allowances {
  /** A request for this dialog, or a retransmission of one, has been received. */
  readonly received: (dialog: string, octets: number, isCopy: boolean) => void
  /**
   * Takes the allowance for one packet; false if there is none.
   *
   * @param isDirect the packet goes to the remote target itself, so an address that has answered 2xx in any
   * dialog is accepted. Behind a proxy the remote target may be someone else
   */
  readonly take: (dialog: string, place: Place, octets: number, isDirect: boolean) => boolean
  /** Whether one more packet is allowed in a dialog that has already sent to this place. */
  readonly mayTake: (dialog: string, place: Place, octets: number) => boolean
  /** Takes the allowance for one connection attempt; false if there is none. */
  readonly takeAttempt: (place: Place) => boolean
  /** Whether a NOTIFY to this place can be sent, or wait. */
  readonly hasRoom: (place: Place) => boolean
  /** Keeps a NOTIFY until the place answers; puts it off at once if too many are waiting already. */
  readonly wait: (dialog: string, place: Place, waiting: Waiting) => void
  /** The place has answered a NOTIFY; `isProven`: with a 2xx. */
  readonly answered: (dialog: string, place: Place, isProven: boolean) => void
  /** Advances time; called several times per second. */
  readonly tick: () => void
}

/** The key of a dialog in these tables. */
export const allowanceKey = (callId: string, localTag: string): string => `${callId}\n${localTag}`

/** At most three times the octets received, and at most three packets. */
const factor = 3
const packetsMax = 3
/** How long an address that has answered once counts as reachable, in units of Timer F. */
const openFor = 20
/** Seconds before a NOTIFY that found no room is tried again. */
const retryAfter = 5

interface Dialog {
  /** Where its last NOTIFY was sent; empty if none has been. */
  place: Place
  left: number
  /** What the newest request alone allows, which is all that a new target gets. */
  newest: number
  packets: number
  until: number
}

/** An address that has not answered recently. */
interface Silent extends Holder {
  packets: number
  hasTried: boolean
}

/** An address that has answered recently. */
interface Open extends Holder {
  /** Whether it has answered with a 2xx. */
  readonly isProven: boolean
}

interface Holder {
  /** Silent: when Timer F of the first packet fires. Open: until when the address counts as reachable. */
  readonly until: number
  waiting: Item[]
  /** How many of `waiting` are still waiting. */
  count: number
}

interface Item {
  readonly waiting: Waiting
  readonly since: number
  holder: Holder
  isOver: boolean
}

/** The unproven targets of one stack. Each map is in order of last use, oldest first. */
interface Memory {
  readonly limits: Limits
  readonly timers: Timers
  readonly counters: SipCounters
  readonly clock: () => number
  readonly onLimit: (limit: SipLimit) => void
  readonly dialogs: Map<string, Dialog>
  /** Dialogs accepted with a 2xx: nothing is counted for them while they send to the same place. */
  readonly accepted: Map<string, Dialog>
  readonly silent: Map<Place, Silent>
  readonly open: Map<Place, Open>
  /** All waiting NOTIFYs, from index `queueFrom` on. */
  queue: Item[]
  queueFrom: number
}

export const makeAllowances = (
  limits: Limits,
  timers: Timers,
  counters: SipCounters,
  clock: () => number,
  onLimit: (limit: SipLimit) => void = () => {},
): Allowances => {
  const memory: Memory = {
    limits,
    timers,
    counters,
    clock,
    onLimit,
    dialogs: new Map(),
    accepted: new Map(),
    silent: new Map(),
    open: new Map(),
    queue: [],
    queueFrom: 0,
  }
  return {
    received: (key, octets, isCopy) => receive(memory, key, octets, isCopy),
    take: (key, place, octets, isDirect) => take(memory, key, place, octets, isDirect),
    mayTake: (key, place, octets) => mayTake(memory, key, place, octets),
    takeAttempt: (place) => takeAttempt(memory, place),
    hasRoom: (place) => hasRoom(memory, place),
    wait: (key, place, waiting) => keepWaiting(memory, key, place, waiting),
    answered: (key, place, isProven) => noteAnswer(memory, key, place, isProven),
    tick: () => moveOn(memory),
  }
}

/** May evict the oldest entry: nothing is lost, since a peer that has answered once will answer again. */
const put = <K, V>({ limits }: Memory, map: Map<K, V>, key: K, value: V, gone?: (value: V) => void): V => {
  map.delete(key)
  if (map.size >= limits.unprovenTargetsMax) {
    const [oldest, old] = map.entries().next().value!
    map.delete(oldest)
    gone?.(old)
  }
  map.set(key, value)
  return value
}

/** Never evicts: forgetting an address that has not answered would allow sending to it again and again. */
const add = <K, V>({ limits, counters, onLimit }: Memory, map: Map<K, V>, key: K, value: V): V | null => {
  if (map.size >= limits.unprovenTargetsMax) {
    counters.unprovenTargetsFull++
    onLimit("unproven_targets_max")
    return null
  }
  map.set(key, value)
  return value
}

const later = ({ clock, timers }: Memory): number => clock() + 2 * timers.transactionMs

const dialogOf = (memory: Memory, key: string): Dialog | null =>
  memory.dialogs.get(key) ??
  add(memory, memory.dialogs, key, { place: "", left: 0, newest: 0, packets: 0, until: later(memory) })

const silentOf = (memory: Memory, place: Place): Silent | null =>
  memory.silent.get(place) ??
  add(memory, memory.silent, place, {
    packets: 0,
    hasTried: false,
    until: memory.clock() + memory.timers.transactionMs,
    waiting: [],
    count: 0,
  })

const over = ({ counters }: Memory, item: Item): boolean => {
  if (item.isOver) return false
  item.isOver = true
  item.holder.count--
  counters.unprovenWaiting--
  return true
}

/** The address has stayed silent. A NOTIFY that joined late has not waited its full time, so it is put off. */
const giveUp = (memory: Memory, { waiting }: Holder): void => {
  const now = memory.clock()
  for (const item of waiting) {
    if (!over(memory, item)) continue
    if (now - item.since >= memory.timers.transactionMs / 2) item.waiting.timedOut()
    else item.waiting.putOff(retryAfter)
  }
}

const sweep = <K, V extends { readonly until: number }>(
  map: Map<K, V>,
  now: number,
  gone?: (value: V) => void,
): void => {
  for (const [key, value] of map) {
    if (value.until > now) return
    map.delete(key)
    gone?.(value)
  }
}

const isWaitingFull = ({ counters, limits }: Memory, holder: Holder | undefined): SipLimit | null =>
  counters.unprovenWaiting >= limits.unprovenWaitingMax
    ? "unproven_waiting_max"
    : holder !== undefined && holder.count >= limits.unprovenWaitingPerTargetMax
      ? "unproven_waiting_per_target_max"
      : null

/** Seconds after which no answer is expected from a target. */
const silenceSeconds = ({ timers }: Memory): number =>
  Math.max(retryAfter, Math.ceil(timers.transactionMs / 1_000))

const receive = (memory: Memory, key: string, octets: number, isCopy: boolean): void => {
  const { dialogs, accepted } = memory
  const more = factor * octets
  const until = later(memory)
  const before = accepted.get(key)
  const dialog = before ?? dialogs.get(key)
  if (dialog === undefined) {
    add(memory, dialogs, key, { place: "", left: more, newest: more, packets: 0, until })
    return
  }
  dialog.left += more
  dialog.newest = isCopy ? dialog.newest + more : more
  dialog.until = until
  put(memory, before === undefined ? dialogs : accepted, key, dialog)
}

const take = (memory: Memory, key: string, place: Place, octets: number, isDirect: boolean): boolean => {
  const { dialogs, accepted, open } = memory
  const target = open.get(place)
  if (target?.isProven === true && isDirect) {
    // what was received for this dialog counts for this place, not for where the dialog may send next
    const here = dialogs.get(key)
    if (here !== undefined) here.place = place
    return true
  }
  const known = accepted.get(key)
  if (known?.place === place) return true
  const dialog = known === undefined ? dialogOf(memory, key) : add(memory, dialogs, key, known)
  if (dialog === null) return false
  accepted.delete(key)
  if (dialog.place !== place) {
    if (dialog.place !== "") Object.assign(dialog, { left: dialog.newest, packets: 0 })
    dialog.place = place
  }
  const quiet = target === undefined ? silentOf(memory, place) : null
  if (target === undefined && (quiet === null || quiet.packets >= packetsMax)) return false
  // the first NOTIFY is always allowed: without it nothing can be proven
  const isWithin = dialog.packets === 0 || (dialog.packets < packetsMax && dialog.left >= octets)
  if (!isWithin) return false
  dialog.left -= octets
  dialog.packets++
  if (quiet !== null) quiet.packets++
  return true
}

const mayTake = (memory: Memory, key: string, place: Place, octets: number): boolean => {
  const { dialogs, silent, open } = memory
  const dialog = dialogs.get(key)
  if (dialog === undefined || dialog.place !== place) return false
  if (dialog.packets >= packetsMax || dialog.left < octets) return false
  return open.has(place) || (silent.get(place)?.packets ?? 0) < packetsMax
}

const takeAttempt = (memory: Memory, place: Place): boolean => {
  const { open } = memory
  if (open.has(place)) return true
  const target = silentOf(memory, place)
  if (target === null || target.hasTried) return false
  target.hasTried = true
  return true
}

const hasRoom = (memory: Memory, place: Place): boolean => {
  const { limits, dialogs, silent, open } = memory
  if (open.has(place)) return true
  const target = silent.get(place)
  if (target === undefined) return Math.max(silent.size, dialogs.size) < limits.unprovenTargetsMax
  return target.packets < packetsMax || isWaitingFull(memory, target) === null
}

const keepWaiting = (memory: Memory, key: string, place: Place, waiting: Waiting): void => {
  const { timers, counters, clock, onLimit, dialogs, accepted, silent, open } = memory
  const holder = open.get(place) ?? silent.get(place)
  // `add` has already counted and reported that the table is full
  if (holder === undefined || !(dialogs.has(key) || accepted.has(key))) return waiting.putOff(retryAfter)
  const limit = isWaitingFull(memory, holder)
  const now = clock()
  if (limit !== null) {
    if (limit === "unproven_waiting_max") counters.unprovenDropped++
    else counters.unprovenDroppedOfTarget++
    onLimit(limit)
    const isQuiet = !open.has(place) && holder.until - now < timers.transactionMs - retryAfter * 1_000
    return waiting.putOff(isQuiet ? silenceSeconds(memory) : retryAfter)
  }
  const item: Item = { waiting, since: now, holder, isOver: false }
  counters.unprovenWaited++
  counters.unprovenWaiting++
  holder.count++
  memory.queue.push(item)
  holder.waiting.push(item)
}

const noteAnswer = (memory: Memory, key: string, place: Place, isProven: boolean): void => {
  const { timers, clock, dialogs, accepted, silent, open } = memory
  const dialog = dialogs.get(key)
  // an answer from the dialog's previous target says nothing about its present one
  if (isProven && dialog?.place === place) {
    dialogs.delete(key)
    put(memory, accepted, key, dialog)
  }
  const before = open.get(place)
  const items = before?.waiting ?? silent.get(place)?.waiting ?? []
  silent.delete(place)
  const target: Open = put(
    memory,
    open,
    place,
    {
      until: clock() + openFor * timers.transactionMs,
      isProven: isProven || before?.isProven === true,
      waiting: [],
      count: 0,
    },
    (holder) => giveUp(memory, holder),
  )
  for (const item of items) {
    if (item.isOver) continue
    if (item.waiting.tryNow()) {
      over(memory, item)
      continue
    }
    item.holder.count--
    item.holder = target
    target.count++
    target.waiting.push(item)
  }
}

const moveOn = (memory: Memory): void => {
  const { timers, clock, dialogs, accepted, silent, open } = memory
  const gone = (holder: Holder): void => giveUp(memory, holder)
  const now = clock()
  sweep(dialogs, now)
  sweep(accepted, now)
  sweep(open, now, gone)
  sweep(silent, now, gone)
  while (memory.queueFrom < memory.queue.length) {
    const item = memory.queue[memory.queueFrom]!
    if (!item.isOver && item.since + timers.transactionMs > now) break
    if (over(memory, item)) item.waiting.timedOut()
    memory.queueFrom++
  }
  if (memory.queueFrom > 1_024 && memory.queueFrom * 2 > memory.queue.length) {
    memory.queue = memory.queue.slice(memory.queueFrom)
    memory.queueFrom = 0
  }
}
