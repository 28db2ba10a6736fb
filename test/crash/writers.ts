/**
 * Two or three servers on one database, started in any order, and again and again one of them is killed, stopped for a while, or
 * loses its database, under load. There must never be two that write: whatever was answered 2xx is there afterwards, no NOTIFY's
 * CSeq comes twice or goes back, rows of one server stand together in the log, and one that was stopped says nothing when it wakes.
 *
 *   node test/crash/writers.ts [--rounds 50] [--servers 3] [--lease 6] [--stop 30] [--publishers 20] [--watchers 2]
 *     [--actions kill,stop,database,'kill and database','start another']
 *
 * Needs PostgreSQL's binaries; the cluster is private, and removed at the end.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { on } from "../support/checked-store.ts"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { holds } from "../support/condition.ts"
import { freePort, startPostgres } from "../support/postgres.ts"
import type { PostgresCluster } from "../support/postgres.ts"
import { ofTests } from "../support/reaper.ts"
import { makeLoad } from "./load.ts"
import type { Findings } from "./load.ts"

const main = commandFile()

export const actions = ["kill", "stop", "database", "kill and database", "start another"] as const
export type Action = (typeof actions)[number]

export interface WritersOptions {
  readonly rounds: number
  readonly servers: number
  /** `writer_lease`, seconds. */
  readonly lease: number
  /** How long a server is stopped, seconds: longer than the lease. */
  readonly stop: number
  readonly publishers: number
  readonly watchers: number
  /** In turn. */
  readonly actions: readonly Action[]
  readonly say: (line: string) => void
}

export interface WritersFindings extends Findings {
  /** Seconds from the action until a server is ready again, by action. */
  readonly back: Readonly<Record<string, readonly number[]>>
  /** Servers whose rows do not stand together. */
  readonly mixed: readonly string[]
  /** What a server said that should have said nothing. */
  readonly wrong: readonly string[]
  readonly claims: number
}

interface Node {
  readonly port: number
  readonly admin: number
  readonly process: ChildProcess
}

/** Null when there is no PostgreSQL. */
export const writersTest = async (options: WritersOptions): Promise<WritersFindings | null> => {
  const cluster = await startPostgres()
  if (cluster === null) return null
  const url = cluster.database()
  const nodes: Node[] = []
  const places = await Promise.all(
    Array.from({ length: options.servers }, async () => [await freePort(), await freePort()] as const),
  )
  const wrong: string[] = []
  const start = (place: number): void => {
    const [port, admin] = places[place]!
    const child = spawnServer(url, port, admin, options.lease, true)
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on("data", (bytes: Buffer) => {
        const said = bytes.toString()
        if (said.includes("defect")) wrong.push(said)
      })
    }
    nodes[place] = { port, admin, process: child }
  }
  const back: Record<string, number[]> = {}
  try {
    for (const place of shuffled(places.keys())) {
      start(place)
      await pauseFor(Math.random() * 300)
    }
    let writer = await writerOf(nodes, null)
    await watchRows(url)
    const load = await makeLoad({
      port: writer.port,
      publishers: options.publishers,
      watchersEach: options.watchers,
    })
    try {
      for (let round = 1; round <= options.rounds; round++) {
        const action = options.actions[(round - 1) % options.actions.length]!
        load.resume()
        await pauseFor(400 + Math.random() * 800)
        const before = writer
        // a standby that is not ready yet would be waited for, and that is not what is measured
        await holds("the others wait", () => everyOtherWaits(nodes, writer))
        const from = performance.now()
        await act(action, { cluster, url, writer, lease: options.lease, wrong })
        const gone = action === "database" || action === "start another" ? null : before
        writer = await writerOf(nodes, gone)
        const seconds = (performance.now() - from) / 1000
        ;(back[action] ??= []).push(Number(seconds.toFixed(2)))
        load.moveTo(writer.port)
        await load.pause()
        if (action === "stop") {
          await pauseFor(Math.max(0, options.stop * 1000 - (performance.now() - from)))
          wrong.push(...(await wakeWithQuestion(before, writer)))
        }
        await load.verify()
        if (action === "kill" || action === "kill and database") start(nodes.indexOf(before))
        const { lost, disorder, checked } = load.findings()
        options.say(
          `round ${round}, ${action}: ready again in ${seconds.toFixed(2)} s; ${checked} promises checked, ${lost.length} lost, ` +
            `${disorder.length} out of order, ${wrong.length} wrong answers`,
        )
        if (lost.length + disorder.length + wrong.length > 20) break
      }
      const { mixed, claims } = await rowsOf(url)
      return { ...load.findings(), back, mixed, wrong, claims }
    } finally {
      load.close()
    }
  } finally {
    await Promise.all(nodes.map(({ process }) => kill(process)))
    cluster.remove()
  }
}

