/** Metrics with their samples, as they are put together most often. */
import type { Family, Sample } from "./open-metrics.ts"

export const counter = (
  name: string,
  help: string,
  samples: number | readonly Sample[],
  unit?: string,
): Family => ({
  type: "counter",
  name,
  help,
  samples: typeof samples === "number" ? [{ value: samples }] : samples,
  ...(unit === undefined ? {} : { unit }),
})

export const gauge = (
  name: string,
  help: string,
  samples: number | readonly Sample[],
  unit?: string,
): Family => ({
  type: "gauge",
  name,
  help,
  samples: typeof samples === "number" ? [{ value: samples }] : samples,
  ...(unit === undefined ? {} : { unit }),
})
