/**
 * Seals the log periodically: signs everything stored since the last seal, so that later changes by anyone
 * without the key are detected.
 */
import type { KeyObject } from "node:crypto"
import { Clock, Effect } from "effect"
import { digestOfRows, noDigest, signSeal } from "../../adapters/store/integrity/signed-seals.ts"
import type { LogAdmin } from "../../ports/log-admin.ts"
import { errorMessage } from "../error-message.ts"

export interface Sealer {
  /** Seals what is not sealed yet, if anything. Failure is logged once each time. */
  readonly seal: Effect.Effect<void>
  /** Seals periodically until the scope closes. */
  readonly run: Effect.Effect<void>
}

export const makeSealer = (
  { seals, chain }: Pick<LogAdmin["Service"], "seals" | "chain">,
  key: KeyObject,
  periodSeconds: number,
): Sealer => {
  let isFailing = false

  const sealOnce = Effect.gen(function* () {
    const last = yield* seals.newest
    const previous = last?.position ?? (yield* chain.begun)
    const digest = digestOfRows(last?.digest ?? noDigest)
    let position = previous
    let rows = 0n
    for (let page = yield* seals.hashes(position); page.length > 0; page = yield* seals.hashes(position)) {
      for (const row of page) digest.add(row)
      position = page.at(-1)!.position
      rows += BigInt(page.length)
    }
    if (rows === 0n) return
    const at = yield* Clock.currentTimeMillis
    const seal = signSeal({ position, previous, at, rows, digest: digest.end() }, key)
    if (yield* seals.add(seal)) yield* Effect.logDebug(`the log is sealed up to position ${position}`)
  })

  const seal = sealOnce.pipe(
    Effect.tap(() => {
      if (!isFailing) return Effect.void
      isFailing = false
      return Effect.logInfo("the log is sealed again")
    }),
    Effect.catch((cause) => {
      if (isFailing) return Effect.void
      isFailing = true
      return Effect.logError(`the log cannot be sealed (${errorMessage(cause)}): tried again and again`)
    }),
  )
  return { seal, run: Effect.forever(Effect.andThen(Effect.sleep(periodSeconds * 1000), seal)) }
}
