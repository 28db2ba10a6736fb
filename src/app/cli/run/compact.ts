/**
 * Drops what is due from the log, and reports it.
 */
import { Clock, Console, Effect } from "effect"
import { ConfigInvalid } from "../../config/config.ts"
import { termsOf } from "../../config/retention-terms.ts"
import { sealKeyOf } from "../../config/signing-key.ts"
import { compactStore } from "../../retention/compact-store.ts"
import type { Compacted } from "../../retention/compact-store.ts"
import { accountName } from "../account.ts"
import { storeConfig } from "../store-flags.ts"
import type { StoreFlags } from "../store-flags.ts"

interface CompactInput extends StoreFlags {
  readonly json: boolean
  readonly yes: boolean
}

export const compact = Effect.fn(function* ({ json, yes, ...input }: CompactInput) {
  const config = yield* storeConfig(input)
  const { terms, faults } = termsOf(config.retention)
  const said = `retention = ${config.retention.join(" ")} (${config.sources.retention})`
  if (faults.length > 0)
    return yield* new ConfigInvalid({ faults: faults.map((fault) => `${said}: ${fault}`) })
  if (terms.days === 0 && terms.documents.size === 0) {
    const fault = `${said}: everything is kept for ever, so there is nothing to drop: give --set retention=DAYS`
    return yield* new ConfigInvalid({ faults: [fault] })
  }
  const now = yield* Clock.currentTimeMillis
  const key = sealKeyOf(config)
  if (key !== null && "fault" in key) return yield* new ConfigInvalid({ faults: [key.fault] })
  const principal = { by: `compact ${accountName()}`, key: key?.key ?? null }
  const compacted = yield* compactStore(config, terms, now, principal, yes)
  yield* Console.log(json ? JSON.stringify({ v: 1, ...compacted }) : textOf(compacted))
}, Effect.scoped)

const textOf = ({ months, before, decisions, forgotten, persons, documents, left }: Compacted): string => {
  const lines = documents.flatMap(({ packageName, before: until, documents: count, left: more }) => [
    `${count} documents of ${packageName} from before ${new Date(until).toISOString()} dropped`,
    ...(more === undefined ? [] : [leftText(`documents of ${packageName}`, more)]),
  ])
  if (left !== null) lines.push(leftText("decisions", left))
  if (before !== null) {
    const until = new Date(before).toISOString()
    lines.unshift(
      decisions === 0 && months.length === 0
        ? `no decisions from before ${until}`
        : `${decisions} decisions from before ${until} dropped` +
            (months.length === 0 ? "" : `, with the months ${months.join(" ")}`) +
            (forgotten === 0 ? "" : `; nothing is left of ${forgotten} presentities`) +
            (persons === 0 ? "" : `; keys of ${persons} persons are gone`),
    )
  }
  return lines.length === 0 ? "nothing is due" : lines.join("\n")
}

const leftText = (what: string, before: number): string =>
  `${what} up to ${new Date(before).toISOString()} are due as well, but more than retention_share of the log: the rest goes another day, or with --yes`
