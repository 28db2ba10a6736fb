/**
 * Cases: what is written is read again, what was changed since is refused, and stand-ins keep everything but the names.
 */
import assert from "node:assert/strict"
import fc from "fast-check"
import { describe, it } from "vitest"
import { makeAnonymousText } from "../../../src/app/case/anonymous-text.ts"
import { nodeSha256 } from "../../../src/app/case/node-sha256.ts"
import { makeStandIns } from "../../../src/app/case/stand-ins.ts"
import { caseWorldOf } from "../../../src/app/case/world.ts"
import { readConfig } from "../../../src/app/config/config.ts"
import type { Notify } from "../../../src/domain/presentity/intents.ts"
import { freeze } from "../../../src/domain/presentity/snapshot.ts"
import { walkFrom } from "../../../src/explain/case/digests.ts"
import type { CaseItem } from "../../../src/explain/case/format.ts"
import { CaseBroken } from "../../../src/explain/case/read.ts"
import { worldOf } from "../../../src/explain/case/world.ts"
import type { RecordedDecision } from "../../../src/ports/event-store.ts"
import { anySteps } from "../../support/arbitraries.ts"
import { caseLines, nothingSet, readCase, streamsOf } from "../../support/case.ts"
import { forEveryHistory, parameters, play } from "../../support/history.ts"
import { reactionOf, worlds } from "../../support/machine.ts"
import type { Run } from "../../support/machine.ts"
import { forEveryRuledHistory } from "../../support/ruled-history.ts"

const refused = (text: string): CaseBroken => {
  try {
    readCase(text)
  } catch (cause) {
    assert.ok(cause instanceof CaseBroken, String(cause))
    return cause
  }
  throw new Error("it was read")
}

const recordedIn = (items: readonly CaseItem[]): readonly RecordedDecision[] =>
  items.flatMap((item) => (item._tag === "decision" ? [item.recorded] : []))

const forEveryKind = (check: (run: Run) => void, share: number): void => {
  forEveryHistory(check, share)
  forEveryRuledHistory(check, share)
}

describe("a case", () => {
  it(
    "holds each stream's state before and its decisions, and digests that come out again",
    { tags: ["OPS-case"] },
    () => {
      forEveryKind((run) => {
        const from = Math.floor(run.log.length / 3)
        const items = readCase(caseLines(run, { from }).join(""))
        const streams = streamsOf(run, from)
        assert.deepEqual(
          recordedIn(items),
          streams.flatMap(({ recorded }) => recorded),
        )
        const begins = items.flatMap((item) => (item._tag === "stream" ? [freeze(item.state)] : []))
        assert.deepEqual(
          begins,
          streams.map(({ begin }) => JSON.parse(JSON.stringify(freeze(begin)))),
        )
        let walk: ReturnType<typeof walkFrom> | null = null
        for (const item of items) {
          if (item._tag === "stream") walk = walkFrom(item.state, reactionOf(run.world), nodeSha256)
          if (item._tag === "decision") assert.equal(walk?.step(item.recorded).digest, item.digest)
          if (item._tag !== "end-of-stream") continue
          assert.deepEqual(walk?.end(), { state: item.state, notifications: item.notifications })
          assert.deepEqual(freeze(walk!.state()), freeze(run.states.get(item.stream)!))
        }
      }, 0.15)
    },
  )

  it(
    "one that was changed, cut off or put in another order is refused, with the line",
    { tags: ["OPS-case"] },
    () => {
      const anyDamage = fc.record({
        steps: anySteps,
        at: fc.nat(),
        kind: fc.constantFrom("byte", "cut", "drop", "swap", "double"),
      })
      fc.assert(
        fc.property(anyDamage, ({ steps, at, kind }) => {
          const run = play(worlds[0]!, steps)
          const lines = caseLines(run)
          const text = lines.join("")
          const line = at % lines.length
          const damaged = {
            byte: () => {
              const where = at % text.length
              const other = text[where] === "1" ? "2" : "1"
              return text.slice(0, where) + other + text.slice(where + 1)
            },
            cut: () => text.slice(0, at % text.length),
            drop: () => lines.toSpliced(line, 1).join(""),
            swap: () =>
              lines.length < 2
                ? ""
                : lines
                    .toSpliced(
                      Math.min(line, lines.length - 2),
                      2,
                      lines[Math.min(line, lines.length - 2) + 1]!,
                      lines[Math.min(line, lines.length - 2)]!,
                    )
                    .join(""),
            double: () => lines.toSpliced(line, 0, lines[line]!).join(""),
          }[kind]()
          const { line: number, why } = refused(damaged)
          assert.ok(number >= 1 && number <= lines.length + 1)
          assert.ok(why.length > 10 && !why.includes("\n"), why)
        }),
        parameters(2),
      )
    },
  )

  it("what is wrong is said in one line", { tags: ["OPS-case"] }, () => {
    const run = play(worlds[0]!, [])
    const [head = "", end = ""] = caseLines(run)
    assert.equal(refused("").message, "case, line 1: the file is empty")
    assert.equal(
      refused(head).message,
      "case, line 2: the file ends before the end of the case: it is not a whole one",
    )
    assert.match(refused(head.slice(0, 50)).message, /^case, line 1: the file ends, .* within this line/)
    assert.equal(refused("{}\n").message, "case, line 1: it is of no kind there is in a case")
    assert.equal(refused("<a/>\n").message, "case, line 1: it is no JSON")
    assert.match(
      refused(head.replace('"format":1', '"format":2')).message,
      /line 1: its format is 2, this .* reads 1/,
    )
    assert.equal(
      refused(head + end.replace('"v":1', '"v":2')).message,
      "case, line 2: it has no version 1 of a line",
    )
    assert.equal(refused(`${head}${head}`).message, "case, line 2: the head of a case stands only once")
    assert.equal(refused(`${head}${end}${end}`).message, "case, line 3: something stands after the end")
    assert.match(refused(head.replace("3600", '"x"')).message, /^case, line 1: .*maxExpires/)
  })

  it("carries no secret, and all that packages and bounds are made of", { tags: ["OPS-case"] }, () => {
    const config = readConfig({
      ...nothingSet,
      defaults: { database_url: "postgres://user:secret@db/x", mix_dialog_presence: true, expires_offset: 7 },
    })
    const world = caseWorldOf(config)
    assert.ok(!JSON.stringify(world).includes("secret"))
    const { limits, packages } = worldOf(JSON.parse(JSON.stringify(world)))
    assert.equal(limits.expiresOffset, 7)
    assert.deepEqual(
      packages.mixing("dialog").map(({ name }) => name),
      ["presence"],
    )
  })
})

