/**
 * Which names of a certificate count, and what they are compared with.
 *
 * The subject alternative names of the kind URI are asked first: `sip:example.com` names a domain, and
 * `sip:alice@example.com` a user, which RFC 5922 does not count as a domain. Only a certificate without a URI of a
 * domain or a user is asked for its DNS names, and only one without subject alternative names for its common name.
 * IP addresses name hosts that are written as addresses.
 *
 * @source RFC 5922 §7.1, §7.2; RFC 3261 §26.3.1
 */
import type { X509Certificate } from "node:crypto"
import { canonicalHost } from "../../../domain/uris.ts"
import type { Uri } from "../../../domain/vocabulary.ts"
import { canonicalAddress, numericHost, ownAddressOf, parseUri, plainHost } from "../uri.ts"

/** What a verified certificate says of its holder. */
export interface PeerCertificate {
  /** Names of domains and hosts, in lower case. */
  readonly domains: readonly string[]
  /** Numeric addresses in canonical form, without brackets. */
  readonly addresses: readonly string[]
  /** Users: addresses of record. */
  readonly users: readonly Uri[]
}

interface AlternativeName {
  readonly kind: string
  readonly value: string
}

/**
 * Splits `URI:sip:example.com, DNS:"a, b"`. Node writes values with special characters as JSON strings, so that a value
 * cannot be read as two names.
 */
const alternativeNames = (text: string): readonly AlternativeName[] => {
  const names: AlternativeName[] = []
  for (const [, kind = "", quoted, plain] of text.matchAll(
    /([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^,]*))(?:, |$)/g,
  )) {
    const value = quoted === undefined ? (plain ?? "") : unquoted(quoted)
    if (value !== null) names.push({ kind, value })
  }
  return names
}

const unquoted = (text: string): string | null => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "string" ? value : null
  } catch {
    return null
  }
}

/** No wildcard, and nothing but a name: RFC 5922 §7.2 allows no other. */
const isName = (text: string): boolean => /^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(text)

const nameOf = (text: string): string => plainHost(canonicalHost(text))

/** @returns names in the order of the certificate, without repetition */
export const namesOf = (certificate: X509Certificate): PeerCertificate => {
  const names = alternativeNames(certificate.subjectAltName ?? "")
  const domains = new Set<string>()
  const users = new Set<Uri>()
  const addresses = new Set<string>()
  for (const { kind, value } of names) {
    if (kind === "IP Address") {
      const address = numericHost(value)
      if (address !== null) addresses.add(canonicalAddress(address))
    }
    if (kind !== "URI") continue
    const uri = parseUri(value)
    if (uri === null || uri.scheme === "tel" || uri.scheme === "pres" || uri.headers !== null) continue
    if (uri.user !== null) users.add(ownAddressOf(uri))
    else if (isName(uri.host)) domains.add(nameOf(uri.host))
  }
  if (domains.size === 0 && users.size === 0)
    for (const { kind, value } of names) if (kind === "DNS" && isName(value)) domains.add(nameOf(value))
  if (names.length === 0) {
    const [, common = ""] = /^CN=(.*)$/m.exec(certificate.subject) ?? []
    if (isName(common)) domains.add(nameOf(common))
  }
  return { domains: [...domains], users: [...users], addresses: [...addresses] }
}

/**
 * Whether the certificate belongs to that host or domain.
 *
 * @param host as in a URI: a name, or an address with or without brackets
 */
export const covers = ({ domains, addresses }: PeerCertificate, host: string): boolean => {
  const address = numericHost(host)
  return address === null ? domains.includes(nameOf(host)) : addresses.includes(address)
}
