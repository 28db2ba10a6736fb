/**
 * Stops and starts a server again and again under load while rules change behind its back, and checks that no watcher is ever
 * shown a document that the rules in force at that instant hide.
 *
 *   node test/crash/rules-restart.ts [--source folder|files|table|port|all] [--count 200] [--kills 10] [--seed 1]
 *
 * Every `kills`-th life is that of a process of its own, which is killed; the others are stopped in this one. The log is in
 * PostgreSQL, where there is one, else in the embedded database. `port`: rules are put over the management port, and must be
 * there after a start.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { createSocket } from "node:dgram"
import type { Socket } from "node:dgram"
import { once } from "node:events"
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import type { SettingName } from "../../src/app/config/settings.ts"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { freePort, sharedPostgres } from "../support/postgres.ts"
import { ruleFor, ruleset } from "../support/rules-builders.ts"
import { startPresence } from "../support/server.ts"

export const restartSources = ["folder", "files", "table", "port"] as const
export type RestartSource = (typeof restartSources)[number]

export interface RestartOptions {
  readonly source: RestartSource
  readonly count: number
  /** Every so many lives one ends by kill -9; 0: none does. */
  readonly kills: number
  readonly seed: number
  readonly say: (line: string) => void
}

export interface RestartFindings {
  /** Who was shown what, and what the rules said. */
  readonly shown: readonly string[]
  readonly lives: number
  /** NOTIFYs with a document, and without one. */
  readonly documents: number
  readonly hidden: number
  readonly answers: number
}

type Treat = "allow" | "block" | "confirm" | "polite-block"
/** By watcher; null: there is no document. */
type Rules = readonly Treat[] | null
/** `bad`: there is one, and it cannot be used. */
type Wanted = Rules | "bad"

const presentities = ["p0", "p1", "p2", "p3", "p4"]
const watchers = ["w0", "w1", "w2"]
const domain = "example.com"
const others = 40
const uri = (user: string): string => `sip:${user}@${domain}`
const secret = "secret-"

const main = commandFile()

/** Small and the same everywhere (mulberry32). */
const makeRandom = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
  return {
    chance: (probability: number): boolean => next() < probability,
    pick: <A>(all: readonly A[]): A => all[Math.floor(next() * all.length)]!,
  }
}

const textOf = (treats: readonly Treat[]): string =>
  ruleset(treats.map((treat, index) => ruleFor(uri(watchers[index]!), treat)).join(""))

/** Where rules are changed. */
interface Place {
  readonly settings: Readonly<Partial<Record<SettingName, unknown>>>
  /** While the server is down. */
  readonly write: (presentity: string, wanted: Wanted) => Promise<void>
  readonly close: () => void
}

