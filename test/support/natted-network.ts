/**
 * A network behind a NAT, made of two network namespaces: one for phones, with private addresses, and one for the router, which
 * masquerades them behind one public address and gives every mapping another port.
 *
 * It needs Linux, root, and the programs ip (iproute2), nft (nftables) and conntrack.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { PresenceServer } from "./server.ts"
import { makePhone } from "./sip-client.ts"
import type { Phone, Transport } from "./sip-client.ts"

export interface NattedNetwork {
  /** The address of this machine on the public side. */
  readonly publicAddress: string
  readonly phone: (server: Pick<PresenceServer, "portOf">, transport: Transport) => Promise<NattedPhone>
  /** The router forgets every mapping. */
  readonly forget: () => void
  /** The router forgets mappings of datagrams that carried nothing for so many seconds. */
  readonly forgetAfter: (seconds: number) => void
  readonly remove: () => void
}

export type NattedPhone = Phone & { readonly isClosed: () => boolean }

const run = (program: string, ...parameters: readonly string[]): void =>
  void execFileSync(program, parameters, { stdio: ["ignore", "ignore", "pipe"] })

/** Why there can be none on this machine; null: there can be. */
export const whyNoNattedNetwork = (): string | null => {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it needs Linux and root"
  for (const [program, flag] of [
    ["ip", "-V"],
    ["nft", "--version"],
    ["conntrack", "--version"],
  ] as const)
    if (spawnSync(program, [flag]).status !== 0) return `it needs the program ${program}`
  const name = `presently-try-${randomUUID()}`
  if (spawnSync("ip", ["netns", "add", name]).status !== 0) return "it needs network namespaces"
  const made = spawnSync("ip", ["netns", "exec", name, "nft", "add", "table", "ip", "try"]).status === 0
  spawnSync("ip", ["netns", "delete", name])
  return made ? null : "it needs nf_tables in the kernel"
}

/** There are as many at a time as the test network (RFC 5737) has parts. */
const placesMax = 63

/** Takes a place that no other test on this machine has, by the name space of its router. */
const takePlace = (): number => {
  for (let tried = 0; tried < placesMax; tried++) {
    const place = (process.pid + tried) % placesMax
    if (spawnSync("ip", ["netns", "add", `presently-router-${place}`]).status === 0) return place
  }
  throw new Error(`no network name space can be made, or all ${placesMax} places are taken (ip netns list)`)
}

export const makeNattedNetwork = (): NattedNetwork => {
  const id = takePlace()
  const [phones, router] = [`presently-phones-${id}`, `presently-router-${id}`]
  const [ours, theirs] = [`203.0.113.${4 * id + 1}`, `203.0.113.${4 * id + 2}`]
  const [outside, wan, lan, inside] = [`po${id}`, `pw${id}`, `pl${id}`, `pi${id}`]
  const inRouter = (...words: readonly string[]): void => run("ip", "netns", "exec", router, ...words)
  const inPhones = (...words: readonly string[]): void => run("ip", "netns", "exec", phones, ...words)
  const children: ChildProcess[] = []
  const remove = (): void => {
    for (const child of children) child.kill("SIGKILL")
    spawnSync("ip", ["link", "delete", outside])
    for (const name of [phones, router]) spawnSync("ip", ["netns", "delete", name])
  }
  try {
    // what a test left that was killed
    spawnSync("ip", ["netns", "delete", phones])
    run("ip", "netns", "add", phones)
    run("ip", "link", "add", outside, "type", "veth", "peer", "name", wan, "netns", router)
    run("ip", "address", "add", `${ours}/30`, "dev", outside)
    run("ip", "link", "set", outside, "up")
    run("ip", "link", "add", lan, "netns", router, "type", "veth", "peer", "name", inside, "netns", phones)
    inRouter("ip", "address", "add", `${theirs}/30`, "dev", wan)
    inRouter("ip", "address", "add", "192.168.77.1/24", "dev", lan)
    for (const name of [wan, lan, "lo"]) inRouter("ip", "link", "set", name, "up")
    inPhones("ip", "address", "add", "192.168.77.10/24", "dev", inside)
    for (const name of [inside, "lo"]) inPhones("ip", "link", "set", name, "up")
    inPhones("ip", "route", "add", "default", "via", "192.168.77.1")
    inRouter("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    inRouter("nft", "add table ip nat; add chain ip nat out { type nat hook postrouting priority 100 ; }")
    inRouter("nft", `add rule ip nat out oifname ${wan} masquerade fully-random`)
  } catch (error) {
    remove()
    throw error
  }
  return {
    publicAddress: ours,
    forget: () => inRouter("conntrack", "-F"),
    forgetAfter: (seconds) => {
      for (const name of ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"])
        inRouter("sh", "-c", `echo ${seconds} > /proc/sys/net/netfilter/${name}`)
    },
    phone: async (server, transport) => {
      const port = server.portOf(transport)
      const script = join(import.meta.dirname, "socket-elsewhere.ts")
      const child = spawn(
        "ip",
        ["netns", "exec", phones, process.execPath, script, transport, ours, `${port}`],
        { stdio: ["pipe", "pipe", "inherit"] },
      )
      children.push(child)
      let isClosed = false
      child.on("exit", () => {
        isClosed = true
      })
      child.stdin.on("error", () => {})
      const lines = createInterface({ input: child.stdout })
      const address = await new Promise<string>((resolve, reject) => {
        lines.once("line", resolve)
        child.once("exit", () => reject(new Error("the socket behind the NAT was not opened")))
      })
      const { phone, received } = makePhone(
        server,
        transport,
        address,
        port,
        (text) => child.stdin.write(`${Buffer.from(text, "utf8").toString("base64")}\n`),
        () => child.stdin.end(),
      )
      let rest = ""
      lines.on("line", (line) => {
        const bytes = Buffer.from(line, "base64")
        if (transport === "udp") {
          if (bytes.toString("latin1").trim() !== "") received(bytes)
          return
        }
        // what is tested here are short messages with a length, one after the other
        rest += bytes.toString("latin1")
        for (;;) {
          rest = rest.replace(/^[\r\n]+/, "")
          const end = rest.indexOf("\r\n\r\n")
          const length = Number(/^content-length: *(\d+)/im.exec(rest.slice(0, end))?.[1] ?? 0)
          if (end < 0 || rest.length < end + 4 + length) return
          received(Buffer.from(rest.slice(0, end + 4 + length), "latin1"))
          rest = rest.slice(end + 4 + length)
        }
      })
      return Object.assign(phone, { isClosed: () => isClosed })
    },
    remove,
  }
}
