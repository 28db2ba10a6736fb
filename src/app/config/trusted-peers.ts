/**
 * The setting `trusted_peers`: its one-line form, what an operator should know about its entries, and how a server describes who
 * has to authenticate.
 */
import { canonicalDomain, domainOf } from "../../domain/uris.ts"
import type { Config } from "./config.ts"
import { parseValue } from "./file.ts"

/** A flag or variable: entries separated by commas, or a list in YAML or JSON. */
export const peersInText = (text: string): unknown =>
  /^\s*[[{]\s*["'{]/.test(text) ? parseValue(text) : text.split(",").map((entry) => entry.trim())

/** What an entry leaves out. */
const isBare = (entry: string): boolean => !/;(?:identity|publishes_for)=/.test(entry)

export interface PeersGiven {
  readonly entries: readonly string[]
  readonly source: string
  readonly domains: readonly string[]
  /** `insecure_no_auth` is on and there are no users. */
  readonly isOpen: boolean
}

/** One line for each thing that an operator should know about the entries, with what to write. */
export const peerAdvice = ({ entries, source, domains, isOpen }: PeersGiven): readonly string[] => {
  const advice: string[] = []
  const bare = entries.filter(isBare)
  if (bare.length > 0) {
    const domain = domains.length === 0 ? "DOMAIN" : domains.join("|")
    const written = (said: string): string =>
      JSON.stringify(entries.map((entry) => (isBare(entry) ? said.replace("PEER", entry) : entry)))
    advice.push(
      `trusted_peers = ${bare.join(",")} (${source}): an entry that does not say whom it speaks for reads as identity=pai and publishes for ` +
        "nobody: its PUBLISH without P-Asserted-Identity or for somebody else is refused (403), and its SUBSCRIBE without one is anonymous. " +
        `If that is right, write trusted_peers: ${written("PEER;identity=pai")}; for a PBX or pua module that publishes for its extensions, ` +
        `trusted_peers: ${written(`PEER;identity=pai;publishes_for=${domain}`)}`,
    )
  }
  for (const entry of entries) {
    if (/^[^;]*\/0(?:;|$)/.test(entry)) {
      advice.push(
        `trusted_peers = ${entry} (${source}): that is every address, so everybody is believed; write the network of your proxies, for example 10.0.0.0/24`,
      )
    }
  }
  if (isOpen && entries.length > 0) {
    advice.push(
      "insecure_no_auth = 1: with trusted_peers and without users_file all others are refused on the SIP side all the same; leave it out",
    )
  }
  return advice
}

/**
 * One line for each name in `publishes_for` that no request can concern.
 *
 * @param domains served; empty: all
 */
export const peerDomainFaults = ({
  trusted_peers,
  domain,
  sources,
}: Pick<Config, "trusted_peers" | "domain" | "sources">): readonly string[] => {
  const served = new Set(domain.map((name) => canonicalDomain(name) ?? name))
  if (served.size === 0) return []
  return trusted_peers.flatMap((entry) => {
    const names = /;publishes_for=([^;]*)/.exec(entry)?.[1]?.split("|") ?? []
    return names.flatMap((name) => {
      const itsDomain =
        domainOf(name) ?? (name === "*" || name.startsWith("tel:") ? null : canonicalDomain(name))
      return itsDomain === null || served.has(itsDomain)
        ? []
        : `trusted_peers = ${entry} (${sources.trusted_peers}): publishes_for=${name}: ${itsDomain} is not served; domain = ${[...served].join(", ")}`
    })
  })
}

/** Who has to authenticate, for banner, log and doctor. */
export const authText = ({
  users_file,
  trusted_peers,
  tls_client_certificates,
}: Pick<Config, "users_file" | "trusted_peers" | "tls_client_certificates">): string => {
  const peers = trusted_peers.length === 0 ? [] : [`trusted peers ${trusted_peers.join(", ")}`]
  const users = users_file === null ? [] : [users_file]
  const certificates = tls_client_certificates === "off" ? [] : ["certificates of users"]
  const all = [...users, ...peers, ...certificates]
  if (all.length === 0) return "none: everyone may see and publish everything"
  return all.join("; ") + (users_file === null ? "; all others are refused" : "")
}
