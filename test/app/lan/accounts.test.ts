/**
 * Accounts that `dev --lan` makes and keeps.
 */
import assert from "node:assert/strict"
import { chmodSync, readFileSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { describe, it } from "vitest"
import type { TestContext } from "vitest"
import { ha1Of } from "../../../src/adapters/sip/digest.ts"
import { readUsers } from "../../../src/app/config/users.ts"
import { phoneAccounts, writeUsers } from "../../../src/app/lan/accounts.ts"

const folderFor = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-accounts-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, "phones")
}

const modeOf = (file: string): string => (statSync(file).mode & 0o777).toString(8)

describe("accounts of phones", { tags: ["F4"] }, () => {
  it("are made once, for their owner only", (context) => {
    const folder = folderFor(context)
    const made = phoneAccounts(folder)
    assert.deepEqual(
      made.map(({ user }) => user),
      ["201", "202", "203"],
    )
    assert.equal(new Set(made.map(({ password }) => password)).size, 3)
    for (const { password, file } of made) {
      // without letters that look like others or like digits
      assert.match(password, /^[abcdefghjkmnpqrstuvwxyz]{14}$/)
      assert.equal(modeOf(file), "600")
    }
    assert.equal(modeOf(folder), "700")
    assert.deepEqual(phoneAccounts(folder), made)
    assert.equal(modeOf(writeUsers(folder, made, "192.0.2.10", "192.0.2.10")), "600")
    assert.deepEqual(readdirSync(folder).sort(), [
      "201.password",
      "202.password",
      "203.password",
      "users-192.0.2.10",
    ])
  })

  it("are in a file of users for each address, so that a start elsewhere changes none of a running server", (context) => {
    const folder = folderFor(context)
    const made = phoneAccounts(folder)
    const file = writeUsers(folder, made, "192.0.2.10", "192.0.2.10")
    const before = readFileSync(file, "utf8")
    const others = ["127.0.0.1", "[2001:db8::1]"].map((host) => writeUsers(folder, made, "presently", host))
    assert.equal(readFileSync(file, "utf8"), before)
    assert.equal(new Set([file, ...others]).size, 3)
    assert.equal(writeUsers(folder, made, "192.0.2.10", "192.0.2.10"), file)
  })

  it("get a new password when their file is deleted; others stay, and further ones are taken", (context) => {
    const folder = folderFor(context)
    const before = phoneAccounts(folder)
    rmSync(before[1]!.file)
    writeFileSync(join(folder, "alice.password"), "my own\tsecret".replaceAll(/\s/g, "-") + "\r\nremarks\n", {
      mode: 0o644,
    })
    chmodSync(folder, 0o755)
    // of a start that was killed
    writeFileSync(join(folder, "201.password.new"), "")
    const after = phoneAccounts(folder)
    assert.deepEqual(
      after.map(({ user }) => user),
      ["201", "202", "203", "alice"],
    )
    assert.deepEqual([after[0], after[2]], [before[0], before[2]])
    assert.notEqual(after[1]!.password, before[1]!.password)
    assert.equal(after[3]!.password, "my-own-secret")
    assert.deepEqual([modeOf(after[3]!.file), modeOf(folder)], ["600", "700"])
  })

  it.for([
    ["204.password", ""],
    ["204.password", "\nsecret\n"],
    ["204.password", "two words"],
    ["204.password", "pässword"],
    ["a:b.password", "secret"],
    [".password", "secret"],
    ["two words.password", "secret"],
  ] as const)("%s with %j is an error that names the file", ([name, text], context) => {
    const folder = folderFor(context)
    phoneAccounts(folder)
    writeFileSync(join(folder, name), text)
    assert.throws(
      () => phoneAccounts(folder),
      (error: Error) => error.message.startsWith(`${join(folder, name)}: `),
    )
  })

  it.for([
    ["192.0.2.10", "192.0.2.10"],
    ["presently", "[2001:db8::1]"],
  ] as const)(
    "realm %s, host %s: the file of users has them for SHA-256 and MD5",
    async ([realm, host], context) => {
      const folder = folderFor(context)
      const accounts = phoneAccounts(folder)
      const users = await Effect.runPromise(readUsers(writeUsers(folder, accounts, realm, host)))
      assert.equal(users.size, 3)
      for (const { user, password } of accounts) {
        const secret = users.lookup(user, realm)
        assert.ok(secret !== null)
        for (const algorithm of ["SHA-256", "MD5"] as const)
          assert.equal(ha1Of(secret, user, realm, algorithm), ha1Of({ password }, user, realm, algorithm))
        assert.equal(users.addressOf(user, realm), `sip:${user}@${host}`)
      }
    },
  )
})
