/**
 * Ladders as capture files, as another program reads them.
 */
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { describe, it } from "vitest"
import type { SipMessage } from "../../../src/app/ladder/message-text.ts"
import { makeCapture, pcapHead } from "../../../src/app/ladder/pcap.ts"
import { at } from "../../support/builders.ts"
import { messages } from "../../support/ladder.ts"
import { fileOf } from "../cli/command.ts"

const hasTshark = spawnSync("tshark", ["--version"]).status === 0

describe.skipIf(!hasTshark)("a capture file", () => {
  const read = (file: string, ...args: readonly string[]): readonly string[] => {
    const checks = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]
    const { stdout, status, stderr } = spawnSync("tshark", ["-r", file, ...checks, ...args], {
      encoding: "utf8",
    })
    assert.equal(status, 0, stderr)
    return stdout
      .trimEnd()
      .split("\n")
      .filter((line) => line !== "")
  }

  it(
    "is read by tshark: every message is SIP, sums are right, times are those of the log",
    { tags: ["OPS-ladder"] },
    (context) => {
      const sent = messages.filter(({ bytes }) => bytes !== null)
      // one between addresses of the newer kind, one with an odd length, one of somebody without address
      const more: readonly SipMessage[] = [
        {
          ...sent[0]!,
          at: at("12:00:00"),
          server: { host: "2001:db8::10", port: 5060 },
          peer: { host: "2001:db8::ffff:192.0.2.1", port: 5070 },
        },
        {
          ...sent[0]!,
          at: at("12:00:00"),
          bytes: Buffer.concat([sent[0]!.bytes!.subarray(0, -2), Buffer.from("X: y\r\n\r\n")]),
        },
        { ...sent[0]!, at: at("12:00:01"), peer: null },
      ]
      const capture = makeCapture()
      const packets = [...sent, ...more].map((message) => capture.packet(message)!)
      const file = fileOf(context, "ladder.pcap", "")
      writeFileSync(file, Buffer.concat([pcapHead(), ...packets]))
      const fields = [
        "frame.time_epoch",
        "ip.src",
        "ipv6.src",
        "udp.srcport",
        "sip.Method",
        "sip.Status-Code",
        "sip.CSeq",
      ].flatMap((field) => ["-e", field])
      const rows = read(file, "-Y", "sip", "-T", "fields", ...fields).map((row) => row.split("\t"))
      assert.equal(rows.length, packets.length)
      for (const [index, { at: when, label }] of sent.entries()) {
        const [epoch, , , , method, status] = rows[index]!
        assert.ok(Math.abs(Number(epoch) * 1000 - when) < 1, `${epoch} is not ${when}`)
        assert.equal(/^[A-Z]+$/.test(label) ? method : status, label.split(" ")[0])
      }
      const [ipv6, , nobody] = rows.slice(-3)
      assert.deepEqual([ipv6?.[2], ipv6?.[3]], ["2001:db8::ffff:c000:201", "5070"])
      assert.match(nobody?.[1] ?? "", /^203\.0\.113\.\d+$/)
      assert.deepEqual(
        read(
          file,
          "-Y",
          "ip.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed || _ws.expert.severity == error",
        ),
        [],
      )
      assert.equal(read(file, "-Y", "udp.checksum.status == 1").length, packets.length)
    },
  )
})
