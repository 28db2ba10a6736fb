/**
 * Hosts and ports as people write them.
 */

/** Loopback addresses cannot be reached from outside, so a server on them may be open. */
export const isLoopback = (host: string): boolean => host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)

/** `http://127.0.0.1:5080/`, as copied from a browser. */
export const withoutScheme = (text: string): string => text.replace(/^http:\/\/([^/]+)\/*$/i, "$1")

/** The same of a port that speaks HTTPS. */
export const withoutSecureScheme = (text: string): string => text.replace(/^https:\/\/([^/]+)\/*$/i, "$1")

/** `https://192.0.2.7:5443` for one that speaks HTTPS, else `192.0.2.7:5080` */
export const adminText = (admin: {
  readonly host: string
  readonly port: number
  readonly isSecure: boolean
}): string => `${admin.isSecure ? "https://" : ""}${hostPort(admin.host, admin.port)}`

/** A host as it is written before a port, and in a URI: IPv6 addresses get brackets. */
export const inBrackets = (host: string): string => (host.includes(":") ? `[${host}]` : host)

/** `127.0.0.1:5080`, `[::1]:5080` */
export const hostPort = (host: string, port: number): string => `${inBrackets(host)}:${port}`

/** `127.0.0.1:5080`, `[::1]:5080`, `localhost:5080` */
export const parseHostPort = (text: string): { readonly host: string; readonly port: number } | null => {
  const colon = text.lastIndexOf(":")
  const port = text.slice(colon + 1)
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, "$1")
  if (colon <= 0 || !/^[^\s/@]+$/.test(host) || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) return null
  return { host, port: Number(port) }
}
