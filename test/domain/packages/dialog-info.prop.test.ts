/**
 * Laws of dialog information: reading, composing, amending, telling what changed; over random documents.
 */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { dialogInfo, dialogInfoNamespace } from "../../../src/domain/packages/dialog-info.ts"
import type { DialogInfo, DialogState } from "../../../src/domain/packages/dialog-info.ts"
import { canonical } from "../../../src/domain/packages/element.ts"
import * as dialogs from "../../support/dialog-info.ts"
import { anyChoices, anyText, writeOtherwise } from "../../support/xml-arbitraries.ts"
import { malformed, oversized } from "../../support/xml-corpus.ts"

const { afterReading, alice, amended, anyDialogInfo, anyDisjoint, bodyOf, composed, difference } = dialogs
const { meaning, partial, personal, plain, read, states, summary, written } = dialogs

const anyPublications = fc.array(anyDialogInfo(), { maxLength: 5 })
const single = dialogInfo({ xml: xmlCodec, forceSingleDialog: true })
const silent = dialogInfo({ xml: xmlCodec, generateTerminated: false })
const rendered = (of: DialogInfo): string => plain.render(of).text
const bag = (of: DialogInfo): readonly string[] => of.dialogs.map((one) => canonical(one.element)).toSorted()

describe("reading", () => {
  it("what was rendered reads the same, but for the version", { tags: ["4235-4.1-a"] }, () => {
    fc.assert(
      fc.property(anyDialogInfo(), (document) => {
        const again = read(rendered(document))
        expect(meaning(again)).toEqual(meaning(document))
        expect(again.version).toBe(null)
        expect(rendered(again)).toBe(rendered(read(rendered(again))))
      }),
    )
  })

  it(
    "prefixes, quotes, references and the order of attributes do not count",
    { tags: ["4235-4.1-a"] },
    () => {
      fc.assert(
        fc.property(anyDialogInfo(), anyChoices, (document, choose) => {
          const tree = xmlCodec.parse(rendered(document))
          if (tree._tag === "Malformed") throw new Error(tree.why)
          expect(meaning(read(writeOtherwise(tree.root, choose)))).toEqual(meaning(document))
        }),
      )
    },
  )

  it("any text is read or refused with a reason", { tags: ["4235-4.1-a"] }, () => {
    const judged = (text: string): void => {
      const parsed = plain.parse(bodyOf(text))
      const words = parsed._tag === "Unreadable" ? [parsed.why] : parsed.document.dialogs.map(({ id }) => id)
      expect(words).not.toContain("")
    }
    for (const [, text] of [...malformed, ...oversized]) {
      judged(text)
      judged(written(text))
      judged(written(`<dialog id="${text}"><state>${text}</state></dialog>`))
    }
    const anySpoilt = fc
      .tuple(anyDialogInfo(), fc.nat(), fc.nat({ max: 9 }), anyText)
      .map(([document, at, length, text]) => {
        const whole = rendered(document)
        const from = at % whole.length
        return whole.slice(0, from) + text + whole.slice(from + length)
      })
    fc.assert(fc.property(fc.oneof(anyText, anySpoilt), judged), { numRuns: 500 })
  })
})

