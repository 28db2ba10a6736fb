/**
 * The time in which this process was running, which is what timers have to count: a process that was stopped (SIGSTOP, a frozen
 * container, a long garbage collection, an overloaded machine) could neither send nor read what arrived meanwhile.
 *
 * The event loop fires timers before it reads sockets. After a stop every timer would be due at once, and would time out
 * transactions whose answers are waiting in datagrams not yet read. So there is one clock for timers that leaves out stops, and
 * one place that says when everything that waited has been read.
 */

export interface Attention {
  /** Monotonic milliseconds, without those in which the process was stopped. */
  readonly clock: () => number
  /**
   * How long ago, in real time, the stop began after which sockets are still being read, in whole milliseconds, since instants of
   * decisions are computed from it; 0: there was none, or everything is read.
   */
  readonly late: () => number
  /** Calls back once everything that waited in sockets is read; soon when nothing waits. */
  readonly whenRead: (done: () => void) => void
  /** Something arrived on a socket. */
  readonly heard: () => void
  /**
   * A timer that fires only after the process has run for this long and everything that waited has been read.
   *
   * @returns a function that cancels it
   */
  readonly after: (millis: number, done: () => void) => () => void
  /** Looks for stops from now on, until the returned function is called; without that, none are noticed. */
  readonly begin: () => () => void
  /** Calls back for each stop when it is noticed, with its length in milliseconds; returns a function that ends that. */
  readonly onStop: (told: (millis: number) => void) => () => void
  /** Stops so far: how many, and their total length in milliseconds. */
  readonly stops: () => { readonly count: number; readonly millis: number }
}

/** The event loop, or one that a test drives by hand. */
export interface Loop {
  /** Monotonic milliseconds, whatever the process does. */
  readonly now: () => number
  /** Calls back after sockets have been read once. */
  readonly soon: (call: () => void) => void
  /** Calls back again and again, without keeping the process alive. */
  readonly every: (millis: number, call: () => void) => () => void
  readonly after: (millis: number, call: () => void) => () => void
}

/** Silence of the event loop that counts as a stop: many times the interval between beats. */
export const stopMillis = 500
const beatMillis = 50

/** Rounds of the event loop without any input after which everything is read: in each round, every socket with input is read. */
const quietRounds = 2

/** The most rounds, for a flood of input that never ends: what waited at the beginning has been read by then. */
const readingMillisMax = 5000

/** The longest delay that `setTimeout` takes. */
const timeoutMax = 2 ** 31 - 1

const realLoop: Loop = {
  now: () => performance.now(),
  soon: setImmediate,
  every: (millis, call) => {
    const timer = setInterval(call, millis)
    timer.unref()
    return () => clearInterval(timer)
  },
  after: (millis, call) => {
    const timer = setTimeout(call, millis)
    return () => clearTimeout(timer)
  },
}

export const makeAttention = (loop: Loop = realLoop): Attention => {
  let users = 0
  let quiet = (): void => {}
  let lastAt = loop.now()
  /** Time that the clock leaves out. */
  let stopped = 0
  let count = 0
  /** When the stop began after which sockets are being read; null: everything is read. */
  let since: number | null = null
  let readingFrom = 0
  let hasHeard = false
  let waiting: (() => void)[] = []
  const listeners = new Set<(millis: number) => void>()

  const clock = (): number => {
    const now = loop.now()
    const gap = now - lastAt
    lastAt = now
    if (gap > stopMillis && users > 0) noticed(now, gap)
    return now - stopped
  }

  const noticed = (now: number, gap: number): void => {
    stopped += gap
    count++
    readingFrom = now
    if (since === null) {
      since = now - gap
      hasHeard = true
      let rounds = 0
      const round = (): void => {
        rounds = hasHeard ? 0 : rounds + 1
        hasHeard = false
        if (rounds < quietRounds && loop.now() - readingFrom < readingMillisMax) return loop.soon(round)
        since = null
        const all = waiting
        waiting = []
        for (const done of all) done()
      }
      loop.soon(round)
    }
    for (const told of listeners) told(gap)
  }

  const whenRead = (done: () => void): void => {
    if (since === null) loop.soon(done)
    else waiting.push(done)
  }

  return {
    clock,
    late: () => {
      clock()
      return since === null ? 0 : Math.ceil(loop.now() - since)
    },
    whenRead,
    heard: () => {
      hasHeard = true
    },
    after: (millis, done) => {
      if (millis === Number.POSITIVE_INFINITY) return () => {}
      const until = clock() + millis
      let isOff = false
      let cancel = (): void => {}
      const look = (): void => {
        if (isOff) return
        const left = until - clock()
        // a timer of the system may fire a fraction of a millisecond early
        if (left > 1) cancel = loop.after(Math.min(left, timeoutMax), look)
        else if (since !== null) whenRead(look)
        else done()
      }
      cancel = loop.after(Math.min(Math.max(millis, 0), timeoutMax), look)
      return () => {
        isOff = true
        cancel()
      }
    },
    begin: () => {
      if (users++ === 0) {
        lastAt = loop.now()
        quiet = loop.every(beatMillis, clock)
      }
      let isOver = false
      return () => {
        if (isOver) return
        isOver = true
        if (--users === 0) quiet()
      }
    },
    onStop: (told) => {
      listeners.add(told)
      return () => void listeners.delete(told)
    },
    stops: () => ({ count, millis: stopped }),
  }
}

/** That of this process. */
export const attention: Attention = makeAttention()
