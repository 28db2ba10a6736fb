/**
 * The smallest server: a pump between a store and a SIP stack, for programs that compose one themselves.
 */
import { Effect, Layer } from "effect"
import type { Scope } from "effect"
import { soleClaim } from "../../ports/claim.ts"
import { EventStore } from "../../ports/event-store.ts"
import { SipTransport } from "../../ports/sip-transport.ts"
import type { BindFailed, SipHandler } from "../../ports/sip-transport.ts"
import type { Pump } from "../node/pump.ts"
import { ActiveTags, DocumentSources, PumpService, layerPump } from "./pump.ts"
import type { NodeOptions } from "./pump.ts"

/** How long a stop waits for responses to NOTIFYs already sent. */
export const lingerMillis = 1500

/** A pump with the services that it asks: until they are told otherwise, every sharing tag is active, and no document is unread. */
export const layerNode = (
  options: NodeOptions,
): Layer.Layer<PumpService | ActiveTags | DocumentSources, never, EventStore | SipTransport> =>
  layerPump(options).pipe(Layer.provideMerge(Layer.mergeAll(ActiveTags.layer, DocumentSources.layer)))

/**
 * Reads the log, opens the sockets, decides what fell due meanwhile and takes requests, and then succeeds. Waits for a store that
 * does not answer. The end of the scope takes no more requests, waits for what is under way and closes the sockets.
 */
export const serve: Effect.Effect<void, BindFailed, PumpService | SipTransport | EventStore | Scope.Scope> =
  Effect.gen(function* () {
    const pump = yield* PumpService
    const sip = yield* SipTransport
    const { claim = soleClaim } = yield* EventStore
    yield* pump.recover
    yield* sip.listen(handlerOf(pump, pump.handler, claim.isSure))
    yield* pump.start
    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        yield* pump.drain
        yield* Effect.timeoutOption(pump.answered, lingerMillis)
        yield* pump.record
      }),
    )
  })

/** The handler that a stack calls while it runs: requests are answered 503 until the pump is ready. */
export const handlerOf = (
  { status, retryAfter }: Pump,
  { submit, delivered }: SipHandler,
  maySend: () => boolean,
): SipHandler => ({
  submit,
  delivered,
  overload: () => (status() === "ready" ? null : { retryAfter }),
  maySend,
})
