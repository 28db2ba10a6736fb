/**
 * Stops a server (SIGSTOP) for longer than Timer F while NOTIFYs wait for their answers, which come meanwhile, and refreshes with
 * them; lets it go on, and checks that no subscription has ended.
 *
 *   node test/crash/stop.ts [--seconds 40] [--watchers 40] [--rounds 1]
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { setTimeout as pauseFor } from "node:timers/promises"
import { parseArgs } from "node:util"
import type { Message } from "../../src/app/client/wire.ts"
import { commandFile } from "../support/command-file.ts"
import { compileCache } from "../support/compile-cache.ts"
import { freePort } from "../support/postgres.ts"
import { ofTests } from "../support/reaper.ts"
import { answer, openPhone, pidf, script, tuple } from "../support/sip-client.ts"

const main = commandFile()

export interface StopOptions {
  readonly seconds: number
  readonly watchers: number
  readonly rounds: number
  readonly say: (line: string) => void
}

/** @returns what was not as it ought to be */
export const stopTest = async ({
  seconds,
  watchers,
  rounds,
  say,
}: StopOptions): Promise<readonly string[]> => {
  const port = await freePort()
  const server = ofTests(
    spawn(
      process.execPath,
      [
        main,
        "serve",
        "--memory",
        "--listen",
        `udp:127.0.0.1:${port}`,
        "--admin",
        "off",
        "--set",
        "notify_min_interval=0",
      ],
      { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, ...compileCache } },
    ),
  )
  await new Promise<void>((resolve, reject) => {
    server.stdout!.on("data", (bytes: Buffer) => {
      if (bytes.toString().includes("ready in")) resolve()
    })
    server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)))
  })
  const faults: string[] = []
  const phone = await openPhone({ portOf: () => port }, "udp")
  const scripts = Array.from({ length: watchers }, (_, index) => script(phone, { user: `w${index}` }))
  for (const one of scripts) {
    await one.subscribe({ Expires: "30" })
    await one.notified({ state: "active" })
  }
  for (let round = 1; round <= rounds; round++) {
    const publisher = script(phone, { user: "alice" })
    await publisher.publish({ Expires: "3600" }, pidf(tuple(`t${round}`, "open")))
    const notifies: Message[] = []
    for (const one of scripts) notifies.push(await one.notify())
    server.kill("SIGSTOP")
    await pauseFor(200)
    for (const notify of notifies) answer(phone, notify)
    // those that would end while nobody looks
    const expires = round === rounds ? "600" : "30"
    for (const one of scripts) phone.send(one.write("SUBSCRIBE", { Expires: expires }))
    await pauseFor(seconds * 1000)
    server.kill("SIGCONT")
    for (const [index, { callId }] of scripts.entries()) {
      const { raw } = await phone.next(
        (one) => !one.raw.isRequest && one.raw.method === "SUBSCRIBE" && one.raw.callId === callId,
      )
      if (raw.status !== 200) faults.push(`round ${round}: watcher ${index} got ${raw.status}`)
    }
    for (const [index, one] of scripts.entries()) {
      const notify = await one.notify()
      answer(phone, notify)
      const state = notify.header("subscription-state") ?? ""
      if (!state.startsWith("active")) faults.push(`round ${round}: watcher ${index} was told ${state}`)
    }
    say(`round ${round}: ${watchers} watchers, ${faults.length} faults`)
  }
  phone.close()
  const gone = once(server, "exit")
  server.kill("SIGTERM")
  await gone
  return faults
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "40" },
      watchers: { type: "string", default: "40" },
      rounds: { type: "string", default: "1" },
    },
  })
  const faults = await stopTest({
    seconds: Number(values.seconds),
    watchers: Number(values.watchers),
    rounds: Number(values.rounds),
    say: (line) => console.log(line),
  })
  console.log(faults.length === 0 ? "no faults" : faults.join("\n"))
  process.exit(faults.length === 0 ? 0 : 1)
}
