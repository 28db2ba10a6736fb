/**
 * Users of a server that requires authentication, and how a call authenticates.
 */
import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TestContext } from "vitest"
import { authorize, challengeOf } from "../../src/app/client/credentials.ts"
import type { Credentials } from "../../src/app/client/credentials.ts"
import type { Message } from "../../src/app/client/wire.ts"
import type { Headers, Script } from "./sip-client.ts"

/** A file of users that is removed after the test. */
export const usersFile = (
  { onTestFinished }: Pick<TestContext, "onTestFinished">,
  ...lines: readonly string[]
): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-users-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "users.txt")
  writeFileSync(file, `${lines.join("\n")}\n`)
  return file
}

/** Subscribes, is challenged, and responds with these credentials. */
export const subscribeAs = async (
  call: Script,
  credentials: Credentials,
  headers: Headers = {},
): Promise<Message> => {
  const challenge = challengeOf(await call.subscribe(headers))
  assert.ok(challenge !== null, "a challenge")
  const target = call.target
  return call.subscribe({
    ...headers,
    Authorization: authorize(challenge, credentials, "SUBSCRIBE", target),
  })
}
