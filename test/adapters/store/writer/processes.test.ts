import { spawn } from "node:child_process"
import { once } from "node:events"
import { assert, describe, it } from "vitest"
import { hasEnded, processIdentity } from "../../../../src/adapters/store/writer/processes.ts"

const identity = processIdentity()

describe.skipIf(identity === "")("the process that has the log", () => {
  it("has ended when it was killed, and not before", { tags: ["OPS-writer"] }, async () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" })
    await once(child, "spawn")
    const one = processIdentity(child.pid)
    assert.notStrictEqual(one, "")
    assert.isFalse(hasEnded(one))
    child.kill("SIGSTOP")
    assert.isFalse(hasEnded(one))
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
    assert.isTrue(hasEnded(one))
  })

  it(
    "has ended when its number belongs to one that began at another time",
    { tags: ["OPS-writer"] },
    async () => {
      const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" })
      await once(child, "spawn")
      const parts = processIdentity(child.pid).split(" ")
      parts[3] = String(Number(parts[3]) - 1)
      assert.isTrue(hasEnded(parts.join(" ")))
      child.kill("SIGKILL")
    },
  )

  it(
    "is never known to have ended on another machine, in another container, or when nothing is known of it",
    { tags: ["OPS-writer"] },
    () => {
      const [boot, namespace] = identity.split(" ")
      assert.isFalse(hasEnded(identity))
      assert.isFalse(hasEnded(""))
      assert.isFalse(hasEnded(`another ${namespace} 4194303 1`))
      assert.isFalse(hasEnded(`${boot} pid:[1] 4194303 1`))
      assert.isFalse(hasEnded(`${boot} ${namespace} x 1`))
    },
  )
})
