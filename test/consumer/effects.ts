/** Presence in a program that is written with Effect, with an event store that is a service of Effect. */
import { Effect, Layer, Stream } from "effect"
import { EventStore, Presence, PresenceService, memoryStore } from "presently"
import type {
  Claim,
  HistoryQueries,
  OperationRefused,
  Operations,
  PresenceTables,
  SipTransport,
} from "presently"

/** What the store was given to keep. */
export const kept = { decisions: 0 }

/** A store around another one: it counts. */
const countingStore: Layer.Layer<EventStore> = Layer.effect(
  EventStore,
  Effect.map(EventStore, (store) => ({
    ...store,
    append: (decisions, requesters) => {
      kept.decisions += decisions.length
      return store.append(decisions, requesters)
    },
  })),
).pipe(Layer.provide(memoryStore()))

const room = "sip:room7@example.com"
const document =
  '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:room7@example.com"><tuple id="t"><status><basic>open</basic></status></tuple></presence>'

const program = Effect.gen(function* () {
  const presence = yield* PresenceService
  const { entityTag } = yield* presence.publish({ presentity: room, body: document, expires: 60 })
  yield* presence.publish({ presentity: room, entityTag, expires: 0 })
  return yield* Stream.runCollect(Stream.map(presence.history(room), ({ cause }) => cause))
})

export const past: readonly string[] = await Effect.runPromise(
  Effect.provide(program, Presence.layer().pipe(Layer.provide(countingStore))),
)

const other = await Presence.make({ store: countingStore })
export const refused: number | null = await other.why(room, "sip:bob@example.com", { event: "x-none" }).then(
  () => null,
  ({ status }: { readonly status: number }) => status,
)
await other.close()

/** What an embedder composes a server of; only types are looked at here. */
export type Ports = {
  readonly sip: SipTransport["Service"]
  readonly tables: PresenceTables["Service"]
  readonly claim: Claim
  readonly history: HistoryQueries
}

export const cleanup = (operations: Operations): Effect.Effect<readonly string[], OperationRefused> =>
  Effect.as(
    Effect.andThen(operations.cleanup, operations.terminate("me", room, "presence", null, "noresource")),
    operations.sources().map(({ source }) => source),
  )

// @ts-expect-error a store has to be given
export const lacking = () => Effect.runPromise(Effect.provide(program, Presence.layer()))
