/**
 * Certificates and keys, as the settings name them.
 */
import { readFileSync } from "node:fs"
import { secureNames } from "../../adapters/sip/transports/names.ts"
import { credentialFault, factsOfCertificate } from "../../adapters/sip/transports/tls-identity.ts"
import type { Credential, TlsOptions } from "../../adapters/sip/transports/tls-identity.ts"
import type { CertificateView } from "../../ports/certificate-view.ts"
import type { Advice } from "./advice.ts"
import type { Config } from "./config.ts"
import { fileWords } from "./file-words.ts"
import { adminText, hostPort } from "./host-port.ts"

/** A certificate with its key, and where they came from. */
export interface NamedCredential extends Credential {
  readonly file: string
  readonly keyFile: string
}

export interface ReadTls {
  readonly options: TlsOptions
  /** Those of the management port. */
  readonly adminOptions: TlsOptions
  readonly credentials: readonly NamedCredential[]
  readonly faults: readonly string[]
}

const entrySyntax = "expected FILE or FILE;key=KEYFILE, both PEM"

/** Reads every file that the settings name. */
export const readTls = (config: Config): ReadTls => {
  const { tls_ca, tls_client_certificates, tls_verify, tls_min_version, sources } = config
  const faults: string[] = []
  const credentials: NamedCredential[] = []
  for (const entry of config.tls_certificate) {
    const credential = readCredential(entry)
    if (typeof credential === "string")
      faults.push(`tls_certificate = ${entry} (${sources.tls_certificate}): ${credential}`)
    else credentials.push(credential)
  }
  const secureAddress = config.listen.find(({ transport }) => secureNames.includes(transport))
  if (secureAddress !== undefined && config.tls_certificate.length === 0)
    faults.push(
      `listen = ${secureAddress.transport}:… (${sources.listen}): TLS needs a certificate: ` +
        "give tls_certificate = FILE;key=KEYFILE (PEM)",
    )
  faults.push(...adminTlsFaults(config))
  const authorities = tls_ca === null ? null : readAuthorities(tls_ca)
  if (authorities !== null && "fault" in authorities)
    faults.push(`tls_ca = ${tls_ca} (${sources.tls_ca}): ${authorities.fault}`)
  if (tls_client_certificates !== "off" && tls_ca === null)
    faults.push(
      `tls_client_certificates = ${tls_client_certificates} (${sources.tls_client_certificates}): ` +
        "whose certificates are good has to be said: give tls_ca = FILE with the authority of your clients",
    )
  for (const entry of config.trusted_peers)
    if (/^certificate:/i.test(entry) && tls_client_certificates === "off")
      faults.push(
        `trusted_peers = ${entry} (${sources.trusted_peers}): nobody is asked for a certificate: ` +
          "give tls_client_certificates = optional",
      )
  const options: TlsOptions = {
    credentials,
    authorities: authorities !== null && "text" in authorities ? authorities.text : null,
    clients: tls_client_certificates as TlsOptions["clients"],
    verifiesServers: tls_verify,
    minVersion: tls_min_version === "1.3" ? "TLSv1.3" : "TLSv1.2",
  }
  const adminOptions: TlsOptions = {
    ...options,
    clients: config.admin_client_certificates as TlsOptions["clients"],
  }
  return { options, adminOptions, credentials, faults }
}

/** What a management port over HTTPS lacks. */
const adminTlsFaults = ({
  admin,
  admin_client_certificates,
  tls_ca,
  tls_certificate,
  sources,
}: Config): readonly string[] => {
  const faults: string[] = []
  const isSecure = admin?.isSecure === true
  if (isSecure && tls_certificate.length === 0)
    faults.push(
      `admin = ${adminText(admin)} (${sources.admin}): HTTPS needs a certificate: ` +
        "give tls_certificate = FILE;key=KEYFILE (PEM)",
    )
  if (admin_client_certificates === "off") return faults
  const at = `admin_client_certificates = ${admin_client_certificates} (${sources.admin_client_certificates})`
  if (admin !== null && !isSecure)
    faults.push(
      `${at}: nobody is asked for a certificate over HTTP: give admin = https://${hostPort(admin.host, admin.port)}`,
    )
  if (tls_ca === null)
    faults.push(
      `${at}: whose certificates are good has to be said: give tls_ca = FILE with the authority of your clients`,
    )
  return faults
}

