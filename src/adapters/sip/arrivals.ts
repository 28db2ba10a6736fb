/**
 * What a request arrived on, as dialogs and their Contact have it.
 */
import { formatUri } from "./address-headers.ts"
import type { ReceivedOn } from "./decode-result.ts"
import type { SipOptions } from "./options.ts"
import type { LocalHosts } from "./transports/local-address.ts"
import type { Flow } from "./transports/transport.ts"
import { bracketed } from "./uri.ts"
import type { Target } from "./via.ts"

/** @returns a function of what the request came over, its source, and where its answer goes */
export const makeArrivals = (
  options: Pick<SipOptions, "contactUri" | "contactUser">,
  local: LocalHosts,
): ((flow: Flow, address: string, port: number, answeredTo: Target) => ReceivedOn) => {
  /** As many as there are own addresses. */
  const known = new Map<string, { readonly flow: string; readonly contact: string }>()
  return ({ transport, host, port: ownPort }, address, port, answeredTo) => {
    const ownHost = local.towards(host, address)
    const key = `${transport.name} ${ownHost} ${ownPort}`
    let own = known.get(key)
    if (own === undefined) {
      const printed = bracketed(ownHost)
      const user = options.contactUser ?? "presence"
      own = {
        flow: `${transport.name}:${printed}:${ownPort}`,
        contact: options.contactUri ?? formatUri(user, printed, ownPort, transport),
      }
      known.set(key, own)
    }
    return {
      transport,
      flow: own.flow,
      contact: own.contact,
      sourceAddress: address,
      sourcePort: port,
      answeredTo,
    }
  }
}
