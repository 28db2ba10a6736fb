import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { dialogInfo, dialogInfoNamespace } from "../../../src/domain/packages/dialog-info.ts"
import { attribute, canonical } from "../../../src/domain/packages/element.ts"
import * as dialogs from "../../support/dialog-info.ts"

const { alice, amended, composed, dialog, difference, partial, personal } = dialogs
const { plain, read, summary, verdict, written } = dialogs

const head = '<?xml version="1.0" encoding="UTF-8"?>\n'
const namespace = `xmlns="${dialogInfoNamespace}"`
const together = (live: readonly string[], ended: readonly string[] = []): readonly string[] =>
  summary(
    composed(
      plain,
      live.map((one) => read(one)),
      ended.map((one) => read(one)),
    ),
  )

describe("the package", () => {
  it("name, type, lifetime and rate", { tags: ["4235-3.1-a", "4235-3.4-a", "4235-3.10-a"] }, () => {
    expect(plain).toMatchObject({
      name: "dialog",
      accepts: ["application/dialog-info+xml"],
      produces: ["application/dialog-info+xml"],
      defaultExpires: 3_600,
      entityTags: "new-each-time",
      notifyIntervalMillis: 1_000,
    })
    expect(plain.rules).toBe(undefined)
    expect(dialogInfo({ xml: xmlCodec, notifyIntervalMillis: 0 }).notifyIntervalMillis).toBe(0)
  })

  it("who published nothing is shown with a document that has no dialogs", { tags: ["BUG-34"] }, () => {
    const empty = `${head}<dialog-info ${namespace} version="3" state="full" entity="sip:alice@example.com"/>\n`
    expect(personal(plain.render(composed(plain, [])), 3).text).toBe(empty)
    const offline = plain.offline(alice)
    expect(offline).toEqual(composed(plain, []))
  })
})

