/**
 * What the decoder of requests needs besides the message: where it came from, and the settings of a plain server.
 */
import { parseAddress } from "../../src/adapters/sip/address-headers.ts"
import { checkRequest, decodeRequest } from "../../src/adapters/sip/decode-request.ts"
import type { DecodeResult, ReceivedOn } from "../../src/adapters/sip/decode-result.ts"
import { prepareDialog } from "../../src/adapters/sip/format-notify.ts"
import { parameterizedNames } from "../../src/adapters/sip/headers.ts"
import type { RawMessage } from "../../src/adapters/sip/message-reader.ts"
import { limitsDefault } from "../../src/adapters/sip/options.ts"
import { makePeers } from "../../src/adapters/sip/peers.ts"
import type { RequestRules } from "../../src/adapters/sip/request-rules.ts"
import { transports } from "../../src/adapters/sip/transports/transports.ts"
import { udp } from "../../src/adapters/sip/transports/udp.ts"

export const arrival: ReceivedOn = {
  transport: udp,
  flow: "udp:192.0.2.10:5060",
  contact: "sip:presence@192.0.2.10:5060",
  sourceAddress: "127.0.0.1",
  sourcePort: 5998,
}

export const requestRules: RequestRules = {
  limits: limitsDefault,
  transports,
  prepareDialog,
  serves: (host) => host === "example.com" || host === "192.0.2.10",
  isOwnHost: (host) => host === "192.0.2.10",
  isOwnAddress: (host, port) => host === "192.0.2.10" && port === 5060,
  authenticate: null,
  mayPublishFor: () => false,
  allowEvents: "presence",
  accept: ["application/pidf+xml"],
  register: null,
  forceActive: false,
  parameterized: parameterizedNames(["dialog;sla"]),
  trustSenderHeader: false,
  keptOfRequests: "none",
  peers: makePeers([]),
  peerEvent: () => {},
  allowAnyContact: true,
  isNotifyTarget: () => false,
  notifyTo: null,
  udpMtuBytes: 1_300,
  carriedHeaders: new Map([["lines", ["Call-Info", "X-State"]]]),
  presentityOf: () => undefined,
  argumentHeaders: new Map([["seats", "X-State"]]),
  mintTag: () => "our-tag",
  readParameters: () => undefined,
  requestTypes: () => undefined,
  deviceRecognition: "none",
  needsOf: () => undefined,
  profileOf: () => null,
  registered: null,
  boundFor: null,
  registeredName: (name) => name,
  policy: null,
}

/** Takes a request through its checks to the result. @param isMerged whether it has already arrived by another path */
export const decodeMessage = (
  message: RawMessage,
  on: ReceivedOn = arrival,
  rules: RequestRules = requestRules,
  isMerged = false,
): DecodeResult => {
  const checked = checkRequest(message, parseAddress(message.to), rules)
  return checked._tag === "Checked"
    ? decodeRequest(checked, on, rules, isMerged && checked.mergeKey !== null)
    : checked
}
