/** Which hosts and addresses are this server: the domains it serves, and where it listens. */
import type { SipOptions } from "./options.ts"
import { isWildcard } from "./transports/local-address.ts"
import type { LocalHosts } from "./transports/local-address.ts"
import type { Listener } from "./transports/transport.ts"
import { bracketed, parseUri, plainHost } from "./uri.ts"

export interface OwnAddresses {
  /** Whether a request for that host, as spelled in a URI, is for this server. */
  readonly serves: (host: string) => boolean
  /** Whether the host is an address or name of the server itself rather than a domain that it serves. */
  readonly isOwnHost: (host: string) => boolean
  /** Whether a request sent to that host and port would reach us; names are not resolved. */
  readonly isOwnAddress: (host: string, port: number) => boolean
  /** Adds the host of a socket, without brackets. */
  readonly add: (host: string) => void
}

/** @param listeners those currently open; may change */
export const makeOwnAddresses = (
  options: Pick<SipOptions, "domains" | "domainAliases" | "contactUri" | "advertise">,
  local: LocalHosts,
  listeners: readonly Listener[],
): OwnAddresses => {
  const domains = new Set((options.domains ?? []).map((domain) => bracketed(plainHost(domain))))
  const hosts = new Set<string>(["localhost", "127.0.0.1", "[::1]"])
  const contact = options.contactUri ? parseUri(options.contactUri) : null
  if (contact !== null && contact.scheme !== "tel") hosts.add(bracketed(plainHost(contact.host)))
  for (const { alias } of options.domainAliases ?? []) hosts.add(alias)
  const advertised = options.advertise ?? []
  for (const { host } of advertised) hosts.add(bracketed(host))
  const isOwn = (plain: string): boolean =>
    hosts.has(bracketed(plain)) ||
    listeners.some((listener) => isWildcard(listener.host) && local.isAt(listener, plain))
  return {
    serves: (host) => {
      if (domains.size === 0 || domains.has(host) || hosts.has(host)) return true
      const plain = plainHost(host)
      return domains.has(bracketed(plain)) || isOwn(plain)
    },
    isOwnHost: (host) => {
      const plain = plainHost(host)
      return !domains.has(bracketed(plain)) && isOwn(plain)
    },
    isOwnAddress: (host, port) => {
      const plain = plainHost(host)
      return listeners.some(
        (listener) =>
          (listener.port === port && local.isAt(listener, plain)) ||
          advertised.some((entry) => entry.host === plain && (entry.port ?? listener.port) === port),
      )
    },
    add: (host) => {
      if (!isWildcard(host)) hosts.add(bracketed(host))
    },
  }
}
