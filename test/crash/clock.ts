/**
 * Starts a server under clocks that are wrong, and sets them wrong while it runs, with retention on; then right again. Checks
 * that nothing ended and nothing was dropped because of that, and that afterwards everything lasts as long as it was granted for.
 *
 *   node test/crash/clock.ts [--store postgres|embedded] [--offset +365d]... [--seconds 75]
 *
 * Needs libfaketime. The monotonic clock and the time since the machine's start are left as they are. `--seconds`: how long the
 * clock is wrong; the first look at what is old comes after 60.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { freePort, startPostgres } from "../support/postgres.ts"
import { ofTests } from "../support/reaper.ts"
import { answer, openPhone, pidf, script, tuple } from "../support/sip-client.ts"
import type { Phone, Script } from "../support/sip-client.ts"

const main = commandFile()
const libraries = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"]
export const faketime = (): string | null =>
  libraries.map((one) => join(one, "faketime/libfaketime.so.1")).find((one) => existsSync(one)) ?? null

export const offsets = ["-365d", "-1d", "-1h", "+1h", "+1d", "+365d", "+730d"] as const

export interface ClockOptions {
  readonly store: "postgres" | "embedded"
  readonly offsets: readonly string[]
  readonly seconds: number
  readonly say: (line: string) => void
}

interface Running {
  readonly child: ChildProcess
  readonly port: number
  readonly admin: string
  readonly said: () => string
}

/** @returns what was not as it ought to be; null: libfaketime or PostgreSQL is missing */
export const clockTest = async (options: ClockOptions): Promise<readonly string[] | null> => {
  const library = faketime()
  const cluster = options.store === "postgres" ? await startPostgres() : null
  if (library === null || (options.store === "postgres" && cluster === null)) return null
  const folder = mkdtempSync(join(tmpdir(), "presently-clock-"))
  const file = join(folder, "offset")
  const faults: string[] = []
  const setClock = (offset: string): void => writeFileSync(file, `${offset}\n`)
  const start = async (store: readonly string[], port: number): Promise<Running> => {
    const settings = ["notify_min_interval=0", "retention=30", "log=json", "db_update_period=2"]
    const admin = await freePort()
    const child = ofTests(
      spawn(
        process.execPath,
        [main, "serve", "--listen", `udp:127.0.0.1:${port}`, "--admin", `127.0.0.1:${admin}`].concat(
          store,
          settings.flatMap((one) => ["--set", one]),
        ),
        {
          stdio: ["ignore", "pipe", "pipe"],
          env: {
            ...process.env,
            ...compileCache,
            LD_PRELOAD: library,
            FAKETIME_TIMESTAMP_FILE: file,
            FAKETIME_CACHE_DURATION: "1",
            FAKETIME_DONT_FAKE_MONOTONIC: "1",
            DONT_FAKE_MONOTONIC: "1",
          },
        },
      ),
    )
    let said = ""
    await new Promise<void>((resolve, reject) => {
      const hear = (bytes: Buffer): void => {
        said += bytes.toString()
        if (said.includes("ready in")) resolve()
      }
      child.stdout!.on("data", hear)
      child.stderr!.on("data", hear)
      child.once("exit", (code) => reject(new Error(`the server ended with ${code}: ${said}`)))
    })
    return { child, port, admin: `http://127.0.0.1:${admin}`, said: () => said }
  }
  const stop = async ({ child }: Running): Promise<void> => {
    const gone = once(child, "exit")
    child.kill("SIGTERM")
    await gone
  }
  const positionOf = async ({ admin }: Running): Promise<number> => {
    const text = await (await fetch(`${admin}/metrics`)).text()
    return Number(/^presently_log_position (\d+)/m.exec(text)?.[1] ?? -1)
  }

  for (const offset of options.offsets) {
    const check = (isGood: boolean, what: string): void => {
      if (isGood) return
      faults.push(`${options.store} ${offset}: ${what}`)
      options.say(`  ${what}`)
    }
    const store =
      cluster === null ? ["--data", join(folder, `data${offset}`)] : ["--database-url", cluster.database()]
    const port = await freePort()
    setClock("+0")
    let server = await start(store, port)
    const phone: Phone = await openPhone({ portOf: () => port }, "udp")
    const watcher: Script = script(phone, { user: "bob" })
    await watcher.subscribe({ Expires: "3600" })
    await watcher.notified({ state: "active", expires: 3600 })
    const publisher = script(phone, { user: "alice" })
    const published = await publisher.publish({ Expires: "3600" }, pidf(tuple("t", "open")))
    await watcher.notified({ state: "active" })
    const etag = published.header("sip-etag") ?? ""

    const isRight = async (when: string): Promise<void> => {
      /** A start repeats what may not have arrived: only what a NOTIFY shows counts. */
      const shown = async (isShort: boolean): Promise<void> => {
        for (;;) {
          const notify = await watcher.notify(30_000)
          answer(phone, notify)
          if (/id="short"[^]{0,200}?basic>open/.test(notify.raw.body.toString()) === isShort) return
        }
      }
      const short = script(phone, { user: "alice" })
      const second = await short.publish({ Expires: "5" }, pidf(tuple("short", "open")))
      check(second.raw.status === 200, `${when}: PUBLISH ${second.raw.status}`)
      await shown(true)
      const began = performance.now()
      const isOver = await shown(false).then(
        () => true,
        () => false,
      )
      const lived = Math.round(performance.now() - began)
      check(isOver && lived > 3500 && lived < 9000, `${when}: Expires 5 lived for ${lived} ms`)
      const refreshed = await watcher.subscribe({ Expires: "3600" })
      check(
        refreshed.raw.status === 200,
        `${when}: the refresh of the subscription got ${refreshed.raw.status}`,
      )
      await shown(false)
    }
    const isKept = async (when: string): Promise<void> => {
      check(!server.said().includes("old decisions dropped"), `${when}: decisions were dropped`)
      check((await positionOf(server)) > 0, `${when}: the log is there`)
    }

    /** A start repeats NOTIFYs that may not have arrived. */
    const answerFor = async (millis: number): Promise<void> => {
      const until = performance.now() + millis
      while (performance.now() < until) {
        const notify = await watcher.notify(1000).catch(() => null)
        if (notify !== null) answer(phone, notify)
      }
    }

    // wrong while it runs
    setClock(offset)
    await answerFor(options.seconds * 1000)
    await isRight("while the clock is wrong")
    await isKept("while the clock is wrong")
    check(server.said().includes("the clock of this machine went"), "the log says so")
    const degraded = await (await fetch(`${server.admin}/ready`)).text()
    check(degraded.includes("degraded: the machine's clock"), "/ready says so")
    setClock("+0")
    await pauseFor(3000)
    await isRight("after it was set right")
    check(server.said().includes("where it ought to be again"), "the log says that it is right again")
    check(
      !(await (await fetch(`${server.admin}/ready`)).text()).includes("degraded"),
      "/ready says that as well",
    )
    // wrong at a start
    await stop(server)
    setClock(offset)
    server = await start(store, port)
    await answerFor(options.seconds * 1000)
    await isRight("started with a wrong clock")
    await isKept("started with a wrong clock")
    // wrong at the stop, right at the next start
    await stop(server)
    setClock("+0")
    server = await start(store, port)
    await isRight("started with the right clock again")
    await isKept("started with the right clock again")
    const renewed = await publisher.publish({ Expires: "3600", "SIP-If-Match": etag })
    check(renewed.raw.status === 200, `the publication of the beginning got ${renewed.raw.status}`)
    options.say(
      `${options.store} ${offset}: ${faults.length === 0 ? "nothing ended, nothing dropped" : `${faults.length} faults`}`,
    )
    phone.close()
    await stop(server)
  }
  cluster?.remove()
  rmSync(folder, { recursive: true, force: true })
  return faults
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      store: { type: "string", default: "postgres" },
      offset: { type: "string", multiple: true },
      seconds: { type: "string", default: "75" },
    },
  })
  const { store } = values
  if (store !== "postgres" && store !== "embedded") throw new Error(`--store ${store}: postgres or embedded`)
  const faults = await clockTest({
    store,
    offsets: values.offset ?? offsets,
    seconds: Number(values.seconds),
    say: (line) => console.log(line),
  })
  if (faults === null) {
    console.error("libfaketime or PostgreSQL is missing: install them and try again")
    process.exitCode = 69
  } else {
    console.log(faults.length === 0 ? "no faults" : faults.join("\n"))
    process.exit(faults.length === 0 ? 0 : 1)
  }
}
