/**
 * Metrics as text.
 *
 * @source the OpenMetrics specification 1.0
 */
import type { Histogram } from "./histogram.ts"

export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels?: Labels
  readonly value: number
}

/** A counter's name is given without `_total`, which is added here. */
export type Family = { readonly name: string; readonly help: string; readonly unit?: string } & (
  | { readonly type: "counter" | "gauge"; readonly samples: readonly Sample[] }
  | { readonly type: "info"; readonly labels: Labels }
  | { readonly type: "histogram"; readonly histogram: Histogram }
)

export const openMetricsText = (families: readonly Family[]): string =>
  `${families.map(familyText).join("")}# EOF\n`

const familyText = (family: Family): string => {
  const { name, type, help, unit } = family
  const head = [
    `# TYPE ${name} ${type}\n`,
    unit === undefined ? "" : `# UNIT ${name} ${unit}\n`,
    `# HELP ${name} ${escaped(help)}\n`,
  ].join("")
  switch (family.type) {
    case "info":
      return `${head}${name}_info${labelsText(family.labels)} 1\n`
    case "histogram":
      return head + histogramText(name, family.histogram)
    default: {
      const suffix = type === "counter" ? "_total" : ""
      return (
        head +
        family.samples.map(({ labels, value }) => `${name}${suffix}${labelsText(labels)} ${value}\n`).join("")
      )
    }
  }
}

const histogramText = (name: string, { bounds, counts, sum }: Histogram): string => {
  let total = 0
  const buckets = counts.map((count, index) => {
    total += count
    const bound = bounds[index]
    return `${name}_bucket{le="${bound === undefined ? "+Inf" : `${bound}${Number.isInteger(bound) ? ".0" : ""}`}"} ${total}\n`
  })
  return `${buckets.join("")}${name}_count ${total}\n${name}_sum ${sum()}\n`
}

const labelsText = (labels: Labels | undefined): string => {
  const entries = Object.entries(labels ?? {})
  return entries.length === 0
    ? ""
    : `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`
}

const escaped = (text: string): string =>
  text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