describe("reading", () => {
  it("the root is dialog-info in its namespace, with an entity", { tags: ["4235-4.1-a"] }, () => {
    expect(verdict(`<dialog-info ${namespace} entity="sip:a@b"/>`)).toBe("read")
    expect(verdict(`<d:dialog-info xmlns:d="${dialogInfoNamespace}" entity="sip:a@b"/>`)).toBe("read")
    const root = "root is not <dialog-info>"
    expect(verdict('<dialog-info entity="sip:a@b"/>')).toBe(root)
    expect(verdict(`<dialog-info xmlns="${dialogInfoNamespace}:" entity="sip:a@b"/>`)).toBe(root)
    expect(verdict(`<dialog ${namespace} id="1" entity="sip:a@b"><state>early</state></dialog>`)).toBe(root)
    expect(verdict(`<dialog-info ${namespace}/>`)).toBe("<dialog-info> without entity")
    expect(verdict(`<dialog-info ${namespace} entity=" "/>`)).toBe("<dialog-info> without entity")
    expect(verdict("<dialog-info><dialog></dialog-info>")).not.toBe("read")
  })

  it("an entity with a line break is refused", { tags: ["T29"] }, () => {
    expect(verdict(`<dialog-info ${namespace} entity="a&#13;&#10;b"/>`)).toBe(
      "entity with a control character",
    )
  })

  it(
    "version and state may be missing; when there, they are what RFC 4235 wants",
    { tags: ["4235-4.1-a"] },
    () => {
      const [missing, long, odd] = [
        read(written("", "")),
        read(written("", 'version="4294967295"')),
        'version="007"',
      ]
      expect([missing.version, missing.state]).toEqual([null, "full"])
      expect(long.version).toBe(4_294_967_295)
      expect(read(written("", odd)).version).toBe(7)
      for (const version of ["", "-1", "1.5", "one", "0x1", "4294967296", "9".repeat(400)]) {
        expect(verdict(written("", `version="${version}"`))).toBe("version is not a 32-bit number")
      }
      expect(read(partial("")).state).toBe("partial")
      for (const state of ["", "Full", "deleted"]) {
        expect(verdict(written("", `state="${state}"`))).toBe("state is neither full nor partial")
      }
    },
  )

  it("each dialog has an id of its own and one state", { tags: ["4235-4.1.1-a"] }, () => {
    expect(verdict(written("<dialog><state>early</state></dialog>"))).toBe("<dialog> without id")
    expect(verdict(written('<dialog id=" "><state>early</state></dialog>'))).toBe("<dialog> without id")
    expect(verdict(written('<dialog x:id="1"><state>early</state></dialog>'))).toBe("<dialog> without id")
    expect(verdict(written(dialog("1", "early") + dialog("1", "early")))).toBe("two <dialog> with one id")
    expect(verdict(written('<dialog id="1"/>'))).toBe("<dialog> without state")
    expect(verdict(written('<dialog id="1"><x:state>early</x:state></dialog>'))).toBe(
      "<dialog> without state",
    )
    expect(verdict(written('<dialog id="1"><state>early</state><state>early</state></dialog>'))).toBe(
      "<dialog> with two states",
    )
    const unknown = "<dialog> in a state that RFC 4235 does not know"
    for (const state of ["", "ringing", "Early", "earlyconfirmed", "early confirmed", "toString"]) {
      expect(verdict(written(`<dialog id="1"><state>${state}</state></dialog>`))).toBe(unknown)
    }
    expect(verdict(written(`<dialog id="1"><state>\n early<!-- 180 -->\t</state></dialog>`))).toBe("read")
    expect(verdict(written("<x:dialog/><x:y><dialog/></x:y>"))).toBe("read")
  })

  it(
    "`Trying`, as Kamailio's pua_dialoginfo writes a call that begins, is read and sent on as it ought to be",
    { tags: ["4235-4.1-a"] },
    () => {
      const text = '<dialog id="1" x:y="z"><x:a/><state code="100"> Trying </state><local/></dialog>'
      const document = read(written(text))
      expect(document.dialogs.map(({ state }) => state)).toEqual(["trying"])
      expect(plain.render(document).text).toContain(text.replace(" Trying ", "trying"))
    },
  )

  it("what is not said of a dialog's identity, or is empty, is not known", { tags: ["4235-4.1.1-a"] }, () => {
    const text = '<dialog id="1" call-id="c" local-tag="" remote-tag=" r "><state>early</state></dialog>'
    const [one] = read(written(text)).dialogs
    expect([one?.callId, one?.localTag, one?.remoteTag]).toEqual(["c", null, "r"])
  })

  it("unknown elements and attributes are kept, wherever they are", { tags: ["4235-4.1-a"] }, () => {
    const inside =
      '<dialog id="1" x:line="2"><state code="180" x:s="t">early</state><x:a><!-- c --><x:b/>text</x:a></dialog><x:far y="z"/>'
    const document = read(written(inside, 'x:root="1" other="2"'))
    const again = read(plain.render(document).text)
    expect(again.dialogs).toEqual(document.dialogs)
    expect(again.attributes).toEqual(document.attributes)
    expect(again.others).toEqual(document.others)
    expect(plain.render(document).text).toContain(inside)
  })

  it(
    "the root's language goes with the dialogs, since the root is rewritten",
    { tags: ["4235-4.1-a"] },
    () => {
      const [one, other] = composed(plain, [
        read(written(dialog("1", "early"), 'xml:lang="de"')),
        read(written('<dialog id="2" xml:lang="fr"><state>early</state></dialog>', 'xml:lang="en"')),
      ]).dialogs
      const language = (of: typeof one): string | null =>
        of === undefined ? null : attribute(of.element, "lang", "http://www.w3.org/XML/1998/namespace")
      expect([language(one), language(other)]).toEqual(["de", "fr"])
      expect(read(written("", 'xml:lang="de"')).attributes).toEqual([])
    },
  )
})

