/**
 * Whether a server is there to be used, as its socket tells.
 */
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import type { TestContext } from "vitest"
import { answers, socketName } from "../../../../src/adapters/store/private-server/guard.ts"

const folderOf = ({ onTestFinished }: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), "presently-socket-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Something that listens where the server would. */
const listening = async (context: TestContext, connected: (socket: Socket) => void): Promise<string> => {
  const folder = folderOf(context)
  const server = createServer(connected).listen(join(folder, socketName))
  await once(server, "listening")
  context.onTestFinished(() => void server.close())
  return folder
}

describe("a server's socket", { tags: ["OPS-data"] }, () => {
  it("that answers is served", async (context) => {
    const folder = await listening(context, (socket) => socket.once("data", () => socket.end("N")))
    assert.isTrue(await answers(folder))
  })

  it("that takes connections and drops them, as that of a killed server, is not", async (context) => {
    const folder = await listening(context, (socket) => socket.once("data", () => socket.destroy()))
    assert.isFalse(await answers(folder))
  })

  it("that takes connections and says nothing is not", async (context) => {
    const folder = await listening(context, (socket) => void socket.resume())
    assert.isFalse(await answers(folder))
  })

  it("that nobody listens on is not", async (context) => {
    assert.isFalse(await answers(folderOf(context)))
  })
})
