/**
 * The certificates in force, and their replacement by a reload.
 */
import { makeTlsIdentity } from "../../adapters/sip/transports/tls-identity.ts"
import type { TlsIdentity } from "../../adapters/sip/transports/tls-identity.ts"
import type { CertificateView } from "../../ports/certificate-view.ts"
import { certificateViews } from "../config/tls-settings.ts"
import type { ReadTls } from "../config/tls-settings.ts"

export interface Certificates {
  readonly identity: TlsIdentity
  /** Of the management port. */
  readonly admin: TlsIdentity
  readonly views: () => readonly CertificateView[]
  /** For later handshakes; open connections stay. @returns what is different, in words */
  readonly replace: (next: ReadTls) => readonly string[]
}

export const makeCertificates = (started: ReadTls): Certificates => {
  const identity = makeTlsIdentity(started.options)
  const admin = makeTlsIdentity(started.adminOptions)
  let views = certificateViews(started.credentials)
  return {
    identity,
    admin,
    views: () => views,
    replace: ({ options, adminOptions, credentials }) => {
      const before = identity.options()
      // whether clients are asked for a certificate is settled when a socket opens
      const next = { ...options, clients: before.clients }
      const texts = ({ credentials: all }: typeof before): string =>
        JSON.stringify(all.map(({ certificate, key }) => [certificate, key]))
      const changes = [
        ...(texts(before) === texts(next) ? [] : ["certificates replaced"]),
        ...(before.authorities === next.authorities ? [] : ["authorities replaced"]),
        ...(before.verifiesServers === next.verifiesServers && before.minVersion === next.minVersion
          ? []
          : ["TLS settings changed"]),
      ]
      if (changes.length === 0) return []
      identity.replace(next)
      admin.replace({ ...adminOptions, clients: admin.options().clients })
      views = certificateViews(credentials)
      return changes
    },
  }
}
