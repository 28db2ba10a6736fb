/** How a NOTIFY can end. */
import type { Seconds } from "../vocabulary.ts"
import type { TriedTarget } from "./target-events.ts"

/** How NOTIFYs end, with the places of the next hop that failed before that. */
export type DeliveryOutcome = Ended & { readonly tried?: readonly TriedTarget[] }

type Ended =
  /** A 2xx; `remoteTarget` is the URI in its Contact, if it has one (RFC 3261 §12.2.1.2). */
  | {
      readonly _tag: "Accepted"
      readonly remoteTarget: string | null
      /**
       * The address to which the name of the next hop resolved: `udp:192.0.2.20:5060`. Absent: the next hop is not a
       * name, or the address is already known.
       */
      readonly address?: string
    }
  /**
   * Not sent, because its target is unproven. With `room`: it was sent there with its document, had no response for
   * 16·T1, and cannot be sent again, while a NOTIFY without the document can.
   */
  | { readonly _tag: "Unproven"; readonly room?: 0 }
  /** A final response other than 2xx; `retryAfter` in seconds. */
  | {
      readonly _tag: "Refused"
      readonly status: number
      readonly retryAfter: Seconds | null
      /** A challenge that can be answered: the next NOTIFY in this dialog carries credentials. Absent: it cannot. */
      readonly credentials?: true
    }
  /** No final response in 64·T1. */
  | { readonly _tag: "TimedOut" }
  /** It could not be sent at all. */
  | { readonly _tag: "Unreachable" }
  /**
   * The connection by which the watcher last spoke is gone, and there is no other way to it: it is notified when it is
   * heard of again.
   */
  | { readonly _tag: "FlowLost" }
  /** It is larger than a datagram can be, and no stream to its target could be opened. */
  | { readonly _tag: "TooLarge" }