describe("composition", () => {
  it("the entity is the presentity, whatever was published", { tags: ["4235-4.1-a"] }, () => {
    const text = plain.render(composed(plain, [read(written(dialog("1", "early")))])).text
    expect(personal({ contentType: "", text }, 0).text).toBe(
      `${head}<dialog-info ${namespace} version="0" state="full" entity="sip:alice@example.com">${dialog("1", "early")}</dialog-info>\n`,
    )
  })

  it("all dialogs, newest content last; of one id the newest", { tags: ["AGG-1"] }, () => {
    const first = written(dialog("1", "early", "c") + dialog("2", "confirmed"))
    const second = written(dialog("3", "trying") + dialog("1", "confirmed", "c"))
    expect(together([first, second])).toEqual(["2 confirmed", "3 trying", "1 confirmed c"])
    expect(together([second, first])).toEqual(["3 trying", "1 early c", "2 confirmed"])
  })

  it(
    "terminated holds against an earlier state of the same call, whichever came last",
    { tags: ["BUG-25"] },
    () => {
      const over = written(dialog("1", "terminated", "c"))
      const late = written(dialog("1", "early", "c"))
      expect(together([over, late])).toEqual(["1 terminated c"])
      expect(together([late, over])).toEqual(["1 terminated c"])
    },
  )

  it(
    "without a Call-ID the newest publication says what is now: an id is unique among present dialogs only",
    { tags: ["4235-4.1.1-a"] },
    () => {
      const [idle, talks] = [written(dialog("103", "terminated")), written(dialog("103", "confirmed"))]
      expect(together([idle, talks])).toEqual(["103 confirmed"])
      expect(together([talks, idle])).toEqual(["103 terminated"])
      expect(together([talks, idle, talks])).toEqual(["103 confirmed"])
      // a PBX that states the Call-ID only while there is a call
      const rings = written(dialog("103", "early", "pickup-1"))
      expect(together([rings, idle])).toEqual(["103 terminated"])
      expect(together([idle, rings])).toEqual(["103 early pickup-1"])
      expect(together([written(dialog("103", "terminated", "c")), talks])).toEqual(["103 confirmed"])
    },
  )

  it("legs of a forked call are apart, whichever says it is over first", { tags: ["4235-4.1.1-a"] }, () => {
    const leg = (state: string, tags: string): string =>
      written(`<dialog id="1" call-id="c" ${tags}><state>${state}</state></dialog>`)
    const answered = leg("confirmed", 'local-tag="l1" remote-tag="r"')
    for (const cancelled of [leg("terminated", ""), leg("terminated", 'local-tag="l2" remote-tag="r"')]) {
      expect(together([answered, cancelled])).toEqual(["1 confirmed c"])
      expect(together([cancelled, answered])).toEqual(["1 confirmed c"])
    }
    const ended = leg("terminated", 'local-tag="l1" remote-tag="r"')
    expect(together([leg("terminated", ""), answered, ended])).toEqual(["1 terminated c"])
    // what it was before its tags were known
    expect(together([ended, leg("early", "")])).toEqual(["1 terminated c"])
    expect(together([ended, leg("early", 'local-tag="l1"')])).toEqual(["1 terminated c"])
  })

  it("another call under the same id is another call", { tags: ["BUG-25"] }, () => {
    const over = written(dialog("1", "terminated", "c"))
    const other = written(dialog("1", "early", "d"))
    expect(together([over, other])).toEqual(["1 early d"])
    expect(together([other, over])).toEqual(["1 early d"])
    expect(together([over, other, written(dialog("1", "confirmed", "c"))])).toEqual(["1 early d"])
    const tagged = (state: string, tag: string): string =>
      written(`<dialog id="1" call-id="c" remote-tag="${tag}"><state>${state}</state></dialog>`)
    expect(together([tagged("terminated", "r1"), tagged("early", "r2")])).toEqual(["1 early c"])
    expect(together([tagged("terminated", "r1"), tagged("early", "")])).toEqual(["1 terminated c"])
    const ours = (state: string, tag: string): string =>
      tagged(state, "r").replace("remote-tag", `local-tag="${tag}" remote-tag`)
    expect(together([ours("terminated", "l1"), ours("early", "l2")])).toEqual(["1 early c"])
    expect(together([ours("terminated", "l1"), ours("early", "l1")])).toEqual(["1 terminated c"])
  })

  it("what ended is terminated, without the reasons of the state it was in", { tags: ["AGG-3"] }, () => {
    const gone =
      '<dialog id="1" direction="recipient"><state event="x" code="180">early</state><x:a/></dialog>'
    const text = plain.render(composed(plain, [], [read(written(gone))])).text
    expect(text).toContain('<dialog id="1" direction="recipient"><state>terminated</state><x:a/></dialog>')
    const said = '<dialog id="1"><state event="remote-bye">terminated</state></dialog>'
    expect(plain.render(composed(plain, [], [read(written(said))])).text).toContain(said)
  })

  it("attributes and other elements of all roots, each once", { tags: ["AGG-1"] }, () => {
    const document = composed(plain, [
      read(written("<x:a/><x:b/>", 'one="1" two="1"')),
      read(written("<x:b/><x:c/>", 'two="2"')),
    ])
    expect(document.others.map(({ name }) => name)).toEqual(["a", "b", "c"])
    expect(document.attributes.map(({ name, value }) => `${name}=${value}`)).toEqual(["one=1", "two=2"])
  })

  it(
    "early before confirmed before proceeding before trying before terminated",
    { tags: ["OPS-force_single_dialog"] },
    () => {
      const single = dialogInfo({ xml: xmlCodec, forceSingleDialog: true })
      const ranked = ["early", "confirmed", "proceeding", "trying", "terminated"] as const
      ranked.forEach((_, from) => {
        const left = ranked.slice(from).map((state) => read(written(dialog(state, state))))
        expect(summary(composed(single, left))).toEqual([`${ranked[from]} ${ranked[from]}`])
        expect(summary(composed(single, left.toReversed()))).toEqual([`${ranked[from]} ${ranked[from]}`])
      })
      const two = read(written(dialog("1", "early") + dialog("2", "early")))
      expect(summary(composed(single, [two]))).toEqual(["2 early"])
      expect(summary(composed(single, [], [two]))).toEqual(["2 terminated"])
    },
  )
})

