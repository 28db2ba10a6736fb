/**
 * `presently user`: lines that the server reads.
 */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { parseUsers } from "../../../src/app/config/users.ts"
import { patient, run } from "./command.ts"

describe.concurrent("presently user", patient, () => {
  it("CLI OPS-users_file: --address writes the address of the account beside it, in its one spelling", async () => {
    const args = ["user", "4711", "--realm", "pbx", "--address", "sip:Alice@EXAMPLE.com:5060"]
    const { code, stdout } = await run(args, { input: "secret\n" })
    assert.equal(code, 0)
    assert.match(stdout, /^4711:pbx:[0-9a-f]{64}:sip:Alice@example\.com\n$/)
    assert.equal(parseUsers(stdout, "users.txt").addressOf("4711", "pbx"), "sip:Alice@example.com")
  })

  it("CLI: an address that is none is named, with exit code 64", async () => {
    const { code, stderr, stdout } = await run(
      ["user", "4711", "--realm", "pbx", "--address", "alice@example.com"],
      { input: "secret\n" },
    )
    assert.deepEqual([code, stdout], [64, ""])
    assert.match(stderr, /--address "alice@example\.com": expected a URI such as sip:alice@example\.com/)
  })
})
