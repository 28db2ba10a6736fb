/**
 * Counters of a process that starts one server after another: a standby that lost the log starts again in the same process, and
 * counters must not go back.
 */
import type { WriterCounters } from "../../ports/claim.ts"
import { makeHistogram } from "./histogram.ts"
import type { Histogram } from "./histogram.ts"
import type { Family, Sample } from "./open-metrics.ts"

export interface Carried {
  readonly writer: WriterCounters
  readonly metrics: CarriedMetrics
}

export interface CarriedMetrics {
  readonly append: Histogram
  readonly latency: Histogram
  /** What servers that have ended counted, by family and by labels as text. */
  readonly before: Map<string, Map<string, Sample>>
}

export const nothingCarried = (): Carried => ({
  writer: { lapses: 0, fenced: 0 },
  metrics: { append: makeHistogram(), latency: makeHistogram(), before: new Map() },
})

/** Counted by the process itself, whichever server it runs. */
const ofProcess: ReadonlySet<string> = new Set([
  "process_cpu_seconds",
  "presently_process_stops",
  "presently_process_stopped_seconds",
  "presently_writer_lapses",
  "presently_writer_fenced",
])

/** The same families, with earlier counts added to the counters. */
export const withCarried = (
  families: readonly Family[],
  { before }: Pick<CarriedMetrics, "before">,
): readonly Family[] =>
  families.map((family) => {
    const earlier = before.get(family.name)
    if (family.type !== "counter" || earlier === undefined) return family
    const samples = new Map(earlier)
    for (const { value, ...sample } of family.samples) {
      const labels = JSON.stringify(sample.labels ?? {})
      samples.set(labels, { ...sample, value: value + (earlier.get(labels)?.value ?? 0) })
    }
    return { ...family, samples: [...samples.values()] }
  })

/** Remembers what a server counted, when it ends. */
export const carryOn = (families: readonly Family[], { before }: Pick<CarriedMetrics, "before">): void => {
  for (const family of withCarried(families, { before })) {
    if (family.type !== "counter" || ofProcess.has(family.name)) continue
    before.set(
      family.name,
      new Map(family.samples.map((sample) => [JSON.stringify(sample.labels ?? {}), sample])),
    )
  }
}