const act = async (
  action: Action,
  {
    cluster,
    url,
    writer,
    lease,
    wrong,
  }: { cluster: PostgresCluster; url: string; writer: Node; lease: number; wrong: string[] },
): Promise<void> => {
  switch (action) {
    case "kill":
      return kill(writer.process)
    case "stop":
      writer.process.kill("SIGSTOP")
      return
    case "database":
      cluster.stop("immediate")
      cluster.start()
      return
    case "kill and database":
      await kill(writer.process)
      cluster.stop("immediate")
      cluster.start()
      return
    case "start another": {
      const other = spawnServer(url, await freePort(), await freePort(), lease, false)
      const said: string[] = []
      other.stdout!.on("data", (bytes: Buffer) => said.push(bytes.toString()))
      other.stderr!.on("data", (bytes: Buffer) => said.push(bytes.toString()))
      const [code] = (await once(other, "exit")) as [number | null]
      if (code !== 74 || !said.join("").includes("is taken by presently serve"))
        wrong.push(`a second server ended with ${code}: ${said.join("")}`)
    }
  }
}

/** The one that is ready. @param not this one: it is gone */
const writerOf = async (nodes: readonly Node[], not: Node | null): Promise<Node> => {
  const found = await holds(
    () => `a writer; ended: ${nodes.map(({ process }) => process.exitCode ?? process.signalCode).join()}`,
    async () => {
      for (const node of nodes) {
        if (node === not) continue
        if ((await readiness(node)).startsWith("200")) return node
      }
      return null
    },
  )
  return found!
}

const everyOtherWaits = async (nodes: readonly Node[], writer: Node): Promise<boolean> => {
  const others = nodes.filter((node) => node !== writer && node.process.exitCode === null)
  const said = await Promise.all(others.map(readiness))
  return said.every((one) => one.includes("standby"))
}

const readiness = async ({ admin }: Node): Promise<string> => {
  try {
    const answer = await fetch(`http://127.0.0.1:${admin}/ready`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(1000),
    })
    return `${answer.status} ${await answer.text()}`
  } catch {
    return ""
  }
}

/**
 * Asks a stopped server for what only the other one knows, and lets it go on. What its memory would say is wrong.
 *
 * @returns what it said that it should not have
 */