describe("amending", () => {
  const after = (first: string, ...rest: readonly string[]): readonly string[] =>
    summary(rest.map((one) => read(one)).reduce(amended, read(first)))

  it("a modification says what is now, whatever was there, full or partial", { tags: ["4235-4.1-a"] }, () => {
    const over = written(dialog("1", "terminated", "c"))
    expect(after(over, written(dialog("1", "early", "c")))).toEqual(["1 early c"])
    expect(after(over, partial(dialog("1", "early", "c")))).toEqual(["1 early c"])
    expect(after(over, partial(dialog("2", "early", "c")))).toEqual(["1 terminated c", "2 early c"])
    expect(after(over, partial(dialog("1", "early", "d")))).toEqual(["1 early d"])
    expect(after(over, partial(dialog("1", "early")))).toEqual(["1 early"])
    expect(after(written(dialog("1", "terminated")), written(dialog("1", "early", "c")))).toEqual([
      "1 early c",
    ])
  })

  it(
    "what a partial document says besides dialogs is added, or stands for what was there",
    { tags: ["4235-4.1-a"] },
    () => {
      const before = read(written("<x:a/>", 'one="1" two="1"'))
      const plainly = amended(before, read(partial("")))
      expect(plainly.others).toEqual(before.others)
      expect(plainly.attributes).toEqual(before.attributes)
      const more = amended(before, read(written("<x:b/>", 'state="partial" two="2"')))
      expect(more.others.map(({ name }) => name)).toEqual(["b"])
      expect(more.attributes.map(({ name, value }) => `${name}=${value}`)).toEqual(["one=1", "two=2"])
    },
  )

  it("of the calls that are over, partial documents leave the last sixteen", { tags: ["4235-4.1-a"] }, () => {
    let document = read(written(dialog("live", "confirmed")))
    for (let call = 1; call <= 40; call += 1) {
      document = amended(document, read(partial(dialog(`${call}`, "early"))))
      document = amended(document, read(partial(dialog(`${call}`, "terminated"))))
    }
    const last = Array.from({ length: 16 }, (_, index) => `${index + 25} terminated`)
    expect(summary(document)).toEqual(["live confirmed", ...last])
  })
})

