/**
 * Ladders: the messages a log tells of, drawn and as a diagram.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { drawHead, drawStep, lanesOf, mermaid } from "../../../src/explain/ladder/draw.ts"
import type { LadderMessage } from "../../../src/explain/ladder/messages.ts"
import { messages, moments, steps } from "../../support/ladder.ts"

const plain = (text: string): string => text

describe("the messages of a log", () => {
  it(
    "each NOTIFY is there as it was sent, each request with its answer, failures with what is known",
    { tags: ["OPS-ladder"] },
    () => {
      const notifies = messages.filter(({ label }) => label === "NOTIFY")
      assert.deepEqual(
        notifies.map(({ bytes }) => /CSeq: (\d+)/.exec(bytes?.toString() ?? "")?.[1]),
        moments
          .toSorted((one, other) => one.decision.at - other.decision.at)
          .flatMap(({ notifications }) => notifications.map(({ cseq }) => `${cseq}`)),
      )
      const requests = messages.filter(({ label }) => label === "PUBLISH" || label === "SUBSCRIBE")
      const causes = ["Publish", "Subscribe", "Resubscribe"]
      assert.equal(requests.length, moments.filter(({ decision }) => causes.includes(decision.cause)).length)
      for (const request of requests) {
        const answer = messages[messages.indexOf(request) + 1]!
        assert.match(answer.label, /^20[024] /)
        assert.equal(answer.party, request.party)
      }
      const failures = moments.flatMap(({ decision }) =>
        decision.events.filter(({ _tag }) => _tag === "NotificationFailed"),
      )
      assert.equal(
        messages.filter(({ remark }) =>
          /^NOTIFY \d+ (?:was refused|had no answer|could not be sent|was not delivered, its connection being closed)$/.test(
            remark,
          ),
        ).length,
        failures.length,
      )
      assert.ok(failures.length >= 4)
    },
  )

  it("all of them are SIP", { tags: ["OPS-ladder"] }, () => {
    for (const { bytes, label } of messages) {
      if (bytes === null) continue
      const text = bytes.toString("latin1")
      assert.match(
        text,
        label === "NOTIFY" || label === "PUBLISH" || label === "SUBSCRIBE"
          ? new RegExp(`^${label} \\S+ SIP/2\\.0\r\n`)
          : /^SIP\/2\.0 \d{3} [^\r\n]+\r\n/,
      )
      const [head = "", ...rest] = text.split("\r\n\r\n")
      assert.equal(Number(/^Content-Length: (\d+)$/m.exec(head)?.[1]), rest.join("\r\n\r\n").length, text)
      for (const header of ["Via", "From", "To", "Call-ID", "CSeq"])
        assert.match(head, new RegExp(`^${header}: .`, "m"), text)
    }
  })

  it("in columns, the publisher first, those who are many in one", { tags: ["OPS-ladder"] }, () => {
    const lanes = lanesOf(steps)
    assert.deepEqual([lanes[0], lanes.length, lanes.at(-1)], ["publisher", 6, "others"])
    const width = drawHead(["publisher"], plain).length
    assert.ok(width > 30)
    const drawn = steps.map((step) => drawStep(step, lanes, true, plain))
    assert.equal(drawn[0], "10:00:00.000    | ReplaceRules")
    assert.equal(
      drawn[1],
      "10:00:00.000    |<----------- SUBSCRIBE ------------|                 |                 |                 |                 |  presence",
    )
    assert.ok(drawn.every((line) => !line.includes("\n")))
    // every arrow ends at a line
    for (const line of drawn) assert.match(line.slice(16), /^\|(?: |<?-+ .* -+>?\|)/)
  })

  it(
    "as a Mermaid diagram, in which nothing that people wrote means anything",
    { tags: ["OPS-ladder"] },
    () => {
      const [message] = messages
      const odd: LadderMessage = { ...message!, remark: 'open "a; b"\nNote over x: #1 <y>' }
      const lines = [...mermaid([odd], lanesOf([odd]), true)]
      assert.deepEqual(lines, [
        "sequenceDiagram",
        "  participant server as server",
        "  participant p0 as publisher",
        "  participant p1 as bob@example.com",
        "  p1->>server: 10:00:00.000Z SUBSCRIBE open #34;a#59; b#34; Note over x: #35;1 #60;y#62;",
      ])
      const all = [...mermaid(steps, lanesOf(steps), true)]
      const known = new Set(all.flatMap((line) => /^ {2}participant (\w+) as /.exec(line)?.[1] ?? []))
      for (const line of all.slice(known.size + 1)) {
        const [, from, to] = /^ {2}(\w+)(?:->>|-->>|--x)(\w+): ./.exec(line) ?? []
        if (from !== undefined) assert.ok(known.has(from) && known.has(to!), line)
        else assert.match(line, /^ {2}Note over server: ./)
      }
    },
  )
})
