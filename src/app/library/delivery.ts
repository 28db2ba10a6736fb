/**
 * Delivers notifications to the watchers within the program, and events to its observers.
 */
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { isWithinProgram } from "../../domain/presentity/abandon.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { Notification } from "./requests.ts"
import { makeSkips } from "./skips.ts"

/** Receives one watcher's notifications. A later change is delivered only after it called `taken`. */
export type Sink = (notification: Notification, taken: () => void) => void

export interface Observer {
  readonly decided?: (decision: Decision) => void
  readonly notified?: (notification: Notification) => void
}

export interface Delivery {
  /** Delivers notifications. */
  readonly notify: (notifications: readonly Notify[]) => void
  /** Reports committed decisions, before the notifications that follow from them. */
  readonly stored: (stored: readonly CommittedDecision[]) => void
  /** Connects a sink to the notifications of the dialog with that Call-ID. */
  readonly connect: (callId: string, sink: Sink) => void
  readonly disconnect: (callId: string) => void
  /** Observes every committed decision and every notification from now on. @returns a function that ends it */
  readonly observe: (observer: Observer) => () => void
}

/** What the engine is told about a notification. */
export interface DeliveryReports {
  /** Its watcher has taken it. */
  readonly taken: (notify: Notify) => void
  /** Its watcher is gone: the subscription ends. */
  readonly abandoned: (notify: Notify) => void
}

export const makeDelivery = (packages: Packages, reports: DeliveryReports): Delivery => {
  const skips = makeSkips(packages)
  const sinks = new Map<string, Sink>()
  const observers = new Set<Observer>()

  const deliver = (notify: Notify): void => {
    const notification = notificationOf(notify, skips.delivered(notify))
    for (const observer of observers) observer.notified?.(notification)
    const { callId } = notify.dialog
    const sink = sinks.get(callId)
    if (sink !== undefined) {
      if (notify.state === "terminated") sinks.delete(callId)
      sink(notification, () => {
        skips.taken(notify)
        reports.taken(notify)
      })
    } else if (isWithinProgram(notify.dialog) && notify.state !== "terminated") {
      // the request was abandoned and stored all the same, or the watcher belongs to an earlier process: nobody is there. Nothing
      // is known here of watchers elsewhere
      reports.abandoned(notify)
    }
  }

  return {
    notify: (notifications) => {
      for (const notify of notifications) deliver(notify)
    },
    stored: (stored) => {
      skips.stored(stored)
      for (const { decision } of stored) for (const observer of observers) observer.decided?.(decision)
    },
    connect: (callId, sink) => void sinks.set(callId, sink),
    disconnect: (callId) => void sinks.delete(callId),
    observe: (observer) => {
      observers.add(observer)
      return () => void observers.delete(observer)
    },
  }
}

const notificationOf = (notify: Notify, skipped: number): Notification => ({
  presentity: notify.presentity,
  watcher: notify.dialog.remoteUri.slice(1, -1),
  event: notify.packageName,
  state: notify.state,
  expires: notify.expires,
  reason: notify.reason,
  body: notify.body,
  headers: notify.headers ?? [],
  sequence: notify.cseq,
  skipped,
})
