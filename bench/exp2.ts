import { startPostgres } from "../test/support/postgres.ts"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
const [workload = "publish", seconds = "2", ...flags] = process.argv.slice(2)
const vflags = (process.env.VFLAGS ?? "").split(" ").filter(Boolean)
const cluster = (await startPostgres())!
const url = cluster.database()
const folder = process.env.TREE ?? join(import.meta.dirname, "..")
const main = process.env.SOURCES ? "src/app/main.ts" : "bin/presently.js"
const child = spawn(process.execPath, [...vflags, join(folder, main), "serve", "--database-url", url, "--insecure-no-auth", "--listen", "udp:127.0.0.1:0", "--admin", "off", "--set", "notify_min_interval=0", "--set", "notify_targets=127.0.0.1", ...flags], { stdio: ["ignore", "pipe", "inherit"] })
let said = ""
const port = await new Promise<number>((resolve, reject) => {
  child.stdout.setEncoding("utf8").on("data", (c: string) => {
    said += c
    const l = /udp:127\.0\.0\.1:(\d+)/.exec(said)
    if (l && /ready in/.test(said)) resolve(Number(l[1]))
  })
  child.once("exit", () => reject(new Error(said)))
})
const mark = (t: string) => { said += `\n@@@ ${t}\n` }
const drive = (w: string, run: string, s: string) => new Promise<string>((res) => {
  const d = spawn(process.execPath, [join(import.meta.dirname, "load/driver.ts"), `${port}`, w, run, s, `${child.pid},${cluster.pid()}`], { stdio: ["ignore", "pipe", "inherit"] })
  let o = ""
  d.stdout.on("data", (c) => { o += c })
  d.on("close", () => res(o))
})
for (let i = 0; i < Number(process.env.ROUNDS ?? 1); i++) {
  mark(`round ${i}`)
  const out = await drive(workload, `m${i}`, seconds)
  for (const o of out.trim().split("\n").map((l) => JSON.parse(l))) console.log(i, o.phase, o.operations, "ops", (o.operations / o.seconds).toFixed(0), "/s p50", o.p50.toFixed(1), "p99", o.p99.toFixed(1), "cpu us", o.cpu.map((u: number) => ((u / o.operations) * 1e6).toFixed(0)).join("+"))
}
mark("end")
const ended = new Promise((r) => child.once("exit", r))
child.kill("SIGTERM"); await ended
writeFileSync(process.env.OUT ?? "/tmp/exp/trace.txt", said)
cluster.remove()
