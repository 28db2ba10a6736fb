/**
 * QR codes in a terminal: read back by another program's reader, as a camera would see them.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { accountText } from "../../../src/app/lan/banner.ts"
import { drawCodes, terminalTraits } from "../../../src/app/lan/qr.ts"
import { readCodes } from "../../support/qr.ts"

const account = (user: string) => ({ user, password: "abcdefghjkmnpq", file: "" })
const items = ["201", "202", "203"].map((user) => ({
  caption: `account ${user}`,
  text: accountText(account(user), "192.0.2.10"),
}))
const texts = items.map(({ text }) => text)

describe("QR codes", { tags: ["F4"] }, () => {
  it.for([
    [200, true],
    [200, false],
    [80, true],
    [80, false],
    [37, true],
  ] as const)("are read from a terminal of %d columns, colour %s", async ([width, hasColor]) => {
    const lines = await drawCodes(items, { width, hasColor })
    assert.deepEqual(readCodes(lines), texts)
    // oxlint-disable-next-line no-control-regex
    const plain = lines.map((line) => line.replaceAll(/\u001b\[[\d;]*m/g, ""))
    assert.ok(plain.every((line) => line.length <= width))
    assert.equal(lines.join("").includes("\u001b"), hasColor)
    for (const { caption } of items) assert.ok(plain.join("\n").includes(caption))
  })

  it("are left out where not even one has room", async () => {
    assert.deepEqual(await drawCodes(items, { width: 36, hasColor: true }), [])
  })

  it("hold the longest account that there can be", async () => {
    const text = accountText(account("x".repeat(64)), `[${"2001:".repeat(7)}2001]:5079`)
    assert.deepEqual(readCodes(await drawCodes([{ caption: "", text }], { width: 200, hasColor: false })), [
      text,
    ])
  })

  it.for([
    [{ isTTY: true, columns: 100 }, { LANG: "en_US.UTF-8" }, "linux", { width: 100, hasColor: true }],
    [{ isTTY: true }, { LC_ALL: "C.utf8", LANG: "C" }, "linux", { width: 80, hasColor: true }],
    [
      { isTTY: true, columns: 100 },
      { LC_ALL: "", LANG: "de_DE.UTF-8", NO_COLOR: "1" },
      "linux",
      { width: 100, hasColor: false },
    ],
    [{ isTTY: true, columns: 100 }, { NO_COLOR: "" }, "win32", { width: 100, hasColor: true }],
    // no terminal, or one that cannot show the characters
    [{ columns: 100 }, { LANG: "en_US.UTF-8" }, "linux", null],
    [{ isTTY: true }, {}, "linux", null],
    [{ isTTY: true }, { LC_ALL: "POSIX", LANG: "en_US.UTF-8" }, "linux", null],
    [{ isTTY: true }, { LANG: "en_US.UTF-8", TERM: "dumb" }, "linux", null],
  ] as const)("%j with %j on %s: %j", ([stream, env, platform, expected]) => {
    assert.deepEqual(terminalTraits(stream, env, platform), expected)
  })
})
