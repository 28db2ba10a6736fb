/**
 * Notifications on their way to the watchers of this program, and what else is told of as it happens.
 */
import type { CommittedDecision } from "../../domain/engine/engine.ts"
import type { Packages } from "../../domain/packages/event-package.ts"
import { isWithinProgram } from "../../domain/presentity/abandon.ts"
import type { Decision } from "../../domain/presentity/events.ts"
import type { Notify } from "../../domain/presentity/intents.ts"
import type { Notification } from "./requests.ts"
import { makeSkips } from "./skips.ts"

/** Where one watcher's notifications go. It is told of a later change only after it called `taken`. */
export type Sink = (notification: Notification, taken: () => void) => void

export interface Observer {
  readonly decided?: (decision: Decision) => void
  readonly notified?: (notification: Notification) => void
}

export interface Delivery {
  /** Hands notifications over. */
  readonly notify: (notifications: readonly Notify[]) => void
  /** Tells of decisions that are committed, before the notifications that follow from them. */
  readonly stored: (stored: readonly CommittedDecision[]) => void
  /** Notifications of the dialog with that Call-ID go there. */
  readonly connect: (callId: string, sink: Sink) => void
  readonly disconnect: (callId: string) => void
  /** Every committed decision and every notification, from now on. @returns what ends it */
  readonly observe: (observer: Observer) => () => void
}

/** What the engine is told of a notification. */
export interface DeliveryReports {
  /** Its watcher has it. */
  readonly taken: (notify: Notify) => void
  /** Nobody is there any more: the subscription ends. */
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
      // the request was given up and is stored all the same, or the watcher is of an earlier process: nobody is there. Of a
      // watcher that is somewhere else nobody here knows
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
