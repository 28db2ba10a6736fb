/** The health of document sources, as operators see it. */
import type { Source } from "../../ports/operations.ts"
import type { Family } from "../telemetry/open-metrics.ts"
import type { SourceHealth } from "./documents/source.ts"

/** Why the server is degraded, for callers without a token: no file is named. */
export const degradedKinds = (sources: readonly SourceHealth[]): readonly string[] =>
  sources.flatMap(({ kind, why }) => (why === null ? [] : [`the source of ${kind} cannot be read`]))

/** Why the server is degraded: one line for each source that cannot be read; empty if it is not. */
export const degradedBy = (sources: readonly SourceHealth[]): readonly string[] =>
  sources.flatMap(({ kind, why }) => (why === null ? [] : [`${kind}: ${why}`]))

export const sourceView = (source: SourceHealth): Source => ({
  kind: source.kind,
  source: source.name,
  state: source.state,
  why: source.why,
  since: source.since === null ? null : new Date(source.since).toISOString(),
  documents: source.documents,
  troubles: source.troubles.map(({ of, file, why, since }) => ({
    presentity: of?.presentity ?? null,
    event: of?.packageName ?? null,
    place: file,
    why,
    since: new Date(since).toISOString(),
  })),
})

/** No label contains a file or an address. */
export const sourceFamilies = (sources: readonly SourceHealth[]): readonly Family[] => {
  const samples = (value: (source: SourceHealth) => number) =>
    sources.map((source) => ({ labels: { kind: source.kind }, value: value(source) }))
  return [
    {
      type: "gauge",
      name: "presently_source_reachable",
      help: "Whether a source of documents could be read when it was last looked at.",
      samples: samples(({ state }) => (state === "read" ? 1 : 0)),
    },
    {
      type: "gauge",
      name: "presently_source_documents",
      help: "Documents of a source, usable or not.",
      samples: samples(({ documents }) => documents),
    },
    {
      type: "gauge",
      name: "presently_source_troubled_documents",
      help: "Documents of a source that cannot be used.",
      samples: samples(({ troubles }) => troubles.length),
    },
    {
      type: "counter",
      name: "presently_source_looks",
      help: "Looks at a source, by whether it could be read.",
      samples: sources.flatMap((source) => [
        { labels: { kind: source.kind, outcome: "read" }, value: source.looks },
        { labels: { kind: source.kind, outcome: "failed" }, value: source.failures },
      ]),
    },
  ]
}
