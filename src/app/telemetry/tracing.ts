/**
 * Traces of single requests: from arrival through the append to the end of each NOTIFY that follows. Off unless an operator
 * configures an endpoint; without one nothing is done for them.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Context, Effect, Exit, Layer, Option, Tracer } from "effect"
import type { Scope } from "effect"
import { OtlpSerialization, OtlpTracer } from "effect/observability"
import type { DeliveryOutcome } from "../../domain/presentity/commands.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { SubscriptionNo, Uri } from "../../domain/vocabulary.ts"
import type { Request } from "../../ports/sip-transport.ts"
import { version } from "../version.ts"

/** One request that is traced. */
export interface Trace {
  /** Its decision is committed; `from`: when the append began (`performance.now()`). */
  readonly appended: (from: number) => void
  /** These NOTIFYs follow. */
  readonly notifies: (notifications: readonly Notify[]) => void
}

export interface Traced {
  /** Its response ends the first span. */
  readonly request: Request
  readonly trace: Trace
}

export interface Tracing {
  /** Null: this one is not traced. `parent`: the span that it belongs to. */
  readonly begin: (request: Request, parent: Tracer.AnySpan | null) => Traced | null
  readonly tracer: Tracer.Tracer
  readonly delivered: (presentity: Uri, id: SubscriptionNo, cseq: number, outcome: DeliveryOutcome) => void
}

export interface TracingOptions {
  /** URL of an OTLP endpoint over HTTP: `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  /** Share of requests that are traced, 0 to 1. */
  readonly ratio: number
}

/** Spans of NOTIFYs without an outcome so far; more are not traced. */
const openMax = 10_000

export const makeTracing = ({ url, ratio }: TracingOptions): Effect.Effect<Tracing, never, Scope.Scope> =>
  Effect.map(
    Layer.build(
      OtlpTracer.layer({
        url,
        resource: { serviceName: "presently", serviceVersion: version },
        exportInterval: "1 second",
      }).pipe(Layer.provide(Layer.mergeAll(OtlpSerialization.layerJson, NodeHttpClient.layerNodeHttp))),
    ),
    (services) => tracingOf(Context.get(services, Tracer.Tracer), () => Math.random() < ratio),
  )

const tracingOf = (tracer: Tracer.Tracer, isChosen: () => boolean): Tracing => {
  const open = new Map<string, Tracer.Span>()

  const start = (name: string, kind: Tracer.SpanKind, parent: Tracer.AnySpan | null, from: number) =>
    tracer.span({
      name,
      kind,
      parent: Option.fromNullishOr(parent),
      annotations: Context.empty(),
      links: [],
      startTime: nanos(from),
      root: parent === null,
      sampled: true,
    })
  const end = (span: Tracer.Span): void => span.end(nanos(performance.now()), Exit.void)

  return {
    tracer,
    begin: (request, parent) => {
      if (parent === null && !isChosen()) return null
      const { command, presentity, origin } = request
      const root = start(names[command._tag] ?? command._tag, "server", parent, performance.now())
      root.attribute("presently.origin", origin)
      if (presentity !== null) root.attribute("presently.presentity", presentity)
      if ("packageName" in command) root.attribute("sip.event", command.packageName)
      return {
        request: {
          ...request,
          answer: (answer) => {
            const status = answer._tag === "Rejected" ? answer.rejection.status : 200
            root.attribute("sip.status", status)
            end(root)
            request.answer(answer)
          },
        },
        trace: {
          appended: (from) => end(start("append", "client", root, from)),
          notifies: (notifications) => {
            for (const notify of notifications) {
              if (open.size >= openMax) return
              const span = start("NOTIFY", "client", root, performance.now())
              span.attribute("sip.event", notify.packageName)
              span.attribute("sip.call_id", notify.dialog.callId)
              span.attribute("sip.cseq", notify.cseq)
              span.attribute("sip.subscription_state", notify.state)
              open.set(keyOf(notify.presentity, notify.no, notify.cseq), span)
            }
          },
        },
      }
    },
    delivered: (presentity, id, cseq, outcome) => {
      const key = keyOf(presentity, id, cseq)
      const span = open.get(key)
      if (span === undefined) return
      open.delete(key)
      span.attribute("presently.outcome", outcome._tag)
      if (outcome._tag === "Refused") span.attribute("sip.status", outcome.status)
      end(span)
    },
  }
}

/** The SIP methods of these commands. */
const names: Readonly<Partial<Record<string, string>>> = {
  Publish: "PUBLISH",
  Subscribe: "SUBSCRIBE",
  Resubscribe: "SUBSCRIBE",
}

const keyOf = (presentity: Uri, id: SubscriptionNo, cseq: number): string => `${presentity} ${id} ${cseq}`

/** The process's own clock, as nanoseconds since 1970. */
const nanos = (millis: number): bigint => BigInt(Math.round((performance.timeOrigin + millis) * 1e6))
