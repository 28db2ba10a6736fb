/**
 * The setting `domain_aliases`: other names of a domain, such as the address that phones have for their server.
 *
 * A user at an alias is the user at the domain. This is settled where a request is read, so that the log, and whatever
 * is compared or told, has one name for each.
 */
import { canonicalHost } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { ownAddressOf, readHostPort } from "./uri.ts"
import type { SipUri, TelUri } from "./uri.ts"

export interface DomainAlias {
  readonly alias: string
  readonly domain: string
}

/** The address of record at the domain itself. */
export type Canonical = (address: Uri) => Uri

/** @param presumed the domain of an entry that names none; null: there is none */
const readEntry = (entry: string, presumed: string | null): DomainAlias | null => {
  const equals = entry.indexOf("=")
  const alias = hostOf(equals < 0 ? entry : entry.slice(0, equals))
  const domain = equals < 0 ? presumed : hostOf(entry.slice(equals + 1))
  return alias === null || domain === null ? null : { alias, domain }
}

const hostOf = (text: string): string | null => {
  const written = text.trim()
  const read = readHostPort(written, 0)
  return read === null || read.port !== null || read.end !== written.length ? null : canonicalHost(read.host)
}

const presumedOf = (domains: readonly string[]): string | null =>
  domains[0] === undefined ? null : canonicalHost(domains[0])

export const readAliases = (entries: readonly string[], domains: readonly string[]): readonly DomainAlias[] =>
  entries.flatMap((entry) => readEntry(entry, presumedOf(domains)) ?? [])

/** What is wrong with an entry, with the entry; @param domains served; empty: all */
export const aliasFaults = (
  entries: readonly string[],
  domains: readonly string[],
): readonly { readonly entry: string; readonly why: string }[] => {
  const served = new Set(domains.map((domain) => canonicalHost(domain)))
  const aliases = readAliases(entries, domains)
  return entries.flatMap((entry, index) => {
    const read = readEntry(entry, presumedOf(domains))
    if (read === null)
      return {
        entry,
        why: "expected ALIAS=DOMAIN, or ALIAS of the first domain, for example 10.0.0.5=example.com",
      }
    const { alias, domain } = read
    if (served.has(alias)) return { entry, why: `${alias} is a domain of its own: leave it out of domain` }
    if (served.size > 0 && !served.has(domain))
      return { entry, why: `${domain} is not served; domain = ${domains.join(", ")}` }
    if (aliases.some((other) => other.alias === domain)) return { entry, why: `${domain} is an alias itself` }
    const isTwice = entries
      .slice(0, index)
      .some((other) => readEntry(other, presumedOf(domains))?.alias === alias)
    return isTwice ? { entry, why: `${alias} has an entry already` } : []
  })
}

/** @returns null if there are no aliases */
export const makeCanonical = (aliases: readonly DomainAlias[]): Canonical | null => {
  if (aliases.length === 0) return null
  const domains = new Map(aliases.map(({ alias, domain }) => [alias, domain]))
  return (address) => {
    const start = address.lastIndexOf("@") + 1 || address.indexOf(":") + 1
    const domain = domains.get(address.slice(start))
    return domain === undefined ? address : (`${address.slice(0, start)}${domain}` as Uri)
  }
}

/** The address of record of a URI, as presentities and watchers are named here. */
export const addressIn = (
  { canonical = null }: { readonly canonical?: Canonical | null | undefined },
  uri: SipUri | TelUri,
): Uri => {
  const address = ownAddressOf(uri)
  return canonical === null ? address : canonical(address)
}
