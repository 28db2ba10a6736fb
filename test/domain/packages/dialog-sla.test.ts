import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { xmlCodec } from "../../../src/adapters/xml/codec.ts"
import { sharedLine, withReachableTargets } from "../../../src/domain/packages/dialog-sla.ts"
import {
  alice,
  anyDialogInfo,
  bodyOf,
  composed,
  dialog,
  meaning,
  partial,
  plain,
  read,
  summary,
  verdict,
  written,
} from "../../support/dialog-info.ts"

const line = sharedLine({ xml: xmlCodec })
const newest = sharedLine({ xml: xmlCodec, aggregation: "newest" })
const untouched = sharedLine({ xml: xmlCodec, fixRemoteTarget: false })

describe("the package", () => {
  it(
    "a package of its own beside dialog, without rules, with new entity-tags",
    { tags: ["BLA-1", "BLA-5", "BLA-6"] },
    () => {
      expect(line).toMatchObject({
        name: "dialog;sla",
        accepts: plain.accepts,
        produces: plain.produces,
        defaultExpires: 3_600,
        entityTags: "new-each-time",
        notifyIntervalMillis: 1_000,
      })
      expect(line.rules).toBe(undefined)
    },
  )

  it("who published nothing is shown with a document that has no dialogs", { tags: ["BUG-34"] }, () => {
    const { text } = line.render(composed(line, []))
    expect(text).toContain('state="full" entity="sip:alice@example.com"/>')
    expect(line.offline(alice)).toEqual(composed(line, []))
  })
})

describe("composition", () => {
  const phone = written(dialog("1", "confirmed", "a") + dialog("2", "early", "b"))
  const other = written(dialog("3", "trying", "c") + dialog("2", "confirmed", "b"))
  const publications = [read(phone), read(other)]

  it(
    "dialogs of all phones are merged by id, of one id the newest, whole documents are not",
    { tags: ["BLA-6"] },
    () => {
      expect(summary(composed(line, publications))).toEqual(["1 confirmed a", "3 trying c", "2 confirmed b"])
    },
  )

  it("or what was published last is all there is", { tags: ["BLA-6"] }, () => {
    expect(summary(composed(newest, publications))).toEqual(["3 trying c", "2 confirmed b"])
    expect(summary(composed(newest, publications.toReversed()))).toEqual(["1 confirmed a", "2 early b"])
    expect(composed(newest, [])).toEqual(composed(line, []))
  })

  it("all dialogs of an ended publication are terminated, not only the first", { tags: ["AGG-3"] }, () => {
    const ended = [read(written(dialog("8", "confirmed") + dialog("9", "early")))]
    expect(summary(composed(line, [], ended))).toEqual(["8 terminated", "9 terminated"])
    expect(summary(composed(newest, publications, ended)).slice(0, 2)).toEqual([
      "8 terminated",
      "9 terminated",
    ])
  })

  it("a call of the line that is over stays over", { tags: ["BUG-25"] }, () => {
    const over = read(written(dialog("2", "terminated", "b")))
    expect(summary(composed(line, [over, ...publications]))).toEqual([
      "2 terminated b",
      "1 confirmed a",
      "3 trying c",
    ])
  })

  it("partial publications of the line are amended like those of dialog", { tags: ["4235-4.1-a"] }, () => {
    const after = line.amend?.(read(phone), read(partial(dialog("2", "terminated", "b"))))
    expect(after === undefined ? [] : summary(after)).toEqual(["1 confirmed a", "2 terminated b"])
  })
})

