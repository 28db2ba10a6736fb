import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { DialogInfo, DialogState } from "../../../src/domain/packages/dialog-info.ts"
import {
  dialogPresenceTexts,
  presenceOfDialogs,
  withDialogs,
} from "../../../src/domain/packages/dialog-presence.ts"
import { attribute, canonical } from "../../../src/domain/packages/element.ts"
import type { Pidf } from "../../../src/domain/packages/pidf.ts"
import * as dialogs from "../../support/dialog-info.ts"
import * as presence from "../../support/xml-pidf.ts"

const { anyDialogInfo, dialog, partial, read, states, written } = dialogs
const { all, anyPidf, composed, inside, plain, sources } = presence

const call = (state: DialogState, id = "1"): DialogInfo => read(written(dialog(id, state, `c${id}`)))
const shown = (document: Pidf | null): string | null =>
  document === null ? null : inside(plain.render(document).text)
const tuple = (note: string): string =>
  `<tuple id="tuple_mixingid"><status><basic>open</basic></status><note>${note}</note></tuple>`
const onThePhone =
  `${tuple("On the phone")}<dm:person id="pers_mixingid"><rpid:activities><rpid:on-the-phone/></rpid:activities>` +
  "<dm:note>On the phone</dm:note></dm:person>"
const ringing = (note: string): string =>
  `${tuple(note)}<dm:person id="pers_mixingid"><dm:note>${note}</dm:note></dm:person>`

describe("what calls contribute", () => {
  it("one ringing dialog in the only publication is open, not closed", { tags: ["BUG-14"] }, () => {
    const text = shown(presenceOfDialogs([call("early")]))
    expect(text).toBe(ringing("Ringing"))
    expect(text).not.toContain("closed")
    // a proxy says so in a partial document
    expect(shown(presenceOfDialogs([read(partial(dialog("1", "early")))]))).toBe(text)
  })

  it("a call that is talked on is on the phone, one that begins is not", { tags: ["AGG-5"] }, () => {
    expect(shown(presenceOfDialogs([call("confirmed")]))).toBe(onThePhone)
    expect(shown(presenceOfDialogs([call("proceeding")]))).toBe(ringing("Proceeding"))
    expect(shown(presenceOfDialogs([call("trying")]))).toBe(ringing("Proceeding"))
  })

  it("without a live call there is no contribution", { tags: ["AGG-5"] }, () => {
    expect(presenceOfDialogs([])).toBe(null)
    expect(presenceOfDialogs([read(written(""))])).toBe(null)
    expect(presenceOfDialogs([call("terminated"), call("terminated", "2")])).toBe(null)
  })

  it("texts can be chosen, an empty one leaves the note out", { tags: ["AGG-5"] }, () => {
    const texts = { ...dialogPresenceTexts, confirmed: "besetzt <1>", early: "" }
    expect(shown(presenceOfDialogs([call("confirmed")], texts))).toContain(
      "<dm:note>besetzt &lt;1&gt;</dm:note>",
    )
    expect(shown(presenceOfDialogs([call("early")], texts))).toBe(
      '<tuple id="tuple_mixingid"><status><basic>open</basic></status></tuple><dm:person id="pers_mixingid"/>',
    )
  })

  it(
    "over all dialogs of all bodies confirmed counts before ringing and that before trying",
    { tags: ["AGG-5"] },
    () => {
      const rank = ["confirmed", "early", "proceeding", "trying"] as const
      const anyStates = fc.array(fc.array(fc.constantFrom(...states), { maxLength: 3 }), { maxLength: 3 })
      fc.assert(
        fc.property(anyStates, (bodies) => {
          let id = 0
          const documents = bodies.map((body) =>
            read(written(body.map((state) => dialog(`${(id += 1)}`, state, `c${id}`)).join(""))),
          )
          const foremost = rank.find((state) => bodies.flat().includes(state))
          expect(shown(presenceOfDialogs(documents))).toBe(
            foremost === undefined ? null : shown(presenceOfDialogs([call(foremost)])),
          )
        }),
      )
    },
  )

  it(
    "a call that another publication says is over contributes nothing, in any order",
    { tags: ["BUG-25"] },
    () => {
      const both = [call("terminated"), call("confirmed")]
      expect(presenceOfDialogs(both)).toBe(null)
      expect(presenceOfDialogs(both.toReversed())).toBe(null)
      expect(shown(presenceOfDialogs([...both, call("trying", "2")]))).toBe(ringing("Proceeding"))
    },
  )

  it("what is contributed is a presence document, whatever the calls", { tags: ["3863-4.1.1-a"] }, () => {
    fc.assert(
      fc.property(fc.array(anyDialogInfo(), { maxLength: 4 }), (documents) => {
        const contribution = presenceOfDialogs(documents)
        fc.pre(contribution !== null)
        const again = presence.read(plain.render(contribution).text)
        expect(all(again).map(canonical)).toEqual(all(contribution).map(canonical))
      }),
    )
  })

  it(
    "taken as one publication more, the contribution stands beside what was published",
    { tags: ["AGG-5"] },
    () => {
      const contribution = presenceOfDialogs([call("confirmed")])
      const published = presence.read(presence.written('<tuple id="a"/><note>at work</note>'))
      const document = composed(plain, sources(contribution === null ? [] : [published, contribution]))
      expect(document.tuples.map((one) => attribute(one, "id"))).toEqual(["a", "tuple_mixingid"])
    },
  )
})

