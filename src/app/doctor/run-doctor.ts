/**
 * All checks that an operator would make before a start, and when something is wrong.
 */
import { Clock, Effect } from "effect"
import type { Config } from "../config/config.ts"
import { hostPort } from "../config/host-port.ts"
import { isAuthenticated } from "../config/limits.ts"
import { resolveConfig } from "../config/resolve-config.ts"
import { authText } from "../config/trusted-peers.ts"
import { certificates } from "./certificates.ts"
import { bad, ok, warn } from "./check.ts"
import type { Check } from "./check.ts"
import { dataFolder, limits, keyFiles, secretFiles, sockets } from "./machine.ts"
import { readyAnswer } from "./ready-answer.ts"
import { placeCheck, policyChecks } from "./running.ts"
import type { Known } from "./running.ts"
import { rulesFolder } from "./sources.ts"
import { storeChecks } from "./store.ts"
import { watchingChecks } from "./watching.ts"

/** How long a server may take to answer. */
export const answerMillis = 5000

/** What to examine. */
export interface Patient {
  readonly config: Config
  /** Where settings come from; null: no file. */
  readonly configFile: string | null
  /** Why `presently serve` would refuse to start. */
  readonly refused: readonly string[]
  /** A server that runs, and whose settings are not these; null: these are those of the server. */
  readonly running: Known | null
}

export const runDoctor = Effect.fn("Doctor.run")(function* ({
  config: given,
  configFile,
  refused,
  running,
}: Patient) {
  const prepared = yield* Effect.result(resolveConfig(given, () => {}))
  const config = prepared._tag === "Success" ? prepared.success.config : given
  const faults = [...refused, ...(prepared._tag === "Failure" ? prepared.failure.faults : [])]
  const checks: Check[] = [
    ...faults.map(faultCheck),
    ...config.notices.map((notice) => warn("config", notice, "leave it out, or see the documentation")),
  ]
  checks.push(...config.advice.map((line) => warn("config", line, "see docs/behind-a-proxy.md")))
  if (running === null) checks.push(authCheck(config))
  if (faults.length === 0) {
    const given = Object.values(config.sources).filter((source) => source !== "default").length
    checks.unshift(ok("config", `${given} settings given, no fault`))
  }
  if (prepared._tag === "Success") {
    checks.push(...prepared.success.advice.map(({ what, fix }) => warn("config", what, fix)))
    if (running === null) checks.push(...watchingChecks(config, prepared.success.packages))
    const now = yield* Clock.currentTimeMillis
    checks.push(...certificates(config, prepared.success.tls.credentials, now))
  }
  if (running !== null) checks.push(...policyChecks(running))
  const server = yield* Effect.promise(() => serverCheck(config))
  checks.push(server.check)
  const isRunning = running !== null || server.isRunning
  // the usual addresses are not those of a server that says nothing
  if (running?._tag !== "Silent" || config.sources.listen !== "default")
    checks.push(...(yield* Effect.promise(() => sockets(config, isRunning))))
  const folder = dataFolder(config)
  if (running !== null && config.data === null && config.database_url === null && !config.memory)
    checks.push(placeCheck(running))
  else checks.push(...(yield* storeChecks(withPeriod(config, running), isRunning)))
  checks.push(
    ...secretFiles(config, configFile),
    ...keyFiles(prepared._tag === "Success" ? prepared.success.tls.credentials : []),
    ...(yield* rulesFolder(config)),
    ...folder,
    ...limits(config),
  )
  return checks
})

const authCheck = (config: Config): Check =>
  isAuthenticated(config) || !config.insecure_no_auth
    ? ok("auth", authText(config))
    : warn("auth", authText(config), "give --users-file FILE, or trusted_peers")

/** With the period in which the running server writes its tables; 0: it is not known, and nothing is late. */
const withPeriod = (config: Config, running: Known | null): Config => {
  if (running === null) return config
  const period = running._tag === "Says" ? (running.server.tables?.period ?? 0) : 0
  return { ...config, db_update_period: period }
}

/** Errors in settings already say what is wrong and what is allowed. */
export const faultCheck = (fault: string): Check =>
  bad("config", fault, "presently config check says it as well, config print where each value comes from")

/** How a standby's text begins, before the holder of the log. */
const waiting = "not ready: standby: the log "

/** @param lines what is wrong, as `/ready` reports it */
const degradedFix = (lines: readonly string[]): string => {
  const isClock = (line: string): boolean => line.startsWith("degraded: the machine's clock ")
  return [
    ...(lines.some(isClock) ? ["set the clock right: docs/operating.md#when-the-clock-is-wrong"] : []),
    ...(lines.every(isClock) ? [] : ["GET /v1/sources says since when; see below"]),
  ].join("; ")
}

const serverCheck = async ({ admin }: Config): Promise<{ check: Check; isRunning: boolean }> => {
  if (admin === null) {
    const check = warn("server", "no management port, so none can be asked", "give --admin 127.0.0.1:5080")
    return { check, isRunning: false }
  }
  const url = `${admin.isSecure ? "https" : "http"}://${hostPort(admin.host, admin.port)}/ready`
  try {
    const answer = await readyAnswer(url, answerMillis)
    const [said = "", ...rest] = answer.text.trim().split("\n")
    if (answer.status === 200 && said === "ready") {
      const degraded = rest.join("; ")
      const check =
        degraded === ""
          ? ok("server", `${url} says ready`)
          : warn("server", `${url} says ready, ${degraded}`, degradedFix(rest))
      return { check, isRunning: true }
    }
    if (answer.status === 503 && said.startsWith(waiting)) {
      const check = ok(
        "server",
        `${url}: a standby that waits for the log, which ${said.slice(waiting.length)}`,
      )
      return { check, isRunning: true }
    }
    const isOurs = answer.status === 503 && said.startsWith("not ready")
    const check = isOurs
      ? bad("server", `${url} says ${said}`, "starting: wait; down: see store below; draining: it stops")
      : bad("server", `${url} answers ${answer.status}, and is no presently`, "give another --admin")
    return { check, isRunning: isOurs }
  } catch (cause) {
    const { code = "" } = cause as { readonly code?: string }
    if (admin.isSecure && /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code)) {
      return {
        check: warn(
          "server",
          `${url} asks for a certificate of its client, and doctor shows none`,
          "ask it with curl --cert FILE, and a certificate of an authority in tls_ca",
        ),
        isRunning: true,
      }
    }
    const isRefused = code === "ECONNREFUSED"
    return {
      check: isRefused
        ? ok("server", `none answers at ${url}`)
        : bad("server", `${url} is taken and does not answer`, "see what uses it, or give another --admin"),
      isRunning: false,
    }
  }
}