const wakeWithQuestion = async (woken: Node, writer: Node): Promise<readonly string[]> => {
  const socket = createSocket("udp4")
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve))
  const answers: string[] = []
  socket.on("message", (bytes) => void answers.push(bytes.toString("latin1")))
  const { port } = socket.address()
  const publish = (to: number, cseq: number, ifMatch: string | null): void => {
    const text = [
      "PUBLISH sip:asked@crash.example SIP/2.0",
      `Via: SIP/2.0/UDP 127.0.0.1:${port};branch=z9hG4bK${Date.now()}x${cseq}`,
      "Max-Forwards: 70",
      "From: <sip:asked@crash.example>;tag=q",
      "To: <sip:asked@crash.example>",
      `Call-ID: asked-${port}`,
      `CSeq: ${cseq} PUBLISH`,
      "Event: presence",
      "Expires: 60",
      ...(ifMatch === null ? ["Content-Type: application/pidf+xml"] : [`SIP-If-Match: ${ifMatch}`]),
    ]
    const body =
      ifMatch === null
        ? '<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:asked@crash.example"><tuple id="t"><status><basic>open</basic></status></tuple></presence>'
        : ""
    socket.send(`${text.join("\r\n")}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, to, "127.0.0.1")
  }
  try {
    publish(writer.port, 1, null)
    const first = await holds("an entity-tag", () => answers.find((one) => one.startsWith("SIP/2.0 200")))
    answers.length = 0
    publish(woken.port, 2, /^SIP-ETag: (.*)\r$/m.exec(first!)?.[1] ?? "")
    woken.process.kill("SIGCONT")
    await holds("the one that was stopped waits", async () => (await readiness(woken)).includes("standby"))
    // it may refuse, or be gone before it reads
    return answers
      .filter((one) => !one.startsWith("SIP/2.0 503"))
      .map((one) => `woken: ${one.split("\r\n")[0]}`)
  } finally {
    socket.close()
  }
}

/** Has the database note whose session each row of the log came from. */
const watchRows = (url: string): Promise<unknown> =>
  on(
    url,
    "CREATE TABLE rows_seen (pos bigint, application text)",
    `CREATE FUNCTION see_row() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN INSERT INTO rows_seen VALUES (NEW.pos, current_setting('application_name')); RETURN NULL; END $$`,
    "CREATE TRIGGER seen AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION see_row()",
  )

const rowsOf = async (
  url: string,
): Promise<{ readonly mixed: readonly string[]; readonly claims: number }> => {
  const mixed = (await on(
    url,
    `SELECT application, count(*)::int AS runs FROM (
       SELECT application, lag(application) OVER (ORDER BY pos) AS before FROM rows_seen) r
     WHERE before IS DISTINCT FROM application GROUP BY 1 HAVING count(*) > 1`,
  )) as readonly { readonly application: string; readonly runs: number }[]
  const [row] = (await on(url, "SELECT count(*)::int AS n FROM claims")) as readonly { readonly n: number }[]
  return { mixed: mixed.map(({ application, runs }) => `${application}: ${runs} runs`), claims: row?.n ?? 0 }
}

const spawnServer = (
  url: string,
  port: number,
  admin: number,
  lease: number,
  standby: boolean,
): ChildProcess => {
  const settings = ["notify_min_interval=0", "log=json", "db_update_period=1", `writer_lease=${lease}`]
  const server = spawn(
    process.execPath,
    [main, "serve", "--listen", `udp:127.0.0.1:${port}`, "--admin", `127.0.0.1:${admin}`].concat(
      ["--database-url", url],
      standby ? ["--standby"] : [],
      settings.flatMap((one) => ["--set", one]),
    ),
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...compileCache } },
  )
  server.stdout.resume()
  server.stderr.resume()
  return ofTests(server)
}

const kill = async (server: ChildProcess): Promise<void> => {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = once(server, "exit")
  server.kill("SIGKILL")
  await gone
}

const shuffled = <A>(all: Iterable<A>): readonly A[] =>
  [...all]
    .map((one) => [Math.random(), one] as const)
    .sort(([a], [b]) => a - b)
    .map(([, one]) => one)

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "50" },
      servers: { type: "string", default: "3" },
      lease: { type: "string", default: "6" },
      stop: { type: "string", default: "30" },
      publishers: { type: "string", default: "20" },
      watchers: { type: "string", default: "2" },
      actions: { type: "string", default: actions.join() },
    },
  })
  const findings = await writersTest({
    rounds: Number(values.rounds),
    servers: Number(values.servers),
    lease: Number(values.lease),
    stop: Number(values.stop),
    publishers: Number(values.publishers),
    watchers: Number(values.watchers),
    actions: values.actions.split(",") as Action[],
    say: (line) => console.log(line),
  })
  if (findings === null) {
    console.error("no PostgreSQL binaries found: install PostgreSQL and try again")
    process.exitCode = 69
  } else {
    console.log(JSON.stringify(findings, null, 2))
    const { lost, disorder, mixed, wrong } = findings
    process.exitCode = lost.length + disorder.length + mixed.length + wrong.length === 0 ? 0 : 1
  }
}
