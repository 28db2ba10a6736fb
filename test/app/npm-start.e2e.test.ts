/**
 * `npm start` and `npx presently dev` as people run them, and as process managers end them: a signal to npm, or to all of its
 * group, ends the server.
 */
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { describe, it } from "vitest"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { holds, patienceMillis } from "../support/condition.ts"
import { ofTests } from "../support/reaper.ts"
import { startPresence } from "../support/server.ts"

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

const start = ["npm", "start", "--silent"] as const
const npx = ["npx", "presently", "dev"] as const

// so that it is made once
commandFile()

describe.concurrent("a server that npm runs", { timeout: 2 * patienceMillis }, () => {
  const cases = [
    [start, "SIGTERM", "npm"],
    [start, "SIGINT", "npm"],
    [start, "SIGHUP", "npm"],
    [start, "SIGKILL", "npm"],
    [start, "SIGTERM", "its group"],
    [start, "SIGINT", "its group"],
    // through a shell that passes nothing on; an interrupt alone leaves npm waiting for it
    [npx, "SIGTERM", "npm"],
    [npx, "SIGHUP", "npm"],
    [npx, "SIGKILL", "npm"],
    [npx, "SIGINT", "its group"],
  ] as const
  it.each(cases)("OPS-npm-start: %s, %s to %s: nobody is left", async ([program, ...args], signal, to) => {
    const npm = ofTests(
      spawn(program, args, {
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

  it.each(["SIGTERM", "SIGKILL"] as const)(
    "OPS-npm-start: npx presently watch, %s: nobody is left",
    async (signal) => {
      const server = await startPresence()
      const watch = ["presently", "watch", "sip:alice@example.com", "--to", `127.0.0.1:${server.udpPort}`]
      const npm = ofTests(
        spawn("npx", watch, {
          cwd: checkout,
          detached: true,
          stdio: ["ignore", "pipe", "ignore"],
          env: { ...process.env, ...compileCache },
        }),
        "group",
      )
      let said = ""
      npm.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
      const ended = new Promise((resolve) => npm.on("exit", resolve))
      await holds(
        () => `it watches: ${said}`,
        () => said.includes("active"),
      )
      const pid = npm.pid ?? 0
      const watchers = below(pid)
      assert.ok(watchers.length > 0)
      process.kill(pid, signal)
      await ended
      await holds("nobody is left", () => !watchers.some(isThere))
      await server.stop()
    },
  )
})
