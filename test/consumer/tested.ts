/** What an author of an event package, or of an event store, checks it with. */
import { Effect, Layer } from "effect"
import { EventStore, StoreUnavailable, decodeDecision, encodeDecision } from "presently"
import { initial } from "presently/domain"
import type { Command, Decision, Uri } from "presently/domain"
import { lawsOf, makeGiven, packageLaws, simulate, storeContract } from "presently/testing"
import type { PackageLaw, StoreCase } from "presently/testing"
import { counter, packages } from "./counter.ts"

const documents = ["0", "7", "42"].map((text) => ({ contentType: "text/plain", text }))

packageLaws(counter, { documents, cases: 20 })
export const laws: readonly PackageLaw[] = lawsOf(counter, { documents })

const given = makeGiven({ packages, presentity: "sip:alice@example.com" as Uri, at: 0 })
const publish: Command = {
  _tag: "Publish",
  packageName: "x-counter",
  ifMatch: ["not ours"],
  expires: null,
  body: null,
  bodyFault: null,
  sender: null,
}
given().when(publish, 1_000).refused(412)

export const { counts } = simulate({
  seed: 1,
  steps: 100,
  packages,
  universe: {
    presentities: ["sip:alice@example.com" as Uri],
    watchers: ["sip:bob@example.com" as Uri],
    bodies: new Map([["x-counter", documents]]),
  },
  present: (shown) => shown,
})

// ── an event store of one's own ──

const nothing = Effect.succeed([])
export const store: EventStore["Service"] = {
  append: (decisions) => Effect.succeed({ position: decisions.length, conflicts: new Set<Uri>() }),
  load: (streams) => Effect.succeed(streams.map(initial)),
  read: () => nothing,
  history: () => nothing,
  historyBack: () => nothing,
  saveLandmarks: () => Effect.void,
  landmarkAt: () => Effect.succeed(null),
  landmarkBefore: () => Effect.succeed(null),
  landmarksBack: () => nothing,
  saveSnapshots: () => Effect.void,
  snapshots: () => nothing,
  saveCheckpoint: () => Effect.void,
  checkpoint: () => Effect.fail(new StoreUnavailable({ cause: "it keeps nothing" })),
}
export const layer: Layer.Layer<EventStore> = Layer.succeed(EventStore, store)
const cases: readonly StoreCase[] = storeContract(() => store)
const outcomes = await Promise.allSettled(cases.map(({ run }) => run()))
export const broken: readonly string[] = cases
  .filter((_, index) => outcomes[index]?.status === "rejected")
  .map(({ name }) => name)

const text: string = encodeDecision({
  stream: "sip:alice@example.com" as Uri,
  version: 1,
  at: 0,
  cause: "Publish",
  origin: "",
  nonce: "nonce",
  events: [],
})
export const decoded: Decision = decodeDecision(text)
