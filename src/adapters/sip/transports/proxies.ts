/**
 * Load balancers and HTTP proxies in front: what they say of the connections that they pass on, by the PROXY protocol or
 * in `X-Forwarded-For`. Only those that are listed are believed.
 */
import type { Socket } from "node:net"
import type { SipCounters } from "../../../ports/sip-transport.ts"
import { canonicalAddress, isNobody, numericHost, readHostPort } from "../uri.ts"
import { beginsAsProxyHeader, headerOctetsMax, readProxyHeader } from "./proxy-header.ts"
import type { Remote } from "./proxy-header.ts"

export interface Proxies {
  /** Whether connections from that address begin with a header of the PROXY protocol. */
  readonly sendsHeader: (address: string) => boolean
  /** Whether requests for a WebSocket from that address name the client in `X-Forwarded-For`. */
  readonly forwards: (address: string) => boolean
}

export const noProxies: Proxies = { sendsHeader: () => false, forwards: () => false }

/**
 * Why a connection is refused, or what of it is ignored. `bad`, `missing`: the header of a listed peer; `unlisted`: a
 * header of another one; `forwarded`: `X-Forwarded-For` of a listed peer, bad or missing; `ignored`: that of another one.
 */
export type ProxyFault = "bad" | "missing" | "unlisted" | "forwarded" | "ignored"

/** Counts a fault, and tells the first of each kind. */
export type OnProxyFault = (fault: ProxyFault, address: string, why?: string) => void

export const countingProxyFaults =
  (
    counters: SipCounters,
    tell: (fault: ProxyFault, address: string, why: string) => void = () => {},
  ): OnProxyFault =>
  (fault, address, why = "") => {
    const before = counters.proxyFaults[fault] ?? 0
    counters.proxyFaults[fault] = before + 1
    if (before === 0) tell(fault, address, why)
  }

export interface PastHeader {
  /** Whose connection it is; null: that of whoever opened it. */
  readonly remote: Remote | null
}

/**
 * Reads what an accepted socket begins with, up to the end of a header, and leaves the rest to be read.
 *
 * @param isListed whether there has to be a header; otherwise there must be none
 * @param done called once: null if the connection is not to go on; not called when the socket is closed before
 */
export const passHeader = (
  socket: Socket,
  isListed: boolean,
  onFault: OnProxyFault,
  done: (past: PastHeader | null) => void,
): void => {
  const address = canonicalAddress(socket.remoteAddress ?? "")
  let begun: Buffer | null = null
  const settle = (past: PastHeader | null, rest: Buffer): void => {
    socket.removeListener("readable", read)
    if (past !== null && rest.length > 0) socket.unshift(rest)
    done(past)
  }
  const read = (): void => {
    const chunk = socket.read() as Buffer | null
    if (chunk === null) return
    const bytes = begun === null ? chunk : Buffer.concat([begun, chunk])
    if (!isListed) {
      const isHeader = beginsAsProxyHeader(bytes)
      if (isHeader) onFault("unlisted", address)
      return settle(isHeader ? null : itself, bytes)
    }
    const header = readProxyHeader(bytes)
    if (header._tag === "Read") return settle({ remote: header.remote }, bytes.subarray(header.octets))
    if (header._tag === "Incomplete" && bytes.length < headerOctetsMax) {
      begun = bytes
      return
    }
    if (header._tag === "Missing") onFault("missing", address)
    else onFault("bad", address, header._tag === "Bad" ? header.why : "")
    settle(null, bytes)
  }
  socket.on("readable", read)
}

const itself: PastHeader = { remote: null }

/**
 * The client of a request that proxies have passed on: the last address in `X-Forwarded-For` that is not that of a
 * listed proxy, since each proxy appends the one that it got the request from, and clients can write what they like.
 *
 * @returns null if the header is missing, or that entry is no address; port 0: not told
 */
export const forwardedFor = (
  header: string | undefined,
  isProxy: (address: string) => boolean,
): Remote | null => {
  const entries = (header ?? "").split(",").map((entry) => entry.trim())
  for (let index = entries.length - 1; index >= 0; index--) {
    const remote = remoteOf(entries[index]!)
    if (remote === null || isNobody(remote.address)) return null
    // where all are proxies, the request is one of the first of them
    if (index === 0 || !isProxy(remote.address)) return remote
  }
  return null
}

/** `192.0.2.7`, `192.0.2.7:40001`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:40001` */
const remoteOf = (entry: string): Remote | null => {
  const whole = numericHost(entry)
  if (whole !== null) return { address: whole, port: 0 }
  const read = readHostPort(entry, 0)
  const address = read === null || read.end !== entry.length ? null : numericHost(read.host)
  return address === null || read === null ? null : { address, port: read.port ?? 0 }
}
