/**
 * Time in which this process ran: what timers are to count, for a process that was stopped (SIGSTOP, a frozen container, a long
 * collection of garbage, a machine with too much to do) could neither send, nor read what was answered meanwhile.
 *
 * The event loop fires timers before it reads sockets. After a stop every timer would be due at once, and would end what has
 * been answered long since, in a datagram that nobody has read. So there is one clock for timers that leaves stops out, and one
 * place that says when all that waited has been read.
 */

export interface Attention {
  /** Milliseconds that only grow, without those in which the process was stopped. */
  readonly clock: () => number
  /** How long ago, in real time, the stop began after which sockets are still being read; 0: there was none, or all is read. */
  readonly late: () => number
  /** Calls once all is read that waited in sockets; soon when nothing does. */
  readonly whenRead: (done: () => void) => void
  /** Something came from a socket. */
  readonly heard: () => void
  /**
   * A timer that does not fire before the process has run for so long and all is read that waited.
   *
   * @returns what calls it off
   */
  readonly after: (millis: number, done: () => void) => () => void
  /** Looks for stops from now on, until what it returns is called; without that there are none. */
  readonly begin: () => () => void
  /** Told of each stop when it is noticed, in milliseconds; returns what ends that. */
  readonly onStop: (told: (millis: number) => void) => () => void
  /** So far: how many, and how long together in milliseconds. */
  readonly stops: () => { readonly count: number; readonly millis: number }
}

/** The event loop as it is, or one that a test turns by hand. */
export interface Loop {
  /** Milliseconds that only grow, whatever the process does. */
  readonly now: () => number
  /** Calls after sockets have been read once. */
  readonly soon: (call: () => void) => void
  /** Calls again and again, without keeping the process alive. */
  readonly every: (millis: number, call: () => void) => () => void
  readonly after: (millis: number, call: () => void) => () => void
}

/** Silence of the event loop that counts as a stop: many times what a beat is apart. */
export const stopMillis = 500
const beatMillis = 50

/** Rounds of the event loop in which nothing came: in each, every socket that has something is read. */
const quietRounds = 2

/** Under a flood something always comes: what waited has been read by then. */
const readingMillisMax = 5000

/** What `setTimeout` takes. */
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
  /** What the clock leaves out. */
  let stopped = 0
  let count = 0
  /** When the stop began after which sockets are being read; null: all is read. */
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
      return since === null ? 0 : loop.now() - since
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
        // a timer of the system may be early by the part of a millisecond
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
