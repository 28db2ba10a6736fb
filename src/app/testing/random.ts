/**
 * Randomness determined by a seed, for the simulator.
 */
export interface Random {
  /** 0 … below - 1. */
  readonly int: (below: number) => number
  readonly chance: (probability: number) => boolean
  readonly pick: <T>(from: readonly T[]) => T
  /** A token that no other call returns. */
  readonly token: () => string
}

/** Mulberry32: 32 bits of state, which suffice to choose by, and the same on every platform. */
export const makeRandom = (seed: number): Random => {
  let state = seed >>> 0
  let tokens = 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
  const int = (below: number): number => Math.floor(next() * below)
  return {
    int,
    chance: (probability) => next() < probability,
    pick: (from) => from[int(from.length)]!,
    token: () => `${(tokens++).toString(36)}x${int(1_000_000).toString(36)}`,
  }
}
