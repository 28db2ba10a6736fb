/**
 * What registrations publish when entity-tags are lost: after a restart, or because somebody removed the publication.
 */
import { deepStrictEqual, strictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import type { Binding } from "../../../src/adapters/sip/registrar.ts"
import { makeRegistrations } from "../../../src/adapters/sip/registrations.ts"
import type { RegistrationStep } from "../../../src/adapters/sip/registrations.ts"
import type { Answer, Publish } from "../../../src/domain/presentity/commands.ts"
import type { EntityTag, Uri } from "../../../src/domain/vocabulary.ts"

const alice = "sip:alice@example.com" as Uri
const binding = (expiresAtMs: number): Binding => ({
  uri: "sip:desk@192.0.2.9",
  canonical: "sip:desk@192.0.2.9",
  parameters: "",
  expiresAtMs,
  callId: "c",
  cseq: 1,
})
const stored = (tag: string, expires: number): Answer => ({
  _tag: "Accepted",
  reply: { _tag: "Published", entityTag: tag as EntityTag, expires },
})
const gone: Answer = { _tag: "Rejected", rejection: { _tag: "ConditionalRequestFailed", status: 412 } }
const inShort = (command: RegistrationStep["command"]): string =>
  command._tag === "Publish" ? publicationInShort(command) : command._tag
const publicationInShort = ({ ifMatch, expires, body, device }: Publish): string =>
  `${ifMatch.join() || "new"} ${expires} ${/<basic>(\w+)/.exec(body?.text ?? "")?.[1] ?? "no body"} ${device ?? ""}`.trim()

describe("registrations", () => {
  it("renews what it published, replaces what it lost, and removes it in the end", () => {
    let now = 0
    const { after } = makeRegistrations(["presence"], () => now, 3_600_000)
    const [first] = after(alice, [binding(300_000)])
    strictEqual(inShort(first!.command), "new 300 open registrar")
    strictEqual(first!.answered(stored("t1", 300)), null)
    deepStrictEqual(after(alice, [binding(300_000)]), [])
    now = 100_000
    const [renewed] = after(alice, [binding(400_000)])
    strictEqual(inShort(renewed!.command), "t1 300 no body")
    strictEqual(inShort(renewed!.answered(gone)!), "new 300 open registrar")
    renewed!.answered(stored("t2", 300))
    const [removed] = after(alice, [])
    strictEqual(inShort(removed!.command), "t2 0 no body")
    strictEqual(removed!.answered(gone), null)
  })

  it("shows the end of a registration that an earlier life of the server published, as long as there may be one", () => {
    let now = 0
    const { after } = makeRegistrations(["presence"], () => now, 3_600_000)
    const [ended] = after(alice, [])
    strictEqual(inShort(ended!.command), "new 60 closed registrar")
    const tooShort: Answer = {
      _tag: "Rejected",
      rejection: { _tag: "IntervalTooBrief", status: 423, minExpires: 120 },
    }
    strictEqual(inShort(ended!.answered(tooShort)!), "new 120 closed registrar")
    now = 3_600_001
    deepStrictEqual(after(alice, []), [])
  })

  it("takes up what is granted for less time than the binding lasts", () => {
    let now = 0
    const { after, due } = makeRegistrations(["presence"], () => now, 3_600_000)
    const held = [binding(300_000)]
    after(alice, held)[0]!.answered(stored("t1", 60))
    deepStrictEqual(
      due(() => held),
      [],
    )
    now = 50_000
    deepStrictEqual(
      due(() => held).map(([who, { command }]) => `${who} ${inShort(command)}`),
      [`${alice} t1 250 no body`],
    )
    now = 300_000
    deepStrictEqual(
      due(() => []),
      [],
    )
    deepStrictEqual(
      due(() => held),
      [],
    )
  })
})