describe("composition", () => {
  it("one publication composes to itself, but for the frame's own words", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyDialogInfo(), (document) => {
        const alone = { ...document, entity: alice, state: "full", version: null }
        expect(composed(plain, [document])).toEqual(alone)
      }),
    )
  })

  it(
    "composing what was composed changes nothing, and the same document twice adds nothing",
    { tags: ["L21"] },
    () => {
      fc.assert(
        fc.property(anyPublications, (documents) => {
          for (const eventPackage of [plain, single]) {
            const once = composed(eventPackage, documents)
            expect(composed(eventPackage, [once])).toEqual(once)
            expect(composed(eventPackage, [once, once]).dialogs).toEqual(once.dialogs)
          }
        }),
      )
    },
  )

  it("publications that share no dialog compose to the same dialogs in any order", { tags: ["L21"] }, () => {
    fc.assert(
      fc.property(anyDisjoint, fc.nat({ max: 2 }), (documents, turn) => {
        const turned = [...documents.slice(turn), ...documents.slice(0, turn)]
        expect(bag(composed(plain, turned))).toEqual(bag(composed(plain, documents)))
      }),
    )
  })

  it("order is that of the log, oldest content first, and each id is there once", { tags: ["AGG-1"] }, () => {
    fc.assert(
      fc.property(anyPublications, (documents) => {
        const shown = composed(plain, documents).dialogs
        const published = documents.flatMap((one) => one.dialogs)
        expect(shown.map(({ id }) => id).toSorted()).toEqual(
          [...new Set(published.map(({ id }) => id))].toSorted(),
        )
        let from = 0
        for (const one of shown) {
          const at = published.indexOf(one, from)
          expect(at).not.toBe(-1)
          from = at + 1
        }
      }),
    )
  })

  it("when no dialog is over, exactly the newest of each id is shown", { tags: ["AGG-1"] }, () => {
    const anyLive = anyDialogInfo().map((one) => ({
      ...one,
      dialogs: one.dialogs.filter(({ state }) => state !== "terminated"),
    }))
    fc.assert(
      fc.property(fc.array(anyLive, { maxLength: 5 }), (documents) => {
        const last = new Map(documents.flatMap((one) => one.dialogs.map((it) => [it.id, it] as const)))
        expect(bag(composed(plain, documents))).toEqual(
          [...last.values()].map((one) => canonical(one.element)).toSorted(),
        )
      }),
    )
  })

  it(
    "a dialog is shown alive only if no publication says that this call is over",
    { tags: ["BUG-25"] },
    () => {
      const anyKnown = anyDialogInfo({ callIds: ["1", "2"] })
      fc.assert(
        fc.property(fc.array(anyKnown, { maxLength: 5 }), (documents) => {
          const name = ({ id, callId, remoteTag }: DialogInfo["dialogs"][number]): string =>
            `${id} ${callId} ${remoteTag}`
          const over = documents
            .flatMap((one) => one.dialogs)
            .filter(({ state }) => state === "terminated")
            .map(name)
          const alive = composed(plain, documents).dialogs.filter(({ state }) => state !== "terminated")
          for (const dialog of alive) expect(over).not.toContain(name(dialog))
        }),
      )
    },
  )

  it(
    "what ended is shown terminated once, unless it is still published or not wanted",
    { tags: ["AGG-3"] },
    () => {
      fc.assert(
        fc.property(anyPublications, anyPublications, (documents, ended) => {
          const live = composed(plain, documents)
          const parting = composed(plain, documents, ended)
          const shown = new Set(live.dialogs.map(({ id }) => id))
          const added = parting.dialogs.filter(({ id }) => !shown.has(id))
          expect(parting.dialogs.filter(({ id }) => shown.has(id))).toEqual(live.dialogs)
          expect(new Set(added.map(({ state }) => state))).toEqual(
            new Set(added.length === 0 ? [] : ["terminated"]),
          )
          const gone = ended.flatMap((one) => one.dialogs.map(({ id }) => id)).filter((id) => !shown.has(id))
          expect(added.map(({ id }) => id).toSorted()).toEqual([...new Set(gone)].toSorted())
          expect(composed(silent, documents, ended)).toEqual(live)
        }),
      )
    },
  )

  it("one dialog of the highest rank, the newest of its like", { tags: ["OPS-force_single_dialog"] }, () => {
    const rank = ["terminated", "trying", "proceeding", "confirmed", "early"]
    fc.assert(
      fc.property(anyPublications, (documents) => {
        const all = composed(plain, documents).dialogs
        const highest = Math.max(...all.map(({ state }) => rank.indexOf(state)))
        const best = all.findLast(({ state }) => rank.indexOf(state) === highest)
        expect(composed(single, documents).dialogs).toEqual(best === undefined ? [] : [best])
      }),
    )
  })
})

