/**
 * The pump as a service, and the small services below it: what the pump asks is filled in later by those who know.
 */
import { Context, Effect, Layer } from "effect"
import type { IsUnread } from "../../domain/presentity/context.ts"
import type { EventStore } from "../../ports/event-store.ts"
import { SipTransport } from "../../ports/sip-transport.ts"
import type { Follower, SourceHealth } from "../node/documents/source.ts"
import { makePump, pumpDefaults } from "../node/pump.ts"
import type { Pump, PumpOptions } from "../node/pump.ts"
import type { Tracing } from "../telemetry/tracing.ts"

/** Which sharing tags are active on this server; all of them until `ask` says who knows. */
export class ActiveTags extends Context.Service<
  ActiveTags,
  {
    readonly isActive: (tag: string) => boolean
    /** Sets who knows, from now on. */
    readonly ask: (isActive: (tag: string) => boolean) => void
  }
>()("presently/ActiveTags") {
  static readonly layer: Layer.Layer<ActiveTags> = Layer.sync(ActiveTags, () => {
    let known: (tag: string) => boolean = () => true
    return { isActive: (tag) => known(tag), ask: (isActive) => void (known = isActive) }
  })
}

/**
 * Sources of documents that are kept elsewhere: authorization documents, hard state. Each source registers itself; until one has,
 * nothing is unread.
 */
export class DocumentSources extends Context.Service<
  DocumentSources,
  {
    readonly add: (source: Follower) => void
    /** Whether the source of a presentity's rules has not been read yet. */
    readonly isUnread: IsUnread
    /** Reads each of them now, in the order of registration. */
    readonly poll: Effect.Effect<void>
    readonly health: () => readonly SourceHealth[]
  }
>()("presently/DocumentSources") {
  static readonly layer: Layer.Layer<DocumentSources> = Layer.sync(DocumentSources, () => {
    const sources: Follower[] = []
    return {
      add: (source) => void sources.push(source),
      isUnread: (presentity, packageName) => {
        for (const source of sources) if (source.isUnread(presentity, packageName)) return true
        return false
      },
      poll: Effect.suspend(() => Effect.forEach(sources, ({ poll }) => poll, { discard: true })),
      health: () => sources.flatMap((source) => source.health() ?? []),
    }
  })
}

/** The loop between store and SIP: see `node/pump.ts`. */
export class PumpService extends Context.Service<PumpService, Pump>()("presently/Pump") {}

/** What decisions depend on, what happens at a defect, and options that differ from the defaults. */
export type NodeOptions = Pick<PumpOptions, "packages" | "limits" | "authorize" | "onDefect"> &
  Partial<Omit<PumpOptions, "isTagActive" | "isUnread">> & {
    /** Null: no request is traced. */
    readonly tracing?: Tracing | null
  }

/** A pump that sends its NOTIFYs through the transport and keeps its decisions in the store. It does nothing before it is started. */
export const layerPump = ({
  tracing = null,
  ...options
}: NodeOptions): Layer.Layer<PumpService, never, EventStore | SipTransport | ActiveTags | DocumentSources> =>
  Layer.effect(
    PumpService,
    Effect.gen(function* () {
      const sip = yield* SipTransport
      const tags = yield* ActiveTags
      const sources = yield* DocumentSources
      return yield* makePump(
        { ...pumpDefaults, ...options, isTagActive: tags.isActive, isUnread: sources.isUnread },
        { notify: sip.notify, ...(tracing === null ? {} : { trace: tracing.begin }) },
      )
    }),
  )
