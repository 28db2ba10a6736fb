/**
 * `npm start` as people run it, and as process managers end it: a signal to npm, or to all of its group, ends the server.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { compileCache } from "../support/compile-cache.ts"
import { holds, patienceMillis } from "../support/condition.ts"
import { ofTests } from "../support/reaper.ts"

const checkout = join(import.meta.dirname, "../..")

/** Processes below that one, by what the kernel says. */
const below = (pid: number): readonly number[] => {
  const children = readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8")
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid ? [Number(name)] : []
    } catch {
      return []
    }
  })
  return children.flatMap((child) => [child, ...below(child)])
}

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe.concurrent("npm start", { timeout: 2 * patienceMillis }, () => {
  const cases = [
    ["SIGTERM", "npm"],
    ["SIGINT", "npm"],
    ["SIGTERM", "its group"],
    ["SIGINT", "its group"],
  ] as const
  it.each(cases)("OPS-npm-start: %s to %s ends the server, and leaves nobody behind", async (signal, to) => {
    const npm = ofTests(
      spawn("npm", ["start", "--silent"], {
        cwd: checkout,
        detached: true,
        stdio: ["ignore", "pipe", "ignore"],
        env: {
          ...process.env,
          ...compileCache,
          PRESENTLY_LISTEN: "udp:127.0.0.1:0",
          PRESENTLY_ADMIN: "off",
          PRESENTLY_MEMORY: "1",
        },
      }),
      "group",
    )
    let said = ""
    npm.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
    const ended = new Promise((resolve) => npm.on("exit", resolve))
    await holds(
      () => `it is ready: ${said}`,
      () => said.includes("ready in"),
    )
    const pid = npm.pid ?? 0
    const servers = below(pid)
    assert.ok(servers.length > 0)
    process.kill(to === "npm" ? pid : -pid, signal)
    await ended
    await holds("nobody is left", () => !servers.some(isThere))
  })
})
