/**
 * What `presently doctor` makes of what the server that runs says of itself.
 */
import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { describe, it } from "vitest"
import { patient, runHere } from "./command.ts"

const clock = "degraded: the machine's clock is 2 h ahead of the right time"
const rules = "degraded: rules cannot be read"

const cases: readonly (readonly [status: number, said: string, line: RegExp])[] = [
  [200, "ready\n", /^ok +server: \S+ says ready$/m],
  [
    200,
    `ready\n${clock}\n`,
    /^warn +server: .*; set the clock right: docs\/operating\.md#when-the-clock-is-wrong$/m,
  ],
  [
    200,
    `ready\n${rules}\n`,
    /^warn +server: .*cannot be read; GET \/v1\/sources says since when; see below$/m,
  ],
  [
    200,
    `ready\n${rules}\n${clock}\n`,
    /^warn +server: .*; set the clock right: \S+; GET \/v1\/sources says/m,
  ],
  [
    503,
    "not ready: standby: the log is taken by presently serve 1, pid 7 on host b, since now\n",
    /^ok +server: \S+: a standby that waits for the log, which is taken by presently serve 1, pid 7 on host b/m,
  ],
  [503, "not ready: starting\n", /^bad +server: /m],
]

describe("the server that runs", { ...patient, tags: ["OPS-doctor"] }, () => {
  for (const [status, said, line] of cases) {
    it(`${status} ${said.trim().replaceAll("\n", ", ")}`, { tags: ["OPS-doctor"] }, async (context) => {
      const server = createServer((_, response) => void response.writeHead(status).end(said))
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      context.onTestFinished(() => void server.close())
      const { port } = server.address() as AddressInfo
      const { stdout } = await runHere([
        "doctor",
        "--memory",
        "--admin",
        `127.0.0.1:${port}`,
        "--listen",
        "udp:127.0.0.1:0",
      ])
      assert.match(stdout, line)
    })
  }
})