/** The certificate and its key, which may be one file; empty: the entry is malformed. */
export const certificateFiles = (entry: string): readonly [certificate: string, key: string] | [] => {
  const [file = "", ...parameters] = entry.split(";").map((part) => part.trim())
  const [parameter] = parameters
  if (file === "" || parameters.length > 1) return []
  if (parameter !== undefined && !/^key=./.test(parameter)) return []
  return [file, parameter === undefined ? file : parameter.slice("key=".length).trim()]
}

/** @returns a text if it cannot be used: why */
const readCredential = (entry: string): NamedCredential | string => {
  const [file, keyFile] = certificateFiles(entry)
  if (file === undefined || keyFile === undefined) return entrySyntax
  const certificate = readText(file)
  if ("fault" in certificate) return certificate.fault
  const key = keyFile === file ? certificate : readText(keyFile)
  if ("fault" in key) return `key = ${keyFile}: ${key.fault}`
  const credential = { file, keyFile, certificate: certificate.text, key: key.text }
  return credentialFault(credential) ?? credential
}

const readText = (file: string): { readonly text: string } | { readonly fault: string } => {
  try {
    return { text: readFileSync(file, "utf8") }
  } catch (cause) {
    return { fault: fileWords(cause) }
  }
}

const readAuthorities = (file: string): { readonly text: string } | { readonly fault: string } => {
  const read = readText(file)
  if ("fault" in read) return read
  try {
    factsOfCertificate(read.text)
    return read
  } catch {
    return { fault: "there is no certificate in PEM form in it" }
  }
}

/** What is to be told of the certificates. */
export const certificateViews = (credentials: readonly NamedCredential[]): readonly CertificateView[] =>
  credentials.map(({ file, certificate }) => {
    const { names, from, until } = factsOfCertificate(certificate)
    return { file, names: [...names.domains, ...names.addresses], from, until }
  })

const dayMillis = 86_400_000
/** Long enough for somebody to be back from a holiday. */
const soonDays = 30

/** How a certificate stands. `soon`: it ends to be valid within a month. */
export const certificateState = (
  { from, until }: Pick<CertificateView, "from" | "until">,
  now: number,
): "early" | "good" | "soon" | "over" =>
  now < from ? "early" : now >= until ? "over" : until - now < soonDays * dayMillis ? "soon" : "good"

const dayOf = (millis: number): string => new Date(millis).toISOString().slice(0, 10)

/** `expires on 2027-01-31, in 12 days` */
export const certificateWords = (view: CertificateView, now: number): string => {
  const { from, until } = view
  switch (certificateState(view, now)) {
    case "early":
      return `is valid from ${dayOf(from)} on only: clients refuse it until then`
    case "over":
      return `expired on ${dayOf(until)}: clients refuse it`
    default: {
      const days = Math.floor((until - now) / dayMillis)
      return `expires on ${dayOf(until)}, in ${days} ${days === 1 ? "day" : "days"}`
    }
  }
}

/** What an operator has to do about certificates, and soon. */
export const certificateAdvice = (credentials: readonly NamedCredential[], now: number): readonly Advice[] =>
  certificateViews(credentials)
    .filter((view) => certificateState(view, now) !== "good")
    .map((view) => ({
      what: `tls_certificate ${view.file} ${certificateWords(view, now)}`,
      fix: "put a new one in its place, then presently reload",
    }))

const originSyntax = /^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/(?:\*\.)?[^/\s]+)$/i

/** One line for each entry that is no origin. */
export const originFaults = ({ websocket_origins: origins, sources }: Config): readonly string[] =>
  origins
    .filter((origin) => !originSyntax.test(origin))
    .map(
      (origin) =>
        `websocket_origins = ${origin} (${sources.websocket_origins}): expected scheme and host as browsers write them, ` +
        "for example https://phone.example.com or https://*.example.com, or * for all",
    )

/** @param isOpen whether nobody is authenticated: then a page of any site could read everything through its reader's browser */
export const originAllowed = (
  { websocket_origins: origins }: Config,
  isOpen: boolean,
): ((origin: string) => boolean) => {
  if (origins.length === 0) return isOpen ? isOfThisMachine : () => true
  const allowed = origins.map((origin) => origin.toLowerCase())
  return (origin) => {
    const written = origin.toLowerCase()
    return allowed.some((entry) => {
      const star = entry.indexOf("://*.")
      if (star < 0) return entry === "*" || entry === written
      const [scheme, suffix] = [entry.slice(0, star + 3), entry.slice(star + 4)]
      return (
        written.startsWith(scheme) &&
        written.endsWith(suffix) &&
        written.length > scheme.length + suffix.length
      )
    })
  }
}

const isOfThisMachine = (origin: string): boolean =>
  /^https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i.test(origin)
