/**
 * What the store knows of the time when a program opens it, and how far the machine's clock is from that.
 */
import { Effect } from "effect"
import type { Millis } from "../../domain/vocabulary.ts"
import type { ClockWitness } from "../../ports/log-admin.ts"

/** A clock that is further ahead than this of what is known, with no witness, is doubted: retention waits. */
export const doubtMillis: Millis = 86_400_000

/** Tolerance for a database's clock where nothing better is known. */
export const databaseSlackMillis: Millis = 60_000

interface Known {
  readonly known: Millis
  /** How far the machine's clock is ahead of `known`; negative: behind it. */
  readonly millis: Millis
}

export type Gap =
  /** The machine has run since the store was told the time, at `toldAt`: `known` is what time it is now. */
  | (Known & { readonly by: "uptime"; readonly toldAt: Millis })
  /** `known` is the newest time that the store holds. `toldAt`: when it was last told the time; null: never. */
  | (Known & { readonly by: "newest"; readonly toldAt: Millis | null })

/**
 * @param boot identifies one run of the machine; `unknown`: it cannot be told from another
 * @param uptime milliseconds since the machine's start, sleep included; null: unknown
 * @returns null: the store knows nothing of the time
 */
export const gapOf = Effect.fnUntraced(function* (
  witness: Pick<ClockWitness, "lastBeat" | "newest">,
  now: Millis,
  boot: string,
  uptime: Millis | null,
) {
  const last = yield* witness.lastBeat
  if (last !== null && last.boot === boot && boot !== "unknown" && uptime !== null) {
    const known = last.at + (uptime - last.uptime)
    const gap: Gap = { by: "uptime", known, millis: now - known, toldAt: last.at }
    return gap
  }
  const known = Math.max(last?.at ?? 0, yield* witness.newest)
  if (known === 0) return null
  const gap: Gap = { by: "newest", known, millis: now - known, toldAt: last?.at ?? null }
  return gap
})