/** What a NOTIFY is to somebody who may not know whom it is about. */
const shapeOf = ({
  no,
  cseq,
  packageName,
  state,
  expires,
  reason,
  retryAfter,
  body,
  rates,
}: Notify): unknown => ({
  no,
  cseq,
  packageName,
  state,
  expires,
  reason,
  retryAfter,
  rates,
  contentType: body?.contentType ?? null,
  // the elements, and how long it is
  elements: body === null ? null : (body.text.match(/<\/?[\w:]+/g) ?? []).join(" "),
  length: body?.text.length ?? 0,
})

/** For each of some values the place of the first equal one: what is equal to what. */
const pattern = (some: readonly string[]): readonly number[] => some.map((one) => some.indexOf(one))

describe("a case with stand-ins", () => {
  const distinctive = ["alice", "carol", "mallory", "elsewhere", "example"]

  it("nothing of the originals is left in its bytes", { tags: ["OPS-case"] }, () => {
    forEveryKind((run) => {
      const text = caseLines(run, { anonymous: true }).join("").toLowerCase()
      for (const word of distinctive) assert.ok(!text.includes(word), `${word} is left`)
      // addresses, Call-IDs and tags, whose words stand in names of fields as well
      assert.doesNotMatch(text, /192\.0\.2\.|\b(?:call|local|remote|device)-\d/)
    }, 0.15)
  })

  it(
    "everything happens as it did: events, audiences, documents changed and unchanged, NOTIFYs",
    { tags: ["OPS-case"] },
    () => {
      forEveryKind((run) => {
        const items = readCase(caseLines(run, { anonymous: true }).join(""))
        const originals = streamsOf(run)
        let walk: ReturnType<typeof walkFrom> | null = null
        let other: ReturnType<typeof walkFrom> | null = null
        let stream = -1
        let index = 0
        const shown: [string[], string[]] = [[], []]
        const bodies: [string[], string[]] = [[], []]
        for (const item of items) {
          if (item._tag === "stream") {
            stream++
            index = 0
            walk = walkFrom(item.state, reactionOf(run.world), nodeSha256)
            other = walkFrom(originals[stream]!.begin, reactionOf(run.world), nodeSha256)
          }
          if (item._tag !== "decision") continue
          const { moment } = walk!.step(item.recorded)
          const { moment: was } = other!.step(originals[stream]!.recorded[index++]!)
          assert.deepEqual(skeleton(item.recorded), skeleton(was))
          assert.deepEqual(moment.notifications.map(shapeOf), was.notifications.map(shapeOf))
          for (const [side, { decision, notifications }] of [was, moment].entries()) {
            for (const event of decision.events) if ("shown" in event) shown[side]!.push(event.shown)
            // watcher information counts seconds, not views
            for (const { body } of notifications) bodies[side]!.push(body?.text ?? "")
          }
        }
        assert.deepEqual(pattern(shown[1]), pattern(shown[0]))
        assert.deepEqual(pattern(bodies[1]), pattern(bodies[0]))
      }, 0.1)
    },
  )

  it(
    "words in URIs, headers, XML and lines have stand-ins of their shape, what means something stays",
    { tags: ["OPS-case"] },
    () => {
      const { name, body } = makeAnonymousText(makeStandIns(Buffer.alloc(32, 7)))
      const alike = (one: string): string =>
        one
          .replaceAll(/[a-z]/g, "a")
          .replaceAll(/[A-Z]/g, "A")
          .replaceAll(/[0-9]/g, "0")
          .replaceAll(/[^ -~]/g, "?")
      const names = [
        "sip:Alice.Smith@pbx.Example.com:5070;transport=tcp;lr",
        '"Alice Smith" <sips:204@[2001:db8::17]:5061>;tag=8f7A',
        "udp:192.0.2.20:5060",
        "<sip:204@pbx.example.com>;appearance-index=1;appearance-uri=x",
        "tel:+4930123456",
      ]
      for (const one of names) {
        const standIn = name(one)
        assert.equal(alike(standIn).replaceAll(/[aA0]/g, "."), alike(one).replaceAll(/[aA0]/g, "."), standIn)
        for (const word of one.match(/Alice|Smith|pbx|com|204|db8|4930123456|8f7A/g) ?? [])
          assert.ok(!standIn.includes(word), `${word} is left in ${standIn}`)
      }
      assert.match(name(names[0]!), /^sip:.*:5070;transport=tcp;lr$/)
      assert.match(name(names[3]!), /;appearance-index=1;appearance-uri=./)
      assert.equal(name("PBX.example").toLowerCase(), name("pbx.EXAMPLE").toLowerCase())
      assert.ok(
        name("192.0.2.20")
          .split(".")
          .every((part) => Number(part) < 256),
      )
      // what shares a network goes on sharing one
      assert.equal(name("192.0.2.20").slice(0, -2), name("192.0.2.31").slice(0, -2))
      const xml = body({
        contentType: "application/pidf+xml",
        text:
          '<?xml version="1.0"?><!-- by Alice --><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:204@pbx.example">' +
          '<tuple id="x1"><status><basic>open</basic></status><contact priority="0.8">sip:204@pbx.example</contact>' +
          "<note>204 &amp; &#65;lice</note><timestamp>2026-11-20T10:00:00Z</timestamp></tuple></presence>",
      }).text
      assert.ok(!/204|pbx|lice|&#/i.test(xml), xml)
      for (const kept of [
        'xmlns="urn:ietf:params:xml:ns:pidf"',
        "<basic>open</basic>",
        'priority="0.8"',
        "&amp;",
        "2026-11-20T10:00:00Z",
      ])
        assert.ok(xml.includes(kept), `${kept} is gone from ${xml}`)
      const [, entity = ""] = /entity="([^"]*)"/.exec(xml) ?? []
      assert.ok(xml.includes(`>${entity}<`))
      const summary = body({
        contentType: "application/simple-message-summary",
        text: "Messages-Waiting: yes\r\nMessage-Account: sip:204@pbx.example\r\nVoice-Message: 2/8 (0/2)\r\n",
      }).text
      assert.match(
        summary,
        /^Messages-Waiting: yes\r\nMessage-Account: sip:\d{3}@[a-z]{3}\.[a-z]{7}\r\nVoice-Message: 2\/8 \(0\/2\)\r\n$/,
      )
      assert.ok(!summary.includes("204@"))
    },
  )

  it(
    "stand-ins are as long, of the same kinds of characters, and different for different words",
    { tags: ["OPS-case"] },
    () => {
      const { word } = makeStandIns(Buffer.alloc(32, 9))
      fc.assert(
        fc.property(fc.uniqueArray(fc.stringMatching(/^[a-zA-Z0-9]{1,40}$/), { maxLength: 30 }), (some) => {
          const standIns = some.map(word)
          assert.equal(new Set(standIns).size, new Set(some).size)
          for (const [index, one] of some.entries()) {
            const kinds = (text: string): string =>
              text.replaceAll(/[a-z]/g, "a").replaceAll(/[A-Z]/g, "A").replaceAll(/\d/g, "0")
            assert.equal(kinds(standIns[index]!), kinds(one))
          }
        }),
        parameters(1),
      )
      // all of a small world: a permutation
      const letters = "abcdefghijklmnopqrstuvwxyz".split("")
      assert.equal(new Set(letters.flatMap((one) => letters.map((other) => word(one + other)))).size, 676)
    },
  )

  it("another key gives other stand-ins, the same key the same", { tags: ["OPS-case"] }, () => {
    const run = play(worlds[1]!, fc.sample(anySteps, { numRuns: 1, seed: 3 })[0]!)
    const [one, same, other] = [1, 1, 2].map((fill) =>
      caseLines(run, { anonymous: true, key: Buffer.alloc(32, fill) }).join(""),
    )
    assert.equal(one, same)
    assert.notEqual(one, other)
  })
})

/** Events without what names somebody or is a text. */
const skeleton = ({ position, decision }: RecordedDecision): unknown => ({
  position,
  version: decision.version,
  at: decision.at,
  cause: decision.cause,
  events: decision.events.map((event) =>
    Object.fromEntries(
      Object.entries(event)
        .filter(
          ([key, value]) =>
            typeof value !== "string" ||
            ["_tag", "packageName", "cause", "status", "reason", "to"].includes(key),
        )
        .map(([key, value]) => [
          key,
          typeof value === "object" && !Array.isArray(value) && value !== null ? Object.keys(value) : value,
        ]),
    ),
  ),
})
