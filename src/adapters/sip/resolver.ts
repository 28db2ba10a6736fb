/**
 * Resolves host names to addresses: NAPTR, SRV, A and AAAA.
 *
 * Only names are resolved; numeric hosts never wait. Results and failures are cached for a while, and
 * concurrent lookups are bounded, so that Contacts with invented names cannot be used to attack resolvers.
 *
 * @source RFC 3263 §4
 */
import { lookup, resolveNaptr, resolveSrv } from "node:dns/promises"
import { inattention } from "./options.ts"
import type { Transport, Transports } from "./transports/transport.ts"
import { transports as knownTransports } from "./transports/transports.ts"

export interface Hop {
  readonly transport: Transport
  /** Numeric, without brackets. */
  readonly address: string
  readonly port: number
  /** The name that was resolved, which a secure peer has to prove to be (RFC 5922 §7.3); absent: the address. */
  readonly name?: string
}

export interface Resolver {
  /**
   * Targets in the order to try them; empty if the name does not resolve.
   *
   * @param port null if the URI has none @param transport null if the URI does not determine one
   */
  readonly resolve: (
    host: string,
    port: number | null,
    transport: Transport | null,
  ) => Promise<readonly Hop[]>
}

/** The DNS queries; tests answer them from a table. */
export interface NameService {
  readonly naptr: (host: string) => Promise<
    readonly {
      readonly service: string
      readonly order: number
      readonly preference: number
      readonly replacement: string
    }[]
  >
  readonly srv: (name: string) => Promise<
    readonly {
      readonly name: string
      readonly port: number
      readonly priority: number
      readonly weight: number
    }[]
  >
  readonly addresses: (host: string) => Promise<readonly string[]>
}

export const systemNames: NameService = {
  naptr: async (host) => resolveNaptr(host),
  srv: async (name) => resolveSrv(name),
  addresses: async (host) =>
    (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address),
}

const rememberedMs = 60_000
const failureRememberedMs = 10_000
const rememberedMax = 4_096
const inFlightMax = 128
const timeoutMs = 5_000
const hopsMax = 8

export interface ResolverParts {
  readonly names: NameService
  /** The transports to query, in order of preference. */
  readonly transports: Transports
  readonly clock: () => number
  /** From 0 up to 1; chooses among servers of equal priority. */
  readonly random: () => number
  readonly after: (millis: number, done: () => void) => () => void
}

export const makeResolver = (parts: Partial<ResolverParts> = {}): Resolver => {
  const {
    names = systemNames,
    transports = knownTransports,
    clock = inattention.clock,
    random = Math.random,
    after = inattention.after,
  } = parts
  const remembered = new Map<string, { readonly until: number; readonly hops: readonly Hop[] }>()
  const underWay = new Map<string, Promise<readonly Hop[]>>()

  const remember = (key: string, hops: readonly Hop[]): readonly Hop[] => {
    if (remembered.size >= rememberedMax) remembered.clear()
    remembered.set(key, { until: clock() + (hops.length > 0 ? rememberedMs : failureRememberedMs), hops })
    return hops
  }

  return {
    resolve: (host, port, transport) => {
      const key = `${host}:${port ?? ""}:${transport?.name ?? ""}`
      const known = remembered.get(key)
      if (known !== undefined && known.until > clock()) return Promise.resolve(known.hops)
      const running = underWay.get(key)
      if (running !== undefined) return running
      if (underWay.size >= inFlightMax) return Promise.resolve([])
      const started = withTimeout(
        resolveHost({ names, transports, random }, { host, port, transport }),
        after,
      )
        .catch((): readonly Hop[] => [])
        .then((hops) => {
          underWay.delete(key)
          return remember(
            key,
            hops.slice(0, hopsMax).map((hop) => (hop.transport.isSecure ? { ...hop, name: host } : hop)),
          )
        })
      underWay.set(key, started)
      return started
    },
  }
}

const withTimeout = async (
  work: Promise<readonly Hop[]>,
  after: (millis: number, done: () => void) => () => void,
): Promise<readonly Hop[]> => {
  let callOff = (): void => {}
  const late = new Promise<readonly Hop[]>((resolve) => {
    callOff = after(timeoutMs, () => resolve([]))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    callOff()
  }
}

type Directory = Pick<ResolverParts, "names" | "transports" | "random">

/** What a URI says about its target. */
interface Destination {
  readonly host: string
  readonly port: number | null
  readonly transport: Transport | null
}

/** A transport, and the name of its SRV records. */
interface Service {
  readonly transport: Transport
  readonly srv: string
}

const resolveHost = async (
  directory: Directory,
  { host, port, transport }: Destination,
): Promise<readonly Hop[]> => {
  const { names, transports } = directory
  const presumed = transport ?? transports.presumed
  // RFC 3263 §4.2: an explicit port excludes SRV
  if (port !== null) return atAddresses(names, host, port, presumed)
  const services = transport === null ? await naptrServices(directory, host) : []
  // without NAPTR records only insecure transports are tried for a plain `sip` URI (RFC 3263 §4.1)
  const tried =
    transport === null
      ? transports.all.filter(({ isSecure, isDialed }) => !isSecure && isDialed)
      : [transport]
  const candidates =
    services.length > 0
      ? services
      : tried.map((candidate): Service => ({ transport: candidate, srv: candidate.srvPrefix + host }))
  // those of the next service follow, for when all of the first have failed (RFC 3263 §4.3)
  const hops: Hop[] = []
  for (const candidate of candidates) {
    if (hops.length < hopsMax) hops.push(...(await atServices(directory, candidate)))
  }
  return hops.length > 0 ? hops : atAddresses(names, host, presumed.defaultPort, presumed)
}

/** @source RFC 3263 §4.1 */
const naptrServices = async ({ names, transports }: Directory, host: string): Promise<readonly Service[]> => {
  const records = await names.naptr(host).catch(() => [])
  return records
    .toSorted((a, b) => a.order - b.order || a.preference - b.preference)
    .flatMap(({ service, replacement }) => {
      const transport = transports.all.find(
        ({ naptrService, isDialed }) => isDialed && naptrService === service.toUpperCase(),
      )
      return replacement === "" || transport === undefined ? [] : [{ transport, srv: replacement }]
    })
}

const atServices = async (
  { names, random }: Directory,
  { transport, srv }: Service,
): Promise<readonly Hop[]> => {
  const records = await names.srv(srv).catch(() => [])
  const hops: Hop[] = []
  for (const record of orderServices(records, random).slice(0, hopsMax)) {
    if (record.name === "" || record.name === "." || record.port === 0) continue
    hops.push(...(await atAddresses(names, record.name, record.port, transport).catch(() => [])))
  }
  return hops
}

const atAddresses = async (
  names: NameService,
  host: string,
  port: number,
  transport: Transport,
): Promise<readonly Hop[]> => (await names.addresses(host)).map((address) => ({ transport, address, port }))

/** By ascending priority; within one, drawn by weight (RFC 2782). */
export const orderServices = <T extends { readonly priority: number; readonly weight: number }>(
  records: readonly T[],
  random: () => number,
): readonly T[] => {
  const left = records.toSorted((a, b) => a.priority - b.priority)
  const ordered: T[] = []
  while (left.length > 0) {
    const { priority } = left[0]!
    const group = left.filter((record) => record.priority === priority)
    const total = group.reduce((sum, { weight }) => sum + weight, 0)
    let draw = random() * total
    const chosen = group.find(({ weight }) => (draw -= weight) < 0) ?? group[0]!
    ordered.push(chosen)
    left.splice(left.indexOf(chosen), 1)
  }
  return ordered
}
