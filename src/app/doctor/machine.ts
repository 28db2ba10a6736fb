/**
 * What the machine provides to a server: files that it alone can read, sockets, limits.
 */
import { accessSync, constants, readFileSync, statSync, statfsSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { transportOf } from "../../adapters/sip/transports/transports.ts"
import { folderState } from "../../adapters/store/postgres/private-folder.ts"
import { bindFault } from "../bind-fault.ts"
import type { Config } from "../config/config.ts"
import { hostPort } from "../config/host-port.ts"
import { bad, ok, warn } from "./check.ts"
import type { Check } from "./check.ts"

/** Below this, a burst of requests from a thousand phones is lost before the server can read it. */
const receiveBufferMin = 1_048_576

/** Each TCP connection of a phone takes one. */
const openFilesMin = 4096

const freeBytesMin = 1_000_000_000

/** Files that hold passwords, hashes or tokens. */
export const secretFiles = (config: Config, configFile: string | null): readonly Check[] => {
  const files = [
    ["users_file", config.users_file],
    ["admin_tokens_file", config.admin_tokens_file],
    ["seal_key", config.seal_key],
    ["config file", hasPassword(config, configFile) ? configFile : null],
  ] as const
  return files.flatMap(([what, file]) => (file === null ? [] : [secretFile(what, file)]))
}

/** Files that hold the keys of certificates. */
export const keyFiles = (credentials: readonly { readonly keyFile: string }[]): readonly Check[] =>
  [...new Set(credentials.map(({ keyFile }) => keyFile))].map((file) => secretFile("tls_certificate", file))

const secretFile = (what: string, file: string): Check => {
  try {
    accessSync(file, constants.R_OK)
    const { mode } = statSync(file)
    return (mode & 0o004) === 0
      ? ok(what, `${file} is readable, and not by everyone`)
      : warn(what, `${file} holds secrets and everyone on this machine can read it`, `chmod 640 ${file}`)
  } catch (cause) {
    return bad(what, messageOf(cause), `make ${file} readable for the account of the server`)
  }
}

/** The file says where the log is, including a password. */
const hasPassword = ({ database_url, sources }: Config, configFile: string | null): boolean =>
  configFile !== null &&
  database_url !== null &&
  sources.database_url.startsWith("file ") &&
  /^[a-z]+:\/\/[^@/]*:[^@/]+@/.test(database_url)

/** Where the embedded database is, or will be. */
export const dataFolder = ({ data, database_url, memory }: Config): readonly Check[] => {
  if (data === null || database_url !== null || memory) return []
  return [...privacyOf(data), ...roomFor(data)]
}

/** Whether other accounts can read it. */
const privacyOf = (data: string): readonly Check[] => {
  const what = "data folder"
  try {
    const state = folderState(data)
    switch (state._tag) {
      case "Absent":
        return []
      case "Private":
        return [ok(what, `${data} is its owner's alone`)]
      case "Wide": {
        const which = state.isOuter
          ? `other accounts can enter ${data} (mode ${state.mode}), and ${state.count} of the files and folders in it are wide as well`
          : `${state.count} of the files and folders in ${data} have modes for other accounts`
        return [warn(what, which, `the next start narrows them; chmod -R go= ${data} does so at once`)]
      }
      case "Exposed":
        return [bad(what, `data = ${data}`, state.why)]
    }
  } catch (cause) {
    return [bad(what, messageOf(cause), "give the server's account the folder, or another --data")]
  }
}

const roomFor = (data: string): readonly Check[] => {
  let folder = resolve(data)
  while (!exists(folder)) folder = dirname(folder)
  try {
    accessSync(folder, constants.W_OK)
    const { bavail, bsize } = statfsSync(folder)
    const free = `${Math.round((bavail * bsize) / 1e6)} MB free`
    return bavail * bsize < freeBytesMin
      ? [warn("data folder", `${folder}: ${free}`, "the log only grows: make room")]
      : [ok("data folder", `${folder} can be written, ${free}`)]
  } catch (cause) {
    return [bad("data folder", messageOf(cause), "give the server's account the folder, or another --data")]
  }
}

const exists = (path: string): boolean => {
  try {
    statSync(path)
    return true
  } catch {
    return false
  }
}

export const limits = (config: Config): readonly Check[] => {
  const checks: Check[] = []
  const files = Number(/^Max open files\s+(\d+)/m.exec(textOf("/proc/self/limits") ?? "")?.[1] ?? Number.NaN)
  if (files < openFilesMin) {
    const fix = "ulimit -n 65536, or LimitNOFILE=65536 for a systemd unit"
    checks.push(warn("open files", `at most ${files}`, fix))
  } else if (!Number.isNaN(files)) checks.push(ok("open files", `at most ${files}`))
  const buffer = Number(textOf("/proc/sys/net/core/rmem_max") ?? Number.NaN)
  if (config.listen.every(({ transport }) => transportOf(transport).isReliable) || Number.isNaN(buffer))
    return checks
  checks.push(
    buffer < receiveBufferMin
      ? warn(
          "udp buffer",
          `net.core.rmem_max is ${buffer} bytes`,
          "sysctl -w net.core.rmem_max=4194304, and keep it in /etc/sysctl.d",
        )
      : ok("udp buffer", `net.core.rmem_max is ${buffer} bytes`),
  )
  return checks
}

/** @param isRunning whether a server answers on the management port */
export const sockets = async (config: Config, isRunning: boolean): Promise<readonly Check[]> => {
  const checks: Check[] = []
  for (const address of config.listen) {
    const { transport, host, port } = address
    const name = `${transport}:${hostPort(host, port)}`
    const fault = await bindFault(address)
    const isTaken = fault?.code === "EADDRINUSE"
    if (fault === null) {
      checks.push(
        isRunning && port !== 0
          ? warn(name, "a server answers, but does not listen here", "give doctor the server's own settings")
          : ok(name, "free"),
      )
    } else if (isTaken && isRunning) checks.push(ok(name, "in use, and a server answers"))
    else checks.push(bad(name, fault.message, adviceFor(fault, port)))
  }
  return checks
}

const adviceFor = ({ code }: NodeJS.ErrnoException, port: number): string => {
  switch (code) {
    case "EADDRINUSE":
      return `stop what uses it (ss -lnp 'sport = :${port}'), or give another --listen`
    case "EADDRNOTAVAIL":
      return "no interface has this address: give --listen one that `ip address` shows"
    case "EACCES":
      return "the account may not use ports below 1024: give another, or CAP_NET_BIND_SERVICE"
    default:
      return "give another --listen"
  }
}

const textOf = (file: string): string | null => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return null
  }
}

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
