/**
 * What the decoder of requests is told besides the message: where it came from, and the settings of a plain server.
 */
import { parameterizedNames } from "../../src/adapters/sip/headers.ts"
import { limitsDefault } from "../../src/adapters/sip/options.ts"
import { makePeers } from "../../src/adapters/sip/peers.ts"
import type { ReceivedOn } from "../../src/adapters/sip/decode-result.ts"
import type { RequestRules } from "../../src/adapters/sip/decode-request.ts"

export const arrival: ReceivedOn = {
  transport: "udp",
  flow: "udp:192.0.2.10:5060",
  contact: "sip:presence@192.0.2.10:5060",
  sourceAddress: "127.0.0.1",
  sourcePort: 5998,
}

export const requestRules: RequestRules = {
  limits: limitsDefault,
  serves: (host) => host === "example.com" || host === "192.0.2.10",
  isOwnAddress: (host, port) => host === "192.0.2.10" && port === 5060,
  authenticate: null,
  mayPublishFor: () => false,
  allowEvents: "presence",
  accept: ["application/pidf+xml"],
  register: null,
  forceActive: false,
  sharedLine: "contact",
  parameterized: parameterizedNames(["dialog;sla"]),
  trustSenderHeader: false,
  peers: makePeers([]),
  peerEvent: () => {},
  allowAnyContact: true,
  isNotifyTarget: () => false,
  udpMtuBytes: 1_300,
  carriedBy: new Map([["lines", ["Call-Info", "X-State"]]]),
  argumentOf: new Map([["seats", "X-State"]]),
  mintTag: () => "our-tag",
  policy: null,
}
