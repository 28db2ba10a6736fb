/**
 * The states of the pump, and what moves it from one to the next.
 *
 * A state says how far the pump's life has come, and whether the store answers: `…Away` means that it does not. What is true in each
 * state stands in one row, and so do all transitions that there are; any other is a defect.
 *
 *   reading ─ logRead → amending ─ start → serving ─ drain → draining ─ close → closed
 *                          ⇅                  ⇅                 ⇅                 ↓
 *                     amendingAway  →   servingAway   →   drainingAway   →   closedAway
 */

export const pumpStates = [
  "reading",
  "amending",
  "amendingAway",
  "serving",
  "servingAway",
  "draining",
  "drainingAway",
  "closed",
  "closedAway",
] as const
export type PumpState = (typeof pumpStates)[number]

export const pumpInputs = ["logRead", "start", "drain", "close", "storeLost", "storeBack"] as const
/**
 * `logRead`: the log is read, and requests that amend it may be decided. `start`: all others may be, too. `drain`: no more are taken.
 * `close`: the scope has ended. `storeLost`, `storeBack`: the store went away, or answers again.
 */
export type PumpInput = (typeof pumpInputs)[number]

/** As it is told outside: `starting` until requests are taken, `down` while the store is away. */
export type PumpStatus = "starting" | "ready" | "down" | "draining"

interface Row {
  readonly status: PumpStatus
  /** What is taken out of the inbox in a turn. */
  readonly decides: "nothing" | "amendments" | "everything"
  readonly isAway: boolean
  readonly on: Partial<Readonly<Record<PumpInput, PumpState>>>
}

const rows: Readonly<Record<PumpState, Row>> = {
  reading: {
    status: "starting",
    decides: "nothing",
    isAway: false,
    on: { logRead: "amending" },
  },
  amending: {
    status: "starting",
    decides: "amendments",
    isAway: false,
    on: { start: "serving", storeLost: "amendingAway" },
  },
  amendingAway: {
    status: "down",
    decides: "amendments",
    isAway: true,
    on: { start: "servingAway", storeBack: "amending" },
  },
  serving: {
    status: "ready",
    decides: "everything",
    isAway: false,
    on: { drain: "draining", close: "closed", storeLost: "servingAway" },
  },
  servingAway: {
    status: "down",
    decides: "everything",
    isAway: true,
    on: { drain: "drainingAway", close: "closedAway", storeBack: "serving" },
  },
  draining: {
    status: "draining",
    decides: "everything",
    isAway: false,
    on: { drain: "draining", close: "closed", storeLost: "drainingAway" },
  },
  drainingAway: {
    status: "down",
    decides: "everything",
    isAway: true,
    on: { drain: "drainingAway", close: "closedAway", storeBack: "draining" },
  },
  // what was under way at the end is brought to an end; the store is not waited for any more
  closed: {
    status: "draining",
    decides: "everything",
    isAway: false,
    on: { drain: "closed", storeLost: "closedAway" },
  },
  closedAway: {
    status: "down",
    decides: "everything",
    isAway: true,
    on: { drain: "closedAway" },
  },
}

/** The state after an input; null: that input cannot come in that state. */
export const transition = (state: PumpState, input: PumpInput): PumpState | null =>
  rows[state].on[input] ?? null

/** Where the only append is that may be under way. */
export const appendStates = ["idle", "underWay", "givenUp"] as const
/** `givenUp`: nobody waits for its outcome any more, but the store still works on it; until it has ended, no other begins. */
export type AppendState = (typeof appendStates)[number]

export const appendInputs = ["begin", "end", "giveUp"] as const
export type AppendInput = (typeof appendInputs)[number]

const appends: Readonly<Record<AppendState, Partial<Readonly<Record<AppendInput, AppendState>>>>> = {
  idle: { begin: "underWay", giveUp: "idle" },
  underWay: { end: "idle", giveUp: "givenUp" },
  givenUp: { end: "idle", giveUp: "givenUp" },
}

export const appendTransition = (state: AppendState, input: AppendInput): AppendState | null =>
  appends[state][input] ?? null

/** The present state. */
export interface PumpMachine extends Readonly<Omit<Row, "on">> {
  readonly state: PumpState
  readonly append: AppendState
  /** The scope has ended. */
  readonly isClosed: boolean
  /** Requests are taken, or have been: `start` is behind it. */
  readonly isOpen: boolean
  /** @throws a defect when that cannot come in this state */
  readonly take: (input: PumpInput) => void
  readonly takeAppend: (input: AppendInput) => void
}

export const makeMachine = (): PumpMachine => {
  let state: PumpState = "reading"
  let row = rows[state]
  let append: AppendState = "idle"
  return {
    get state() {
      return state
    },
    get status() {
      return row.status
    },
    get decides() {
      return row.decides
    },
    get isAway() {
      return row.isAway
    },
    get isOpen() {
      return row.decides === "everything"
    },
    get isClosed() {
      return state === "closed" || state === "closedAway"
    },
    get append() {
      return append
    },
    take: (input) => {
      const next = transition(state, input)
      if (next === null) throw new Error(`invariant broken: the pump takes no ${input} when it is ${state}`)
      state = next
      row = rows[state]
    },
    takeAppend: (input) => {
      const next = appendTransition(append, input)
      if (next === null) throw new Error(`invariant broken: an append that is ${append} takes no ${input}`)
      append = next
    },
  }
}
