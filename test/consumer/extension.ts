/** A module for the setting `extensions`: an event package, and a store that is written with Effect. */
import { Effect, Layer } from "effect"
import { EventStore, memoryStore } from "presently"
import { counter } from "./counter.ts"

export const packages = [counter]

/** A store around another one: it tells what it keeps. */
export const store: Layer.Layer<EventStore> = Layer.effect(
  EventStore,
  Effect.map(EventStore, (inner) => ({
    ...inner,
    append: (decisions, requesters) => {
      for (const { stream, cause } of decisions) console.log(`kept: ${cause} of ${stream}`)
      return inner.append(decisions, requesters)
    },
  })),
).pipe(Layer.provide(memoryStore()))