describe("one document", () => {
  const mixed = (text: string, state: DialogState = "confirmed"): string | null =>
    shown(withDialogs(presence.read(presence.written(text)), presenceOfDialogs([call(state)])))
  const busy = "<rpid:on-the-phone/>"

  it("without a contribution, or without a document, the other stands alone", { tags: ["AGG-5"] }, () => {
    const contribution = presenceOfDialogs([call("confirmed")])
    const document = presence.read(presence.written('<tuple id="a"/>'))
    expect(withDialogs(null, contribution)).toBe(contribution)
    expect(withDialogs(document, null)).toBe(document)
    expect(withDialogs(null, null)).toBe(null)
  })

  it("with no person published there is one, with one published there is one", { tags: ["AGG-5"] }, () => {
    expect(mixed('<tuple id="a"/>')).toBe(`<tuple id="a"/>${onThePhone}`)
    expect(mixed('<dm:person id="p"/>')).toBe(
      `${tuple("On the phone")}<dm:person id="p"><rpid:activities>${busy}</rpid:activities><dm:note>On the phone</dm:note></dm:person>`,
    )
    expect(mixed('<dm:person id="p"/>', "early")).toBe(
      `${tuple("Ringing")}<dm:person id="p"><dm:note>Ringing</dm:note></dm:person>`,
    )
  })

  it(
    "activities are merged, notes come before the timestamp, nothing is said twice",
    { tags: ["AGG-5"] },
    () => {
      const person = (activities: string, notes: string): string =>
        `<dm:person id="p"><r:activities>${activities}</r:activities>${notes}<dm:timestamp>2026-01-01T10:00:00Z</dm:timestamp></dm:person>`
      const expected = (activities: string, notes: string): string =>
        `${tuple("On the phone")}${person(activities, notes)}`
      const told = "<dm:note>On the phone</dm:note>"
      expect(mixed(person("<r:meeting/>", ""))).toBe(expected("<r:meeting/><r:on-the-phone/>", told))
      expect(mixed(person("<r:unknown/>", ""))).toBe(expected("<r:on-the-phone/>", told))
      expect(mixed(person("<r:on-the-phone/>", "<dm:note>Away</dm:note>"))).toBe(
        expected("<r:on-the-phone/>", `<dm:note>Away</dm:note>${told}`),
      )
      expect(mixed(person("<r:on-the-phone/>", told))).toBe(expected("<r:on-the-phone/>", told))
    },
  )

  it("of several persons the newest; what took our ids gives way", { tags: ["AGG-5"] }, () => {
    expect(mixed('<dm:person id="p"/><dm:person id="q"/>', "early")).toBe(
      `${tuple("Ringing")}<dm:person id="p"/><dm:person id="q"><dm:note>Ringing</dm:note></dm:person>`,
    )
    expect(mixed('<tuple id="tuple_mixingid"/><dm:device id="pers_mixingid"/>', "early")).toBe(
      ringing("Ringing"),
    )
  })

  it(
    "mixing twice is mixing once, ids stay distinct, and what was published stays",
    { tags: ["L21"] },
    () => {
      fc.assert(
        fc.property(anyPidf(), fc.constantFrom(...states), (published, state) => {
          const contribution = presenceOfDialogs([call(state)])
          const document = withDialogs(published, contribution)
          expect(withDialogs(document, contribution)).toEqual(document)
          const ids = (of: Pidf | null) =>
            of === null ? [] : presence.identified(of).map((one) => attribute(one, "id"))
          expect(new Set(ids(document)).size).toBe(ids(document).length)
          expect(ids(document)).toEqual(expect.arrayContaining(ids(published)))
          expect([document?.notes, document?.others]).toEqual([published.notes, published.others])
          expect(document?.persons.slice(0, -1).slice(0, published.persons.length - 1)).toEqual(
            published.persons.slice(0, -1),
          )
        }),
      )
    },
  )
})
