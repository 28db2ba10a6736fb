/**
 * The states of the pump, and the transitions between them.
 *
 * A state says what the pump accepts, and whether the store answers (`…Away`: it does not). Each state is one row
 * of the table, with its properties and all of its transitions; any other input is a defect.
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
 * `logRead`: the log has been read, and amendments may be decided. `start`: everything may be decided.
 * `drain`: no more requests are accepted. `close`: the scope has closed. `storeLost`, `storeBack`: the store
 * went away, or answers again.
 */
export type PumpInput = (typeof pumpInputs)[number]

/** The status for others: `starting` until requests are accepted, `down` while the store is away. */
export type PumpStatus = "starting" | "ready" | "down" | "draining"

interface Row {
  readonly status: PumpStatus
  /** What a turn takes from the inbox. */
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
  // what was under way is finished, but the store is not waited for
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

/** The state after an input; null if the input is not possible in that state. */
export const transition = (state: PumpState, input: PumpInput): PumpState | null =>
  rows[state].on[input] ?? null

/** States of the append; there is at most one. */
export const appendStates = ["idle", "underWay", "givenUp"] as const
/**
 * `givenUp`: its outcome is no longer awaited, but the store is still working on it, and no other begins
 * before it has ended.
 */
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

/** The current state. */
export interface PumpMachine extends Readonly<Omit<Row, "on">> {
  readonly state: PumpState
  readonly append: AppendState
  /** The scope has closed. */
  readonly isClosed: boolean
  /** `start` has happened, even if requests are not accepted any more. */
  readonly isOpen: boolean
  /** @throws a defect if the input is not possible in this state */
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
