/**
 * What the NOTIFYs of one change share: whoever prepares something for a document or a dialog finds the same object again.
 */
import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict"
import { describe, it } from "vitest"
import { makeEngine } from "../../../src/domain/engine/make-engine.ts"
import type { Command } from "../../../src/domain/presentity/commands.ts"
import { allowEveryone, defaultLimits } from "../../../src/domain/presentity/context.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { initial } from "../../../src/domain/presentity/state.ts"
import {
  accepted,
  alice,
  at,
  busy,
  delivery,
  dialogOf,
  open,
  publish,
  resubscribe,
  subscribe,
} from "../../support/builders.ts"
import { packages } from "../../support/stub-package.ts"

const start = () => {
  const engine = makeEngine<null>({
    packages,
    limits: { ...defaultLimits, notifyIntervalMillis: 0 },
    authorize: allowEveryone,
  })
  engine.load(initial(alice))
  let [now, count] = [at("10:00:00"), 0]
  const ask = (command: Command): readonly Notify[] => {
    engine.offer({ presentity: alice, command, origin: "", ticket: null }, ++now, () => `n${++count}`)
    if (engine.takeBatch(10) === null) return []
    const sent = engine.committed(new Set()).release.flatMap(({ notifications }) => notifications)
    for (const { no, cseq } of sent) ask(delivery(no, cseq, accepted()))
    return sent
  }
  return ask
}

describe("the NOTIFYs of one change", () => {
  it("show one document, with one entity-tag, to all that see the same", () => {
    const ask = start()
    for (const no of [1, 2, 3]) ask(subscribe({ dialog: dialogOf(no) }))
    const sent = ask(publish({ body: open }))
    strictEqual(sent.length, 3)
    deepStrictEqual(sent[0]?.body, open)
    for (const { body, entityTag } of sent) {
      strictEqual(body, sent[0]?.body)
      strictEqual(entityTag, sent[0]?.entityTag)
    }
    const next = ask(publish({ body: busy }))
    notStrictEqual(next[0]?.entityTag, sent[0]?.entityTag)
  })

  it("go in the same dialog, until its target moves again", () => {
    const ask = start()
    ask(subscribe())
    const [told] = ask(publish({ body: open }))
    const [first] = ask(resubscribe(1, { cseq: 2, remoteTarget: "sip:bob@192.0.2.21" }))
    const [second] = ask(publish({ body: busy }))
    deepStrictEqual(first?.dialog, { ...told?.dialog, remoteTarget: "sip:bob@192.0.2.21" })
    strictEqual(second?.dialog, first?.dialog)
    const [third] = ask(resubscribe(1, { cseq: 3, remoteTarget: "sip:bob@192.0.2.22" }))
    deepStrictEqual(third?.dialog, { ...told?.dialog, remoteTarget: "sip:bob@192.0.2.22" })
    // and back where it began
    const [fourth] = ask(resubscribe(1, { cseq: 4, remoteTarget: told?.dialog.remoteTarget ?? "" }))
    strictEqual(fourth?.dialog, told?.dialog)
  })
})
