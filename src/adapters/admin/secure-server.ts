/**
 * The HTTP server of a management port over TLS. Certificates may be replaced while it runs.
 */
import type { Server } from "node:http"
import { createServer } from "node:https"
import type { SecureContext, SecureContextOptions } from "node:tls"

/** The certificates of a server, and whether its clients need one. */
export interface ServerIdentity {
  readonly options: () => { readonly clients: "off" | "optional" | "required" }
  /** Of the first certificate. */
  readonly serverOptions: () => SecureContextOptions
  /** For the name that a client asks for (RFC 6066 §3). */
  readonly contextFor: (name: string) => SecureContext
  /** Calls back after each replacement. @returns a function that ends it */
  readonly onReplace: (replaced: () => void) => () => void
}

export interface AdminTls {
  readonly identity: ServerIdentity
  /** How long a handshake may take. */
  readonly handshakeMillis: number
}

/** Not listening yet. */
export const secureServer = ({ identity, handshakeMillis }: AdminTls): Server => {
  const { clients } = identity.options()
  const server = createServer({
    ...identity.serverOptions(),
    handshakeTimeout: handshakeMillis,
    requestCert: clients !== "off",
    rejectUnauthorized: clients === "required",
    SNICallback: (name, done) => {
      try {
        done(null, identity.contextFor(name))
      } catch (cause) {
        done(cause instanceof Error ? cause : new Error(String(cause)))
      }
    },
  })
  const forget = identity.onReplace(() => server.setSecureContext(identity.serverOptions()))
  server.once("close", forget)
  return server
}
