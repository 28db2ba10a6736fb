/**
 * How much may be sent to where nothing is proven: so that nobody can have NOTIFYs sent to a stranger.
 *
 * Of each dialog: three times the octets of the requests received for it, and three packets. Of each address, whatever the
 * dialogs: three packets, and one attempt to connect, until it has answered something; what finds no room waits for that.
 * The time in which nothing is heard ends with Timer F, and with it all that waits. Proven dialogs never come here.
 */
import type { Counters, Limits, SipLimit, Timers } from "./options.ts"

/** As in a flow: `udp:192.0.2.20:5060`. */
export type Place = string

export interface Waiting {
  /** Begins; false: there is still no room. */
  readonly tryNow: () => boolean
  /** Timer F has fired. */
  readonly timedOut: () => void
}

export interface Allowances {
  /** A request for this dialog has come, or a copy of it has. */
  readonly received: (dialog: string, octets: number, isCopy: boolean) => void
  /** Takes the room for one packet; false: there is none. */
  readonly take: (dialog: string, place: Place, octets: number) => boolean
  /** Takes the room for one attempt to connect, which is worth three packets; false: there is none. */
  readonly takeAttempt: (place: Place) => boolean
  /** Keeps a NOTIFY until the place answers; it is over at once when too many wait already. */
  readonly wait: (place: Place, waiting: Waiting) => void
  /** The place has answered a NOTIFY; `isProven`: with a 2xx. */
  readonly answered: (dialog: string, place: Place, isProven: boolean) => void
  /** Moves time on; called a few times per second. */
  readonly tick: () => void
}

/** Names a dialog here. */
export const allowanceKey = (callId: string, localTag: string): string => `${callId}\n${localTag}`

/** At most three times the octets, at most three packets */
const factor = 3
const packetsMax = 3
/** How long an address that has answered once is taken to be there, in units of Timer F. */
const openFor = 20

interface Dialog {
  /** Where its NOTIFYs went last; empty: none has. */
  place: Place
  left: number
  /** What the newest request alone allows: all that counts for a new target. */
  newest: number
  packets: number
  isProven: boolean
  until: number
}

/** An address that has not answered anything lately. */
interface Silent {
  packets: number
  hasTried: boolean
  /** When Timer F of the first packet fires. */
  readonly until: number
  waiting: Item[]
}

interface Item {
  readonly waiting: Waiting
  readonly until: number
  isOver: boolean
}

export const makeAllowances = (
  limits: Limits,
  timers: Timers,
  counters: Counters,
  clock: () => number,
  onLimit: (limit: SipLimit) => void = () => {},
): Allowances => {
  // oldest first in each: whatever is heard of is put at the end
  const dialogs = new Map<string, Dialog>()
  const silent = new Map<Place, Silent>()
  /** Until when addresses that have answered count as there, and what waits for room of its dialog. */
  const open = new Map<Place, { readonly until: number; waiting: Item[] }>()
  let queue: Item[] = []
  let queueFrom = 0

  const put = <K, V>(map: Map<K, V>, key: K, value: V, gone?: (value: V) => void): V => {
    map.delete(key)
    if (map.size >= limits.unprovenTargetsMax) {
      const [oldest, old] = map.entries().next().value!
      map.delete(oldest)
      counters.unprovenForgotten++
      onLimit("unproven_targets_max")
      gone?.(old)
    }
    map.set(key, value)
    return value
  }

  const dialogOf = (key: string): Dialog =>
    dialogs.get(key) ??
    put(dialogs, key, {
      place: "",
      left: 0,
      newest: 0,
      packets: 0,
      isProven: false,
      until: clock() + 2 * timers.transactionMs,
    })

  const silentOf = (place: Place): Silent =>
    silent.get(place) ??
    put(
      silent,
      place,
      { packets: 0, hasTried: false, until: clock() + timers.transactionMs, waiting: [] },
      giveUp,
    )

  const end = (item: Item): void => {
    if (item.isOver) return
    item.isOver = true
    counters.unprovenWaiting--
    item.waiting.timedOut()
  }

  const giveUp = ({ waiting }: { readonly waiting: readonly Item[] }): void => {
    for (const item of waiting) end(item)
  }

  const sweep = <K>(
    map: Map<K, { readonly until: number }>,
    now: number,
    gone: (key: K) => void = () => {},
  ): void => {
    for (const [key, { until }] of map) {
      if (until > now) return
      gone(key)
      map.delete(key)
    }
  }

  return {
    received: (key, octets, isCopy) => {
      const dialog = dialogOf(key)
      const more = factor * octets
      dialog.left += more
      dialog.newest = isCopy ? dialog.newest + more : more
      dialog.until = clock() + 2 * timers.transactionMs
      put(dialogs, key, dialog)
    },
    take: (key, place, octets) => {
      const dialog = dialogOf(key)
      if (dialog.place !== place) {
        if (dialog.place !== "") Object.assign(dialog, { left: dialog.newest, packets: 0, isProven: false })
        dialog.place = place
      }
      const target = open.has(place) ? null : silentOf(place)
      // the first NOTIFY always leaves: without it nothing can be proven
      const isWithin =
        dialog.isProven || dialog.packets === 0 || (dialog.packets < packetsMax && dialog.left >= octets)
      if (!isWithin || (target !== null && target.packets >= packetsMax)) return false
      dialog.left -= octets
      dialog.packets++
      if (target !== null) target.packets++
      return true
    },
    takeAttempt: (place) => {
      if (open.has(place)) return true
      const target = silentOf(place)
      if (target.hasTried) return false
      target.hasTried = true
      return true
    },
    wait: (place, waiting) => {
      if (counters.unprovenWaiting >= limits.unprovenWaitingMax) {
        counters.unprovenDropped++
        onLimit("unproven_waiting_max")
        return waiting.timedOut()
      }
      const item: Item = { waiting, until: clock() + timers.transactionMs, isOver: false }
      counters.unprovenWaited++
      counters.unprovenWaiting++
      queue.push(item)
      ;(open.get(place) ?? silentOf(place)).waiting.push(item)
    },
    answered: (key, place, isProven) => {
      const dialog = dialogOf(key)
      // an answer from where it went before says nothing of where it goes now
      if (isProven && dialog.place === place) dialog.isProven = true
      const items = open.get(place)?.waiting ?? silent.get(place)?.waiting ?? []
      silent.delete(place)
      const target = put(
        open,
        place,
        { until: clock() + openFor * timers.transactionMs, waiting: [] as Item[] },
        giveUp,
      )
      for (const item of items) {
        if (item.isOver) continue
        if (!item.waiting.tryNow()) target.waiting.push(item)
        else {
          item.isOver = true
          counters.unprovenWaiting--
        }
      }
    },
    tick: () => {
      const now = clock()
      sweep(dialogs, now)
      sweep(open, now, (place) => giveUp(open.get(place)!))
      sweep(silent, now, (place) => giveUp(silent.get(place)!))
      while (queueFrom < queue.length && (queue[queueFrom]!.isOver || queue[queueFrom]!.until <= now))
        end(queue[queueFrom++]!)
      if (queueFrom > 1_024 && queueFrom * 2 > queue.length) {
        queue = queue.slice(queueFrom)
        queueFrom = 0
      }
    },
  }
}