describe("what changed", () => {
  const changes = (before: string, after: string): readonly string[] | null => {
    const partly = difference(read(before), read(after))
    return partly === null ? null : summary(partly)
  }

  it("what is gone, then what is new or changed", { tags: ["4235-3.7-a"] }, () => {
    const before = written(dialog("1", "early") + dialog("2", "confirmed") + dialog("3", "confirmed"))
    const after = written(dialog("2", "confirmed") + dialog("1", "confirmed") + dialog("4", "trying"))
    expect(changes(before, after)).toEqual(["3 terminated", "1 confirmed", "4 trying"])
  })

  it(
    "the whole is sent when there is nothing to say, or when more than dialogs changed",
    { tags: ["4235-3.7-a"] },
    () => {
      const one = dialog("1", "confirmed")
      expect(changes(written(one), written(one))).toBe(null)
      expect(changes(written(one + dialog("2", "terminated")), written(one))).toBe(null)
      expect(changes(written(""), written(one, 'version="1" extra="1"'))).toBe(null)
      expect(changes(written(""), written(`${one}<x:a/>`))).toBe(null)
      expect(difference(composed(plain, []), read(written(one)))).toBe(null)
    },
  )

  it("a partial document says so, and its version is put in like any other", { tags: ["4235-4.1-a"] }, () => {
    const before = composed(plain, [read(written(dialog("1", "early")))])
    const partly = difference(before, composed(plain, [])) ?? before
    expect(personal(plain.render(partly), 4_294_967_295).text).toBe(
      `${head}<dialog-info ${namespace} version="4294967295" state="partial" entity="sip:alice@example.com">${dialog("1", "terminated")}</dialog-info>\n`,
    )
  })

  it("a body that is not ours has no place for a version", { tags: ["4235-4.1-a"] }, () => {
    const body = { contentType: "text/plain", text: 'x version="1"' }
    expect(personal(body, 5)).toBe(body)
  })
})