describe("one call", () => {
  const permutations = <T>(of: readonly T[]): readonly (readonly T[])[] =>
    of.length < 2
      ? [of]
      : of.flatMap((first, index) => permutations(of.toSpliced(index, 1)).map((rest) => [first, ...rest]))

  const arrivals = permutations(states)

  const documents = (
    kind: "full" | "partial",
    callId: string | null,
  ): ReadonlyMap<DialogState, DialogInfo> => {
    const text = kind === "full" ? written : partial
    return new Map(states.map((state) => [state, read(text(dialogs.dialog("d", state, callId)))]))
  }

  it.each(["full", "partial"] as const)(
    "once terminated, always terminated: every order in which publications of a call's states may come, %s",
    { tags: ["BUG-25"] },
    (kind) => {
      const known = documents(kind, "c1")
      for (const order of arrivals) {
        const over = order.indexOf("terminated")
        const seen = order.map((_, last) =>
          summary(
            composed(
              plain,
              order.slice(0, last + 1).map((state) => known.get(state)!),
            ),
          ).join(),
        )
        expect(seen).toEqual(order.map((state, at) => `d ${at < over ? state : "terminated"} c1`))
      }
    },
  )

  it.each([null, "park@pbx"])(
    "in one publication the order of its entity-tags holds, with Call-ID %s",
    { tags: ["4235-4.1.1-a"] },
    (callId) => {
      for (const kind of ["full", "partial"] as const) {
        const known = documents(kind, callId)
        for (const order of arrivals) {
          let content: DialogInfo | null = null
          const seen = order.map((state) => {
            const next = known.get(state)!
            content = content === null ? next : amended(content, next)
            return summary(composed(plain, [content])).join()
          })
          expect(seen).toEqual(order.map((state) => `d ${state}${callId === null ? "" : ` ${callId}`}`))
        }
      }
    },
  )

  it("logs without the order of publications show what they showed", { tags: ["L03"] }, () => {
    const shown = (...texts: readonly string[]): readonly string[] => {
      const document = dialogs.composedUnordered(
        plain,
        texts.map((text) => read(text)),
      )
      return document === null ? [] : summary(document)
    }
    const idle = written(dialogs.dialog("103", "terminated"))
    expect(shown(idle, written(dialogs.dialog("103", "confirmed")))).toEqual(["103 terminated"])
    const described =
      '<dialog id="1"><state>early</state><local><session-description type="application/sdp">v=0</session-description></local></dialog>'
    const [kept] = [dialogs.composedUnordered(plain, [read(written(described))])]
    expect(kept === null ? "" : plain.render(kept).text).toContain("v=0")
  })
})

describe("amending", () => {
  it("a full modification replaces, a second time as well", { tags: ["4235-4.1-a"] }, () => {
    fc.assert(
      fc.property(anyDialogInfo(), anyDialogInfo({ state: "full", callIds: [null, ""] }), (before, after) => {
        expect(amended(before, after)).toEqual(after)
        expect(amended(amended(before, after), after)).toEqual(after)
      }),
    )
  })

  it("a partial modification changes what it names and leaves the rest", { tags: ["4235-4.1-a"] }, () => {
    fc.assert(
      fc.property(
        anyDialogInfo(),
        anyDialogInfo({ state: "partial", callIds: [null] }),
        (before, changes) => {
          const after = amended(before, changes)
          const named = new Set(changes.dialogs.map(({ id }) => id))
          expect(after.state).toBe("full")
          expect(after.dialogs).toEqual([
            ...before.dialogs.filter(({ id }) => !named.has(id)),
            ...changes.dialogs,
          ])
          expect(amended(after, changes)).toEqual(after)
        },
      ),
    )
  })

  it(
    "a reader of all modifications knows what a reader of the amended document knows",
    { tags: ["4235-4.3-a"] },
    () => {
      const quiet = anyDialogInfo({ framed: false, callIds: [null] })
      fc.assert(
        fc.property(fc.array(quiet, { minLength: 1, maxLength: 5 }), (modifications) => {
          const [first, ...rest] = modifications
          if (first === undefined) return
          const whole = rest.reduce(amended, first)
          const told = rest.reduce(afterReading, afterReading(new Map(), first))
          expect(afterReading(new Map(), whole)).toEqual(told)
        }),
      )
    },
  )
})

