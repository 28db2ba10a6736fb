/**
 * The certificates of this server, and whom it believes: replaced while connections go on.
 *
 * A connection keeps what its handshake agreed on. Every later handshake goes by what is in force then.
 */
import { X509Certificate, createPrivateKey } from "node:crypto"
import { createSecureContext } from "node:tls"
import type { SecureContext, SecureContextOptions, SecureVersion } from "node:tls"
import { canonicalHost } from "../../../domain/uris.ts"
import { namesOf } from "./certificate-names.ts"
import type { PeerCertificate } from "./certificate-names.ts"

/** A certificate with its chain, and its key; both PEM. */
export interface Credential {
  readonly certificate: string
  readonly key: string
}

export interface TlsOptions {
  /** The first is for clients that name no server, or one that no certificate has. Empty: none listens over TLS. */
  readonly credentials: readonly Credential[]
  /** Certificates of authorities, PEM; null: those that Node brings along. */
  readonly authorities: string | null
  /** Whether clients are asked for a certificate, and refused without a good one. */
  readonly clients: "off" | "optional" | "required"
  /** Whether servers that we connect to must prove their name. */
  readonly verifiesServers: boolean
  readonly minVersion: Extract<SecureVersion, "TLSv1.2" | "TLSv1.3">
}

export const tlsDefault: TlsOptions = {
  credentials: [],
  authorities: null,
  clients: "off",
  verifiesServers: true,
  minVersion: "TLSv1.2",
}

export interface TlsIdentity {
  readonly options: () => TlsOptions
  /** For a server that a client asks for by SNI (RFC 6066 §3); null: it names none. */
  readonly contextFor: (name: string | null) => SecureContext
  /** What a server is created with: the first credential, and how clients are treated. */
  readonly serverOptions: () => SecureContextOptions
  /** For connections that we open: with our first certificate, if there is one. */
  readonly clientContext: () => SecureContext
  /** From now on. Throws if one of them is unusable, and changes nothing then. */
  readonly replace: (options: TlsOptions) => void
  /** Calls back after each replacement. @returns a function that ends it */
  readonly onReplace: (replaced: () => void) => () => void
}

interface Prepared {
  readonly options: TlsOptions
  readonly contexts: readonly { readonly names: readonly string[]; readonly context: SecureContext }[]
  readonly client: SecureContext
}

/** @throws Error if a certificate or key cannot be used */
export const makeTlsIdentity = (options: TlsOptions): TlsIdentity => {
  let prepared = prepare(options)
  const listeners = new Set<() => void>()
  return {
    options: () => prepared.options,
    contextFor: (name) => contextFor(prepared, name),
    serverOptions: () => serverContext(prepared.options, prepared.options.credentials[0]),
    clientContext: () => prepared.client,
    replace: (next) => {
      prepared = prepare(next)
      for (const replaced of listeners) replaced()
    },
    onReplace: (replaced) => {
      listeners.add(replaced)
      return () => void listeners.delete(replaced)
    },
  }
}

const prepare = (options: TlsOptions): Prepared => ({
  options,
  contexts: options.credentials.map((credential) => ({
    names: servedNames(credential.certificate),
    context: createSecureContext(serverContext(options, credential)),
  })),
  client: createSecureContext({
    minVersion: options.minVersion,
    ...(options.authorities === null ? {} : { ca: options.authorities }),
    ...(options.credentials[0] === undefined
      ? {}
      : { cert: options.credentials[0].certificate, key: options.credentials[0].key }),
  }),
})

/** Authorities count for certificates of clients only where clients are asked for one. */
const serverContext = (options: TlsOptions, credential: Credential | undefined): SecureContextOptions => ({
  minVersion: options.minVersion,
  honorCipherOrder: true,
  ...(credential === undefined ? {} : { cert: credential.certificate, key: credential.key }),
  ...(options.clients === "off" || options.authorities === null ? {} : { ca: options.authorities }),
})

/** Names by which a client may ask for the certificate: a wildcard stands for one label (RFC 6125 §6.4.3). */
const servedNames = (pem: string): readonly string[] => {
  const certificate = new X509Certificate(pem)
  const { domains, addresses } = namesOf(certificate)
  const dns = [...(certificate.subjectAltName ?? "").matchAll(/DNS:([^,\s"]+)/g)].map(([, name = ""]) =>
    name.toLowerCase(),
  )
  return [...new Set([...domains, ...addresses, ...dns])]
}

const contextFor = ({ contexts }: Prepared, name: string | null): SecureContext => {
  const [first] = contexts
  if (first === undefined) throw new Error("no certificate")
  if (name === null) return first.context
  const wanted = canonicalHost(name)
  const wildcard = wanted.replace(/^[^.]+\./, "*.")
  const exact = contexts.find(({ names }) => names.includes(wanted))
  return (exact ?? contexts.find(({ names }) => names.includes(wildcard)) ?? first).context
}

/** What is wrong with a certificate and its key; null: nothing. */
export const credentialFault = ({ certificate, key }: Credential): string | null => {
  let read: X509Certificate
  try {
    read = new X509Certificate(certificate)
  } catch {
    return "there is no certificate in PEM form in it"
  }
  try {
    if (!read.checkPrivateKey(createPrivateKey(key))) return "the key does not belong to the certificate"
    createSecureContext({ cert: certificate, key })
    return null
  } catch (cause) {
    return `the key cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}

/** What people need to know of a certificate. */
export interface CertificateFacts {
  readonly names: PeerCertificate
  /** Milliseconds since 1970. */
  readonly from: number
  readonly until: number
}

export const factsOfCertificate = (pem: string): CertificateFacts => {
  const certificate = new X509Certificate(pem)
  return {
    names: namesOf(certificate),
    from: certificate.validFromDate.getTime(),
    until: certificate.validToDate.getTime(),
  }
}
