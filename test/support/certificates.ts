/**
 * Certificates for tests: an authority, and what it signs.
 */
import "reflect-metadata"
import { webcrypto } from "node:crypto"
import {
  BasicConstraintsExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509"
import type { JsonGeneralNames, X509Certificate } from "@peculiar/x509"

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

export interface MadeCertificate {
  /** PEM. */
  readonly certificate: string
  readonly key: string
}

export interface Authority extends MadeCertificate {
  readonly sign: (wanted: Wanted) => Promise<MadeCertificate>
}

export interface Wanted {
  readonly commonName?: string
  readonly dns?: readonly string[]
  readonly uri?: readonly string[]
  readonly ip?: readonly string[]
  readonly from?: Date
  readonly until?: Date
}

const day = 86_400_000

const namesIn = ({ dns = [], uri = [], ip = [] }: Wanted): JsonGeneralNames => [
  ...dns.map((value) => ({ type: "dns" as const, value })),
  ...uri.map((value) => ({ type: "url" as const, value })),
  ...ip.map((value) => ({ type: "ip" as const, value })),
]

const pemOfKey = async (key: webcrypto.CryptoKey): Promise<string> => {
  const bytes = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", key)).toString("base64")
  return `-----BEGIN PRIVATE KEY-----\n${bytes.replaceAll(/.{64}/g, "$&\n")}\n-----END PRIVATE KEY-----\n`
}

export const makeAuthority = async (name = "Test Authority"): Promise<Authority> => {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const own = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    keys: keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - day),
    notAfter: new Date(Date.now() + 30 * day),
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  })
  return {
    certificate: `${own.toString("pem")}\n`,
    key: await pemOfKey(keys.privateKey),
    sign: async (wanted) => {
      const subject = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
      const names = namesIn(wanted)
      const made: X509Certificate = await X509CertificateGenerator.create({
        subject: `CN=${wanted.commonName ?? "test"}`,
        issuer: own.subject,
        publicKey: subject.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        notBefore: wanted.from ?? new Date(Date.now() - day),
        notAfter: wanted.until ?? new Date(Date.now() + 30 * day),
        extensions: names.length === 0 ? [] : [new SubjectAlternativeNameExtension(names)],
      })
      return { certificate: `${made.toString("pem")}\n`, key: await pemOfKey(subject.privateKey) }
    },
  }
}