describe("what changed", () => {
  const anyBare = anyDialogInfo({ framed: false })
  const anySome = fc.array(fc.oneof({ weight: 9, arbitrary: anyBare }, anyDialogInfo()), { maxLength: 3 })
  const anyPair = fc
    .tuple(anySome, anySome, anySome)
    .map(([first, second, ended]) => [composed(plain, first), composed(plain, second, ended)] as const)

  it("whoever knows one document and reads the difference knows the other", { tags: ["4235-3.7-a"] }, () => {
    let told = 0
    fc.assert(
      fc.property(fc.oneof(anyPair, fc.tuple(anyBare, anyBare)), ([before, after]) => {
        const partly = difference(before, after)
        if (partly === null) return
        told += 1
        expect(partly.state).toBe("partial")
        const known = afterReading(new Map(), { ...before, state: "full" })
        expect(afterReading(known, read(rendered(partly)))).toEqual(
          afterReading(new Map(), { ...after, state: "full" }),
        )
      }),
      { numRuns: 500 },
    )
    expect(told).toBeGreaterThan(50)
  })

  it(
    "nothing is said that was known, and there is a difference whenever calls alone changed",
    { tags: ["4235-3.7-a"] },
    () => {
      fc.assert(
        fc.property(anyBare, anyBare, (before, after) => {
          const known = new Set(bag(before))
          const partly = difference(before, after)
          for (const one of partly === null ? [] : bag(partly)) expect(known).not.toContain(one)
          const table = (of: DialogInfo) => afterReading(new Map(), { ...of, state: "full" })
          expect(table(after)).toEqual(partly === null ? table(before) : afterReading(table(before), partly))
          expect(difference(after, after)).toBe(null)
        }),
      )
    },
  )
})

describe("versions", () => {
  const anyVersion = fc.oneof(fc.constantFrom(0, 1, 9, 10, 0xffff_fffe, 0xffff_ffff), fc.nat())

  it("a document with its version says that version and the same as before", { tags: ["4235-4.1-a"] }, () => {
    fc.assert(
      fc.property(anyDialogInfo(), anyVersion, (document, version) => {
        const body = personal(plain.render(document), version)
        expect(body.contentType).toBe("application/dialog-info+xml")
        expect({ ...read(body.text), attributes: null, dialogs: null, others: null }).toEqual({
          entity: document.entity,
          state: document.state,
          version,
          attributes: null,
          dialogs: null,
          others: null,
        })
        expect(meaning(read(body.text))).toEqual(meaning(document))
      }),
    )
  })

  it("before that, documents that differ in version only are one body", { tags: ["4235-4.1-a"] }, () => {
    fc.assert(
      fc.property(anyDialogInfo(), anyVersion, anyVersion, (document, one, other) => {
        expect(plain.render({ ...document, version: one })).toEqual(
          plain.render({ ...document, version: other }),
        )
      }),
    )
  })

  it("what looks like the place of the version is left alone elsewhere", { tags: ["4235-4.1-a"] }, () => {
    const lookalike = ' version="0000000000"'
    const text = `<dialog-info xmlns="${dialogInfoNamespace}" xmlns:version="0000000000" version:version="0000000000" entity='sip:a@b${lookalike}' extra='${lookalike}'><dialog id='${lookalike}'><state>early</state>${lookalike}</dialog></dialog-info>`
    const document = read(text)
    const numbered = read(personal(plain.render(document), 7).text)
    expect(meaning(numbered)).toEqual(meaning(document))
    expect(numbered.version).toBe(7)
  })
})