describe("the other side's target", () => {
  const withRemote = (identity: string, target: string): string =>
    written(
      `<dialog id="1"><state>confirmed</state><remote>${identity}<target uri="${target}"><param pname="a" pvalue="b"/></target></remote></dialog>`,
    )
  const bob = "<identity display='Bob'> sip:bob@example.com </identity>"
  /** The target's URI after publication. */
  const target = (text: string, eventPackage = line): string | undefined =>
    /<target uri="([^"]*)"/.exec(line.render(read(text, eventPackage)).text)?.[1]

  it.each([
    "sip:bob@192.0.2.1",
    "sip:bob@192.0.2.1:5060;transport=tcp",
    "SIP:192.0.2.1",
    "sips:b%40b@192.0.2.1?x=y",
    "sip:bob@[2001:db8::1]:5060",
    "sip:[::ffff:192.0.2.1]",
    " sip:bob@192.0.2.1 ",
  ])("%s becomes the identity's URI", { tags: ["BLA-4"] }, (uri) => {
    expect(target(withRemote(bob, uri))).toBe("sip:bob@example.com")
  })

  it.each([
    "sip:bob@phone.example.com",
    "sip:192.0.2.1@example.com",
    "sip:bob@192.0.2.1.example.com",
    "sip:bob@host;maddr=192.0.2.1",
    "tel:+15550100",
    "192.0.2.1",
    "",
  ])("%s stays what it is", { tags: ["BLA-4"] }, (uri) => {
    expect(target(withRemote(bob, uri))).toBe(uri)
  })

  it("without an identity that is a URI nothing is known that would be better", { tags: ["BLA-4"] }, () => {
    const uri = "sip:bob@192.0.2.1"
    for (const identity of [
      "",
      "<identity/>",
      "<identity>Bob</identity>",
      "<identity>sip:b o b</identity>",
    ]) {
      expect(target(withRemote(identity, uri))).toBe(uri)
    }
    expect(target(withRemote("<x:identity>sip:b@example.com</x:identity>", uri))).toBe(uri)
    expect(target(withRemote("<identity>sip:bob@192.0.2.7</identity>", uri))).toBe("sip:bob@192.0.2.7")
    expect(target(withRemote(bob, uri), untouched)).toBe(uri)
  })

  it("only remote targets, in every dialog, and nothing else of the document", { tags: ["BLA-4"] }, () => {
    const side = (name: string, uri: string): string =>
      `<${name}><identity>sip:${name}@example.com</identity><target uri="${uri}" x:y="z"/></${name}>`
    const ours = "sip:alice@192.0.2.2"
    const call = (id: string, uri: string): string =>
      `<dialog id="${id}"><state>early</state>${side("local", ours)}${side("remote", uri)}<x:remote><target uri="sip:192.0.2.3"/></x:remote></dialog>`
    const document = read(written(call("1", "sip:192.0.2.1") + call("2", "sip:[::1]")), line)
    expect(meaning(document)).toEqual(
      meaning(read(written(call("1", "sip:remote@example.com") + call("2", "sip:remote@example.com")))),
    )
  })

  it(
    "repeating it changes nothing, and a document without such targets stays as it is",
    { tags: ["BLA-4"] },
    () => {
      const anyUri = fc.constantFrom(
        "sip:bob@192.0.2.1:5060",
        "sip:bob@[2001:db8::2]",
        "sip:bob@example.org",
        "tel:+1",
        "bob",
        "",
        'sip:"<&>@192.0.2.4',
      )
      const escaped = (text: string): string =>
        text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")
      fc.assert(
        fc.property(anyUri, anyUri, (one, other) => {
          const text = withRemote(`<identity>${escaped(one)}</identity>`, escaped(other))
          const fixed = read(text, line)
          expect(withReachableTargets(fixed)).toEqual(fixed)
          expect(meaning(read(line.render(fixed).text, line))).toEqual(meaning(fixed))
        }),
      )
      fc.assert(
        fc.property(anyDialogInfo(), (document) => {
          expect(withReachableTargets(document)).toEqual(document)
        }),
      )
    },
  )

  it("what dialog refuses is refused", { tags: ["4235-4.1-a"] }, () => {
    expect(verdict(written("<dialog/>"), line)).toBe("<dialog> without id")
    expect(line.parse(bodyOf(""))._tag).toBe("Unreadable")
  })
})

describe("documents as phones that share a line publish them", () => {
  it(
    "appearance, exclusive hold and rendering stay; the far target is made reachable",
    { tags: ["BLA-4", "4235-4.1.1-a"] },
    () => {
      const seized = `<?xml version="1.0" encoding="utf-8"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" xmlns:sa="urn:ietf:params:xml:ns:sa-dialog-info" version="9" state="full" entity="sip:desk@example.com">
<dialog id="id3d4f9c83" call-id="dc95-d5a7" local-tag="6d71" remote-tag="1A9B" direction="initiator">
<sa:appearance>1</sa:appearance><sa:exclusive>true</sa:exclusive><state>confirmed</state>
<local><identity display="Desk">sip:desk@example.com</identity><target uri="sip:desk@192.0.2.9:5062"><param pname="+sip.rendering" pvalue="no"/></target></local>
<remote><identity display="Bob">sip:bob@example.com</identity><target uri="sip:bob@203.0.113.5:1024;ob"/></remote>
</dialog></dialog-info>`
      const shown = line.render(composed(line, [read(seized, line)])).text
      expect(shown).toBe(`<?xml version="1.0" encoding="UTF-8"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" xmlns:sa="urn:ietf:params:xml:ns:sa-dialog-info" version="0000000000" state="full" entity="sip:alice@example.com"><dialog id="id3d4f9c83" call-id="dc95-d5a7" local-tag="6d71" remote-tag="1A9B" direction="initiator">
<sa:appearance>1</sa:appearance><sa:exclusive>true</sa:exclusive><state>confirmed</state>
<local><identity display="Desk">sip:desk@example.com</identity><target uri="sip:desk@192.0.2.9:5062"><param pname="+sip.rendering" pvalue="no"/></target></local>
<remote><identity display="Bob">sip:bob@example.com</identity><target uri="sip:bob@example.com"/></remote>
</dialog></dialog-info>
`)
    },
  )

  it(
    "one phone holds, another takes over; both calls of the line are shown, the first until it is over and as over",
    { tags: ["BLA-6"] },
    () => {
      const call = (id: string, tag: string, rendering: string): string =>
        written(
          `<dialog id="${id}" call-id="c${id}" local-tag="${tag}" direction="recipient"><state>confirmed</state><local><target uri="sip:desk@example.com"><param pname="+sip.rendering" pvalue="${rendering}"/></target></local></dialog>`,
        )
      const held = read(call("1", "t1", "no"), line)
      const taken = read(call("2", "t2", "yes"), line)
      const released = read(written(dialog("1", "terminated", "c1")), line)
      expect(summary(composed(line, [held, taken]))).toEqual(["1 confirmed c1", "2 confirmed c2"])
      const after = line.amend?.(held, released) ?? held
      expect(summary(composed(line, [taken, after]))).toEqual(["2 confirmed c2", "1 terminated c1"])
    },
  )
})
