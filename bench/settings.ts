/**
 * What settings cost: a server, over UDP, so many PUBLISH that modify, each with one watcher who is notified. Prints the
 * processor time of the server for one PUBLISH with its NOTIFY, without and with the settings, in turn, as ratios to without.
 * On the database in DATABASE_URL, else in memory. Linux only.
 *
 *   node bench/settings.ts [--with KEY=VALUE[,KEY=VALUE]]... [--runs 5] [--count 20000] [--other DIR]
 *
 * --other: another checkout beside them, without. Traces (trace_percent) go to a collector that is started here.
 */
import { spawn } from "node:child_process"
import { createSocket } from "node:dgram"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    count: { type: "string", default: "20000" },
    other: { type: "string" },
    with: { type: "string", multiple: true, default: ["trace_percent=1", "trace_percent=100"] },
  },
})
const runs = Number(values.runs)
const count = Number(values.count)
const warmUp = Math.ceil(count / 4)
const presentities = 100
const atOnce = 20

const collector = createServer((request, response) => {
  request.resume().on("end", () => response.end())
})
await new Promise<void>((listening) => collector.listen(0, "127.0.0.1", listening))
const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`

interface Variant {
  readonly name: string
  readonly folder: string
  readonly flags: readonly string[]
}
const here = join(import.meta.dirname, "..")
const flagsOf = (settings: string): readonly string[] => [
  ...settings.split(",").flatMap((one) => ["--set", one]),
  ...(settings.includes("trace_percent") ? ["--set", `otlp_endpoint=${endpoint}`] : []),
]
const variants: readonly Variant[] = [
  { name: "without", folder: here, flags: [] },
  ...(values.other === undefined ? [] : [{ name: "other", folder: values.other, flags: [] }]),
  ...values.with.map((settings) => ({ name: settings, folder: here, flags: flagsOf(settings) })),
]
const url = process.env["DATABASE_URL"]

/** Seconds of processor time used so far; the kernel counts hundredths. */
const cpuOf = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  return (Number(fields[11]) + Number(fields[12])) / 100
}

const document = (user: string, no: number): string =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:${user}@example.com"><tuple id="t"><status><basic>` +
  `${no % 2 === 0 ? "open" : "closed"}</basic></status><note>${no}</note></tuple></presence>`

/** Microseconds for one PUBLISH and its NOTIFY. */
const measure = async ({ folder, flags }: Variant): Promise<number> => {
  const server = spawn(
    process.execPath,
    [
      join(folder, "src/app/main.ts"),
      "serve",
      ...(url === undefined ? ["--memory"] : ["--database-url", url]),
      "--insecure-no-auth",
      "--listen",
      "udp:127.0.0.1:0",
      "--admin",
      "off",
      "--set",
      "notify_min_interval=0",
      ...flags,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  )
  const port = await new Promise<number>((found) => {
    let said = ""
    server.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      said += chunk
      const at = /udp:127\.0\.0\.1:(\d+)/.exec(said)
      if (at !== null && /ready in/.test(said)) found(Number(at[1]))
    })
  })
  const socket = createSocket("udp4")
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound))
  const own = `127.0.0.1:${socket.address().port}`
  const waiting = new Map<string, (response: string) => void>()
  let notified = 0
  socket.on("message", (bytes) => {
    const text = bytes.toString("latin1")
    if (text.startsWith("NOTIFY")) {
      notified += 1
      const kept = text.match(/^(?:via|from|to|call-id|cseq):.*\r\n/gim) ?? []
      socket.send(`SIP/2.0 200 OK\r\n${kept.join("")}Content-Length: 0\r\n\r\n`, port)
      return
    }
    const id = /^call-id: *(\S+)/im.exec(text)?.[1] ?? ""
    waiting.get(id)?.(text)
    waiting.delete(id)
  })
  let calls = 0
  const ask = (method: string, user: string, headers: string, body = ""): Promise<string> =>
    new Promise((answered) => {
      const id = `c${++calls}`
      waiting.set(id, answered)
      socket.send(
        `${method} sip:${user}@example.com SIP/2.0\r\nVia: SIP/2.0/UDP ${own};branch=z9hG4bK${id}\r\nMax-Forwards: 70\r\n` +
          `From: <sip:w@example.com>;tag=${id}\r\nTo: <sip:${user}@example.com>\r\nCall-ID: ${id}\r\nCSeq: 1 ${method}\r\n` +
          `Contact: <sip:w@${own}>\r\nEvent: presence\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`,
        port,
      )
    })
  const users = Array.from({ length: presentities }, (_, index) => `user${index}-${server.pid}`)
  const tags = new Map<string, string>()
  const publish = async (user: string, no: number): Promise<void> => {
    const tag = tags.get(user)
    const answer = await ask(
      "PUBLISH",
      user,
      `Content-Type: application/pidf+xml\r\nExpires: 3600\r\n${tag === undefined ? "" : `SIP-If-Match: ${tag}\r\n`}`,
      document(user, no),
    )
    const next = /^sip-etag: *(\S+)/im.exec(answer)?.[1]
    if (next === undefined) throw new Error(answer)
    tags.set(user, next)
  }
  for (const user of users) {
    await ask("SUBSCRIBE", user, "Expires: 3600\r\n")
    await publish(user, 0)
  }
  const run = async (total: number): Promise<void> => {
    let no = 0
    const lane = async (first: number): Promise<void> => {
      for (let at = first; no < total; at = (at + atOnce) % presentities) await publish(users[at] ?? "", ++no)
    }
    await Promise.all(Array.from({ length: atOnce }, (_, index) => lane(index)))
  }
  await run(warmUp)
  const [before, notifiedBefore] = [cpuOf(server.pid ?? 0), notified]
  await run(count)
  const used = cpuOf(server.pid ?? 0) - before
  if (notified - notifiedBefore < count * 0.98) throw new Error(`only ${notified - notifiedBefore} NOTIFYs`)
  const ended = new Promise((done) => server.once("exit", done))
  server.kill("SIGTERM")
  await ended
  socket.close()
  return (used / count) * 1e6
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0

const figures = new Map<string, number[]>(variants.map(({ name }) => [name, []]))
for (let run = 0; run < runs; run += 1) {
  // whoever goes first changes from round to round
  const order = run % 2 === 0 ? variants : variants.toReversed()
  for (const variant of order) figures.get(variant.name)?.push(await measure(variant))
}
const without = figures.get("without") ?? []
console.log(`${runs} runs of ${count} PUBLISH, each with a NOTIFY; processor time of the server, median`)
for (const [name, numbers] of figures) {
  const ratios = numbers.map((figure, run) => figure / (without[run] ?? 1))
  const spread = `${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}`
  console.log(
    `${name.padEnd(Math.max(...[...figures.keys()].map(({ length }) => length)))} ${median(numbers).toFixed(1)} µs  ×${median(ratios).toFixed(3)} (${spread})`,
  )
}
collector.close()
