/**
 * The certificate that `presently dev` makes for itself, so that phones in browsers and phones over TLS work at once.
 *
 * It is signed by its own key, and nobody believes it until told to: a browser asks once, on the page that answers at
 * the address of the WebSocket. It is kept beside the accounts, so that it is the same at the next start.
 */
import { X509Certificate, webcrypto } from "node:crypto"
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { isIP } from "node:net"
import { join } from "node:path"

export interface OwnCertificate {
  /** PEM with certificate and key, readable for its owner alone. */
  readonly file: string
  /** The certificate alone, to give to phones. */
  readonly certificateFile: string
  readonly isNew: boolean
}

/** Browsers refuse certificates that are valid for longer (CA/Browser Forum, ballot SC-22). */
const validDays = 397
/** A new one is made when less is left. */
const leftDays = 30
const dayMillis = 86_400_000

/**
 * The certificate in the folder, or a new one if there is none, it ends soon, or lacks one of the names.
 *
 * @param hosts names and addresses that phones connect to @throws if the folder cannot be written
 */
export const ownCertificate = async (folder: string, hosts: readonly string[]): Promise<OwnCertificate> => {
  const file = join(folder, "tls.pem")
  const certificateFile = join(folder, "tls-certificate.pem")
  const isThere = existsSync(file) && existsSync(certificateFile)
  if (isThere && isGoodFor(readFileSync(file, "utf8"), hosts)) return { file, certificateFile, isNew: false }
  const { certificate, key } = await make(hosts)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  writeFileSync(file, `${certificate}\n${key}`, { mode: 0o600 })
  chmodSync(file, 0o600)
  writeFileSync(certificateFile, `${certificate}\n`, { mode: 0o600 })
  return { file, certificateFile, isNew: true }
}

const isGoodFor = (pem: string, hosts: readonly string[]): boolean => {
  try {
    const certificate = new X509Certificate(pem)
    const isLasting = certificate.validToDate.getTime() - Date.now() > leftDays * dayMillis
    return isLasting && hosts.every((host) => isNamed(certificate, host))
  } catch {
    return false
  }
}

const isNamed = (certificate: X509Certificate, host: string): boolean =>
  (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

const make = async (hosts: readonly string[]) => {
  // the package needs it, and does not load it
  await import("reflect-metadata")
  const x509 = await import("@peculiar/x509")
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=presently dev",
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - dayMillis),
    notAfter: new Date(Date.now() + (validDays - 1) * dayMillis),
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
      ),
    ],
  })
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64")
  return {
    certificate: certificate.toString("pem"),
    key: `-----BEGIN PRIVATE KEY-----\n${key.replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`,
  }
}
