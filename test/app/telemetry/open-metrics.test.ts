/**
 * Metrics as text.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeHistogram } from "../../../src/app/telemetry/histogram.ts"
import { openMetricsText } from "../../../src/app/telemetry/open-metrics.ts"

describe("a histogram", () => {
  it("counts each observation once, in the bucket it belongs to", { tags: ["OPS-metrics"] }, () => {
    const bounds = [0.001, 0.01, 0.1, 1]
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: -1, max: 5, noNaN: true }), fc.integer({ min: 1, max: 50 }))),
        (observed) => {
          const histogram = makeHistogram(bounds)
          for (const [seconds, times] of observed) histogram.observe(seconds, times)
          for (const [index, count] of histogram.counts.entries()) {
            const above = bounds[index - 1] ?? Number.NEGATIVE_INFINITY
            const upTo = bounds[index] ?? Number.POSITIVE_INFINITY
            const expected = observed
              .map(([seconds, times]) => [Math.max(0, seconds), times] as const)
              .filter(([seconds]) => seconds > above && seconds <= upTo)
              .reduce((sum, [, times]) => sum + times, 0)
            assert.equal(count, expected)
          }
        },
      ),
    )
  })
})

describe("the text", () => {
  it("has every family once with type, unit and help, and an end", { tags: ["OPS-metrics"] }, () => {
    const histogram = makeHistogram([0.5, 1])
    histogram.observe(0.25, 2)
    histogram.observe(3)
    const text = openMetricsText([
      { type: "info", name: "a", help: 'Says "hello"\\.', labels: { version: '1"\n\\' } },
      { type: "counter", name: "b", help: "B.", samples: [{ labels: { of: "x", and: "y" }, value: 3 }] },
      { type: "gauge", name: "c_seconds", unit: "seconds", help: "C.", samples: [{ value: 0.5 }] },
      { type: "histogram", name: "d", help: "D.", histogram },
    ])
    assert.deepEqual(text.split("\n"), [
      "# TYPE a info",
      '# HELP a Says \\"hello\\"\\\\.',
      'a_info{version="1\\"\\n\\\\"} 1',
      "# TYPE b counter",
      "# HELP b B.",
      'b_total{of="x",and="y"} 3',
      "# TYPE c_seconds gauge",
      "# UNIT c_seconds seconds",
      "# HELP c_seconds C.",
      "c_seconds 0.5",
      "# TYPE d histogram",
      "# HELP d D.",
      'd_bucket{le="0.5"} 2',
      'd_bucket{le="1.0"} 2',
      'd_bucket{le="+Inf"} 3',
      "d_count 3",
      "d_sum 3.5",
      "# EOF",
      "",
    ])
  })
})
