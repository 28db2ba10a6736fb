/**
 * Through which socket a NOTIFY leaves: the one that its SUBSCRIBE came in on.
 */
import { assert, describe, it } from "vitest"
import { prepareDialog } from "../../../src/adapters/sip/format-notify.ts"
import { listenerFor } from "../../../src/adapters/sip/notify-delivery.ts"
import type { OutgoingNotify } from "../../../src/adapters/sip/notify-delivery.ts"
import type { Flow } from "../../../src/adapters/sip/transports/transport.ts"
import { udp } from "../../../src/adapters/sip/transports/udp.ts"
import type { DialogStart } from "../../../src/domain/vocabulary.ts"

const socket = (host: string, port = 5060): Flow => ({ transport: udp, host, port, send: () => {} })

/** The host and port that are chosen for a dialog that came in on `flow`. */
const chosen = (flow: string, listeners: readonly Flow[], address = "10.9.9.9"): string | null => {
  const dialog: DialogStart = {
    callId: "c",
    localTag: "l",
    remoteTag: "r",
    localUri: "<sip:a@b>",
    remoteUri: "<sip:c@d>",
    remoteTarget: `sip:c@${address}`,
    routeSet: [],
    remoteCseq: 1,
    localContact: "sip:a@10.0.0.1",
    flow,
    source: `${address}:5060`,
  }
  const outgoing = { prepared: prepareDialog(dialog) } as OutgoingNotify
  const listener = listenerFor(listeners, outgoing, address)
  return listener === null ? null : `${listener.host} ${listener.port}`
}

describe("the socket of a NOTIFY", () => {
  it("is the one whose address and port the dialog names, also when another address begins with it", () => {
    const listeners = [socket("10.0.0.1"), socket("10.0.0.11"), socket("10.0.0.1", 5070)]
    assert.strictEqual(chosen("udp:10.0.0.11:5060", listeners), "10.0.0.11 5060")
    assert.strictEqual(chosen("udp:10.0.0.1:5060", listeners), "10.0.0.1 5060")
    assert.strictEqual(chosen("udp:10.0.0.1:5070", listeners), "10.0.0.1 5070")
  })

  it("is an IPv6 socket by its address without brackets", () => {
    const listeners = [socket("2001:db8::1"), socket("2001:db8::11"), socket("10.0.0.1")]
    assert.strictEqual(chosen("udp:[2001:db8::11]:5060", listeners, "2001:db8::9"), "2001:db8::11 5060")
  })

  it("is one of the same family and port when that of the dialog is gone, or bound to all addresses", () => {
    const listeners = [socket("::"), socket("0.0.0.0", 5070), socket("0.0.0.0")]
    assert.strictEqual(chosen("udp:10.0.0.1:5060", listeners), "0.0.0.0 5060")
    assert.strictEqual(chosen("udp:10.0.0.1:7777", listeners), "0.0.0.0 5070")
    assert.isNull(chosen("udp:10.0.0.1:5060", [socket("::")]))
  })
})
