/**
 * Whether a peer asks to be reached over the connection that it opened, instead of at the port where it listens.
 *
 * Only over TLS, and only for a peer whose certificate names the host in its Via: anyone else could have the requests
 * for another server sent over his own connection.
 *
 * @source RFC 5923 §4, §8.1
 */
import type { RawMessage } from "../message-reader.ts"
import { parseVia } from "../via.ts"
import { covers } from "./certificate-names.ts"
import type { PeerCertificate } from "./certificate-names.ts"

const asks = /;[ \t]*alias[ \t]*(?=[;,=]|$)/i

/** The port at which the peer listens; null: it does not ask, or may not. */
export const aliasPort = (
  { isRequest, vias }: RawMessage,
  certificate: PeerCertificate,
  defaultPort: number,
): number | null => {
  const [line] = vias
  if (!isRequest || line === undefined || !asks.test(line)) return null
  const via = parseVia(line)
  if (via === null || !asks.test(line.slice(0, via.end)) || !covers(certificate, via.host)) return null
  return via.port ?? defaultPort
}
