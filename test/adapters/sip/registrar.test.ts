/**
 * Bindings of a REGISTER, as far as sockets do not matter.
 */
import { deepStrictEqual } from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { limitsDefault } from "../../../src/adapters/sip/options.ts"
import { makeRegistrar } from "../../../src/adapters/sip/registrar.ts"
import type { Uri } from "../../../src/domain/vocabulary.ts"
import { read } from "../../support/sip-messages.ts"

describe("registrations", () => {
  it(
    "a lifetime is echoed as it was asked for, whatever fractions the clock has",
    { tags: ["3261-10.3"] },
    () => {
      fc.assert(
        fc.property(
          fc.nat(1_000_000_000).map((micros) => micros / 997),
          fc.integer({ min: 60, max: 3600 }),
          (now, seconds) => {
            const register = makeRegistrar(limitsDefault, 3600, () => now)
            const message = read(
              "REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n" +
                "From: <sip:a@example.com>;tag=1\r\nTo: <sip:a@example.com>\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n" +
                `Contact: <sip:a@192.0.2.1>\r\nExpires: ${seconds}\r\nContent-Length: 0\r\n\r\n`,
            )
            const { headers } = register(message!, "sip:a@example.com" as Uri)
            deepStrictEqual(headers, `Contact: <sip:a@192.0.2.1>;expires=${seconds}\r\n`)
          },
        ),
      )
    },
  )
})