const filePlace = (isFolder: boolean): Place => {
  const folder = mkdtempSync(join(tmpdir(), "presently-restart-"))
  const path = (user: string): string => join(folder, `${user}@${domain}.xml`)
  const put = (file: string, text: string): void => {
    writeFileSync(`${file}.new`, text)
    renameSync(`${file}.new`, file)
  }
  for (let index = 0; index < others; index++) put(path(`other${index}`), textOf(["block", "allow", "block"]))
  // named one by one there has to be a file
  const empty = ruleset("")
  if (!isFolder) for (const user of presentities) put(path(user), empty)
  return {
    settings: isFolder
      ? { rules_dir: folder }
      : { static_rules: presentities.map((user) => `${uri(user)}=${path(user)}`) },
    write: async (user, wanted) => {
      rmSync(path(user), { force: true })
      if (wanted === "bad") {
        if (isFolder) symlinkSync("/nowhere/at/all", path(user))
        else put(path(user), "<ruleset")
      } else if (wanted !== null) put(path(user), textOf(wanted))
      else if (!isFolder) put(path(user), empty)
    },
    close: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const tablePlace = (url: string): Place => {
  const run = (statement: (sql: PgClient.PgClient) => Effect.Effect<unknown, unknown>): Promise<unknown> =>
    Effect.runPromise(
      PgClient.PgClient.pipe(
        Effect.flatMap(statement),
        Effect.provide(PgClient.layer({ url: Redacted.make(url) })),
      ),
    )
  return {
    settings: { integrated_xcap_server: true, xcap_poll_interval: 1 },
    write: async (user, wanted) => {
      await run((sql) =>
        Effect.gen(function* () {
          // the first start makes the table
          const [there] = yield* sql<{ is: boolean }>`SELECT to_regclass('xcap') IS NOT NULL AS is`
          if (there?.is !== true) return
          yield* sql`DELETE FROM xcap WHERE username = ${user}`
          if (wanted === null) return
          const doc = wanted === "bad" ? "ff00fe" : Buffer.from(textOf(wanted)).toString("hex")
          yield* sql`INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port)
            VALUES (${user}, ${domain}, decode(${doc}, 'hex'), 2, 'e', 0, 'index', 0)`
        }),
      )
    },
    close: () => {},
  }
}

const portPlace = (): Place => ({
  settings: { policy: "rules" },
  write: () => Promise.resolve(),
  close: () => {},
})

/** A phone that takes every NOTIFY. */
interface Phone {
  readonly ask: (
    method: string,
    presentity: string,
    headers: readonly string[],
    body?: string,
  ) => Promise<number>
  readonly etag: () => string | null
  /** Resolves when all that had come before has been read. */
  readonly drain: () => Promise<void>
  readonly close: () => void
}

const openPhone = async (
  user: string,
  port: number,
  notified: (presentity: string, shows: boolean) => void,
): Promise<Phone> => {
  const socket: Socket = createSocket("udp4")
  socket.bind(0, "127.0.0.1")
  await once(socket, "listening")
  const own = socket.address().port
  const waiting = new Map<string, (status: number) => void>()
  let etag: string | null = null
  let count = 0
  const marks = new Map<string, () => void>()
  socket.on("message", (bytes) => {
    const message = bytes.toString("utf8")
    const mark = marks.get(message)
    if (mark !== undefined) return mark()
    const header = (name: string): string =>
      new RegExp(`^${name}\\s*:\\s*(.*)$`, "im").exec(message)?.[1]?.trim() ?? ""
    if (message.startsWith("NOTIFY ")) {
      notified(/sip:(\w+)@/.exec(header("From"))?.[1] ?? "", message.includes(secret))
      const copied = ["Via", "From", "To", "Call-ID", "CSeq"].map((name) => `${name}: ${header(name)}`)
      socket.send(["SIP/2.0 200 OK", ...copied, "Content-Length: 0", "", ""].join("\r\n"), port, "127.0.0.1")
      return
    }
    etag = header("SIP-ETag") || etag
    const callId = header("Call-ID")
    waiting.get(callId)?.(Number(message.split(" ")[1]))
    waiting.delete(callId)
  })
  return {
    etag: () => etag,
    drain: () =>
      new Promise((resolve) => {
        const mark = `mark ${++count}`
        // a queue that is full takes it later
        const send = (): void => socket.send(mark, own, "127.0.0.1")
        const again = setInterval(send, 100)
        marks.set(mark, () => {
          clearInterval(again)
          marks.delete(mark)
          resolve()
        })
        send()
      }),
    close: () => socket.close(),
    ask: (method, presentity, headers, body = "") =>
      new Promise((resolve) => {
        const callId = `${user}-${own}-${++count}`
        const timer = setTimeout(() => {
          waiting.delete(callId)
          resolve(0)
        }, 150)
        waiting.set(callId, (status) => {
          clearTimeout(timer)
          resolve(status)
        })
        const lines = [
          `${method} ${uri(presentity)} SIP/2.0`,
          `Via: SIP/2.0/UDP 127.0.0.1:${own};branch=z9hG4bK${callId}`,
          `From: <${uri(user)}>;tag=t${count}`,
          `To: <${uri(presentity)}>`,
          `Call-ID: ${callId}`,
          `CSeq: ${count} ${method}`,
          "Max-Forwards: 70",
          `Contact: <sip:${user}@127.0.0.1:${own}>`,
          "Event: presence",
          ...headers,
          `Content-Length: ${Buffer.byteLength(body)}`,
          "",
          body,
        ]
        socket.send(lines.join("\r\n"), port, "127.0.0.1")
      }),
  }
}

const pidf = (user: string, count: number): string =>
  `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${uri(user)}"><tuple id="t"><status><basic>open</basic></status>` +
  `<note>${secret}${count}</note></tuple></presence>`

interface Running {
  readonly admin: string
  readonly stop: () => Promise<void>
}

type Settings = Readonly<Partial<Record<SettingName, unknown>>>

const startHere = async (settings: Settings): Promise<Running> => {
  const server = await startPresence(settings)
  return { admin: server.admin ?? "", stop: server.stop }
}

/** In a process of its own, which ends by kill -9. */
const startThere = async (settings: Settings): Promise<Running> => {
  const set = Object.entries(settings).flatMap(([name, value]) => {
    const text = Array.isArray(value) ? value.join(",") : value === true ? "1" : value === false ? "0" : value
    return value === null ? [] : ["--set", `${name}=${String(text)}`]
  })
  const child: ChildProcess = spawn(process.execPath, [main, "serve", ...set, "--set", "log=json"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...compileCache },
  })
  let said = ""
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on("data", (bytes: Buffer) => {
      said += bytes.toString()
      if (said.includes("ready in")) resolve()
    })
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said.slice(-2_000)}`)))
  })
  return {
    admin: /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "",
    stop: async () => {
      const gone = once(child, "exit")
      child.kill("SIGKILL")
      await gone
    },
  }
}

/** Null: there is no database for it. */
export const restartTest = async (options: RestartOptions): Promise<RestartFindings | null> => {
  const { source, count, kills, say } = options
  const random = makeRandom(options.seed)
  const cluster = await sharedPostgres()
  if (cluster === null && source === "table") return null
  const data = cluster === null ? mkdtempSync(join(tmpdir(), "presently-restart-data-")) : null
  const url = cluster?.database() ?? null
  const place =
    source === "table" ? tablePlace(url!) : source === "port" ? portPlace() : filePlace(source === "folder")
  const port = await freePort()
  const settings: Settings = {
    listen: [`udp:127.0.0.1:${port}`],
    admin: "127.0.0.1:0",
    domain: [domain],
    memory: false,
    no_rules: "allow",
    notify_min_interval: 0,
    db_update_period: 1,
    ...(url === null ? { data } : { database_url: url }),
    ...place.settings,
  }

  /** What may be in force now: one thing, or during a change several. */
  const inForce = new Map<string, readonly Wanted[]>(presentities.map((one) => [one, [null]]))
  const shown: string[] = []
  let [documents, hidden, answers, lives] = [0, 0, 0, 0]
  const mayShow = (rules: Wanted, watcher: number): boolean =>
    rules === null ? source !== "files" : rules !== "bad" && rules[watcher] === "allow"
  const phones: Phone[] = []
  for (const [index, user] of watchers.entries()) {
    const told = (presentity: string, shows: boolean): void => {
      if (!shows) return void hidden++
      documents++
      const possible = inForce.get(presentity) ?? []
      if (!possible.some((rules) => mayShow(rules, index)))
        shown.push(
          `life ${lives}: ${user} was shown ${presentity}, the rules say ${JSON.stringify(possible)}`,
        )
    }
    phones.push(await openPhone(user, port, told))
  }

  let isOver = false
  const load = phones.map(async (phone, index) => {
    for (let turn = index; !isOver; turn++) {
      const presentity = presentities[turn % presentities.length]!
      const expires = [0, 1, 30, 0, 2][Math.floor(turn / presentities.length) % 5]!
      const status = await phone.ask("SUBSCRIBE", presentity, [`Expires: ${expires}`])
      if (status > 0 && status !== 503) answers++
      // nobody is there, or not yet
      else await pauseFor(3)
    }
  })
  const publishers = presentities.map(async (user) => {
    const phone = await openPhone(user, port, () => {})
    let published = 0
    while (!isOver) {
      const etag = phone.etag()
      const condition = etag === null || published % 7 === 0 ? [] : [`SIP-If-Match: ${etag}`]
      const headers = [...condition, "Expires: 3", "Content-Type: application/pidf+xml"]
      await phone.ask("PUBLISH", user, headers, pidf(user, ++published))
      await pauseFor(25)
    }
    phone.close()
  })

  const anyWanted = (): Wanted => {
    if (random.chance(0.15)) return null
    if (source !== "port" && random.chance(0.15)) return "bad"
    return watchers.map(() => random.pick<Treat>(["allow", "allow", "block", "confirm", "polite-block"]))
  }
  /** What comes of it, when that was in force before: a document that cannot be used leaves what was. */
  const resultOf = (wanted: Wanted, before: Wanted): Wanted =>
    wanted !== "bad" ? wanted : before === null && source !== "files" ? "bad" : before
  const latest = (presentity: string): Wanted => inForce.get(presentity)?.at(-1) ?? null
  /** What a server sent that is gone now has come. */
  const drained = (): Promise<unknown> => Promise.all(phones.map(({ drain }) => drain()))

  let server: Running | null = null
  try {
    for (lives = 1; lives <= count; lives++) {
      // at the very first start there is no log that knows anything, and no table
      const isFirst = lives === 1
      for (const presentity of presentities) {
        if (source === "port" || (isFirst && source === "table") || !random.chance(0.7)) continue
        const wanted = anyWanted()
        await place.write(presentity, wanted)
        inForce.set(presentity, [resultOf(wanted, latest(presentity))])
      }
      const isKilled = kills > 0 && lives % kills === 0
      server = isKilled ? await startThere(settings) : await startHere(settings)
      const enough = answers + 60
      while (answers < enough) await pauseFor(5)
      if (source === "port") {
        for (const presentity of presentities) {
          if (!random.chance(0.7)) continue
          const wanted = anyWanted()
          // until the stop: what was sent before may be sent once more
          inForce.set(presentity, [...(inForce.get(presentity) ?? []), wanted])
          const text = wanted === null || wanted === "bad" ? null : textOf(wanted)
          const answer = await fetch(
            `${server.admin}/v1/presentities/${encodeURIComponent(uri(presentity))}/rules`,
            { method: text === null ? "DELETE" : "PUT", ...(text === null ? {} : { body: text }) },
          )
          await answer.text()
          if (answer.status >= 300) throw new Error(`rules: ${answer.status}`)
        }
      }
      await server.stop()
      server = null
      await drained()
      for (const presentity of presentities) inForce.set(presentity, [latest(presentity)])
      if (lives % 10 === 0 || shown.length > 0)
        say(
          `${source}: life ${lives} of ${count}: ${answers} answers, ${documents} documents, ${hidden} NOTIFYs without, ` +
            `${shown.length} that the rules hide`,
        )
      if (shown.length > 20) break
    }
    return { shown, lives: lives - 1, documents, hidden, answers }
  } finally {
    isOver = true
    await Promise.all([...load, ...publishers])
    for (const phone of phones) phone.close()
    await server?.stop()
    place.close()
    cluster?.remove()
    if (data !== null) rmSync(data, { recursive: true, force: true })
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      source: { type: "string", default: "all" },
      count: { type: "string", default: "200" },
      kills: { type: "string", default: "10" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
    },
  })
  const chosen = restartSources.filter((one) => values.source === "all" || values.source === one)
  if (chosen.length === 0)
    throw new Error(`--source ${values.source}: ${restartSources.join(", ")}, or all of them`)
  console.log(`seed ${values.seed}`)
  for (const source of chosen) {
    const [count, kills, seed] = [values.count, values.kills, values.seed].map(Number) as [
      number,
      number,
      number,
    ]
    const findings = await restartTest({ source, count, kills, seed, say: (line) => console.log(line) })
    console.log(source, findings === null ? "needs PostgreSQL" : JSON.stringify(findings, null, 2))
    if (findings !== null && findings.shown.length > 0) process.exitCode = 1
  }
}