describe("documents as servers and phones publish them", () => {
  /** Shapes known from the public documentation of each; names, numbers and addresses are made up. */
  const golden: readonly (readonly [who: string, text: string, dialogs: readonly string[]])[] = [
    [
      "a proxy that publishes for its calls: one dialog a document, the other side only",
      `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="partial" entity="sip:alice@example.com">
  <dialog id="7f3a-22@192.0.2.7" call-id="7f3a-22@192.0.2.7" local-tag="as5" remote-tag="b8" direction="recipient">
    <state>early</state>
    <remote><identity>sip:bob@example.com</identity><target uri="sip:bob@example.com"/></remote>
    <local><identity>sip:alice@example.com</identity><target uri="sip:alice@example.com"/></local>
  </dialog>
</dialog-info>`,
      ["7f3a-22@192.0.2.7 early 7f3a-22@192.0.2.7"],
    ],
    [
      "a PBX that names the dialog after the extension and says no more when idle",
      `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="12" state="full" entity="sip:204@pbx.example.com">
<dialog id="204">
<state>terminated</state>
</dialog>
</dialog-info>
`,
      ["204 terminated"],
    ],
    [
      "the same PBX with a call to be picked up",
      `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="13" state="full" entity="sip:204@pbx.example.com">
<dialog id="204" call-id="pickup-3c26" local-tag="204" remote-tag="as77" direction="recipient">
<remote>
<identity display="Bob &amp; Sons">sip:bob@example.com</identity>
<target uri="sip:bob@example.com"/>
</remote>
<local>
<identity display="Reception">sip:204@pbx.example.com</identity>
<target uri="sip:204@pbx.example.com"/>
</local>
<state>early</state>
</dialog>
</dialog-info>
`,
      ["204 early pickup-3c26"],
    ],
    [
      "a switch that names dialogs by UUID and says which way a target renders",
      `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="3" state="full" entity="sip:1001@sw.example.com">
 <dialog id="0d9f7a52-6d0c-4a39-9c0e-2f9a4f0e8b11" direction="initiator">
  <state>confirmed</state>
  <local><identity display="1001">sip:1001@sw.example.com</identity>
   <target uri="sip:1001@sw.example.com"><param pname="+sip.rendering" pvalue="yes"/></target></local>
  <remote><identity display="1002">sip:1002@sw.example.com</identity><target uri="sip:**1002@sw.example.com"/></remote>
 </dialog>
</dialog-info>`,
      ["0d9f7a52-6d0c-4a39-9c0e-2f9a4f0e8b11 confirmed"],
    ],
    [
      "a desk phone with a held call: rendering no, duration, session description",
      `<?xml version="1.0" encoding="UTF-8"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="41" state="full" entity="sip:line1@example.com">
<dialog id="3c267" call-id="3c2670a0@phone" local-tag="l9" remote-tag="" direction="initiator"><state event="local-bye" code="200">terminated</state></dialog>
<dialog id="3c268" call-id="3c2680b1@phone" local-tag="m1" remote-tag="n2" direction="initiator">
<state>confirmed</state><duration>274</duration>
<local><identity display="Alice">sip:line1@example.com</identity><target uri="sip:line1@198.51.100.7:5060;line=x7"><param pname="+sip.rendering" pvalue="no"/><param pname="+sip.byeless" pvalue="false"/></target><session-description type="application/sdp">v=0&#13;
s=-&#13;
</session-description></local>
<remote><identity>sip:carol@example.com</identity></remote></dialog></dialog-info>`,
      ["3c267 terminated 3c2670a0@phone", "3c268 confirmed 3c2680b1@phone"],
    ],
    [
      "a phone that says in short what is over",
      `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="4" state="partial" entity="sip:1000@example.com:5060">
<dialog id="65644">
<state>terminated</state>
</dialog>
</dialog-info>`,
      ["65644 terminated"],
    ],
    [
      "a shared line with appearances, prefixed throughout",
      `<?xml version='1.0'?>
<di:dialog-info xmlns:di='urn:ietf:params:xml:ns:dialog-info' xmlns:sa='urn:ietf:params:xml:ns:sa-dialog-info' version='1' state='partial' entity='sip:desk@example.com'>
<di:dialog id='id3d4f9c83' call-id='dc95da63-60db1abd-d5a74b48' local-tag='6d71' remote-tag='1A9B' direction='recipient'>
<sa:exclusive>false</sa:exclusive><sa:appearance>2</sa:appearance><sa:joined-dialog/>
<di:state>proceeding</di:state><di:local><di:target uri='sip:desk@192.0.2.9'/></di:local></di:dialog></di:dialog-info>`,
      ["id3d4f9c83 proceeding dc95da63-60db1abd-d5a74b48"],
    ],
  ]

  it.each(golden)("%s", { tags: ["4235-4.1.1-a"] }, (_, text, expected) => {
    const document = read(text)
    expect(summary(document)).toEqual(expected)
    const shown = read(personal(plain.render(composed(plain, [document])), 9).text)
    expect(shown).toMatchObject({ entity: alice, version: 9, state: "full" })
    // session descriptions are for those who ask for them
    const asPublished = (text: string): string =>
      text.replace(/<session-description[^]*?<\/session-description>/, "")
    expect(plain.render({ ...shown, others: [] }).text).not.toContain("session-description")
    const elements = read(asPublished(text)).dialogs.map(({ element }) => canonical(element))
    expect(shown.dialogs.map(({ element }) => canonical(element))).toEqual(elements)
  })

  it("one watcher is told of a call by a proxy, from ringing to its end", { tags: ["4235-3.7-a"] }, () => {
    const call = (state: string): string =>
      written(
        `<dialog id="7f3a" call-id="7f3a" direction="recipient"><state>${state}</state><remote><identity>sip:bob@example.com</identity></remote></dialog>`,
        'version="0" state="partial"',
      )
    const shown = (of: ReturnType<typeof read> | null): string =>
      of === null
        ? ""
        : plain
            .render(of)
            .text.replace(/^[^]*?<dialog-info[^>]*?state/, "state")
            .trim()
    const ringing = read(call("early"))
    const first = composed(plain, [ringing])
    const second = composed(plain, [amended(ringing, read(call("confirmed")))])
    const last = composed(plain, [], [amended(ringing, read(call("confirmed")))])
    const entity = 'entity="sip:alice@example.com"'
    const told = (state: string): string =>
      `<dialog id="7f3a" call-id="7f3a" direction="recipient"><state>${state}</state><remote><identity>sip:bob@example.com</identity></remote></dialog></dialog-info>`
    expect(shown(first)).toBe(`state="full" ${entity}>${told("early")}`)
    expect(shown(difference(first, second))).toBe(`state="partial" ${entity}>${told("confirmed")}`)
    expect(shown(difference(second, last))).toBe(`state="partial" ${entity}>${told("terminated")}`)
    expect(shown(difference(second, composed(plain, [])))).toBe(
      `state="partial" ${entity}>${told("terminated")}`,
    )
  })
})
