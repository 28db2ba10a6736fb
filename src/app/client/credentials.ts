/**
 * The client side of digest authentication: computes the Authorization header for a challenge.
 *
 * @source RFC 7616 §3.4, RFC 8760 §2.4
 */
import { randomBytes } from "node:crypto"
import { digestResponse, ha1Of } from "../../adapters/sip/digest.ts"
import { splitAt, unquoted } from "../../adapters/sip/headers.ts"
import type { DigestAlgorithm } from "../../adapters/sip/options.ts"
import type { Message } from "./wire.ts"

export interface Credentials {
  readonly user: string
  readonly password: string
}

interface Challenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | null
  readonly algorithm: DigestAlgorithm
  /** Null: the server does not offer quality of protection (qop). */
  readonly qop: "auth" | null
  readonly isStale: boolean
}

/** The first challenge of a 401 that this client can answer: the server lists them in its order of preference. */
export const challengeOf = (response: Message): Challenge | null => {
  for (const line of response.headers("www-authenticate")) {
    const challenge = parseChallenge(line)
    if (challenge !== null) return challenge
  }
  return null
}

const parseChallenge = (line: string): Challenge | null => {
  if (line.slice(0, 7).toLowerCase() !== "digest ") return null
  const fields = new Map<string, string>()
  for (const piece of splitAt(line.slice(7), ",") ?? []) {
    const equals = piece.indexOf("=")
    if (equals > 0)
      fields.set(piece.slice(0, equals).trim().toLowerCase(), unquoted(piece.slice(equals + 1).trim()))
  }
  const algorithm = (fields.get("algorithm") ?? "MD5").toUpperCase()
  if (algorithm !== "SHA-256" && algorithm !== "MD5") return null
  const offered = fields
    .get("qop")
    ?.split(",")
    .map((name) => name.trim().toLowerCase())
  if (offered !== undefined && !offered.includes("auth")) return null
  const realm = fields.get("realm")
  const nonce = fields.get("nonce")
  if (realm === undefined || nonce === undefined) return null
  return {
    realm,
    nonce,
    opaque: fields.get("opaque") ?? null,
    algorithm,
    qop: offered === undefined ? null : "auth",
    isStale: fields.get("stale")?.toLowerCase() === "true",
  }
}

/** The value of the Authorization header; each nonce is used once, so the nonce count is always one. */
export const authorize = (
  challenge: Challenge,
  credentials: Credentials,
  method: string,
  uri: string,
): string => {
  const { realm, nonce, opaque, algorithm, qop } = challenge
  const ha1 = ha1Of({ password: credentials.password }, credentials.user, realm, algorithm) ?? ""
  const cnonce = randomBytes(8).toString("hex")
  const nc = "00000001"
  const response = digestResponse(ha1, method, { nonce, uri, algorithm, qop, cnonce, nc })
  const protection = qop === null ? "" : `, qop=auth, nc=${nc}, cnonce="${cnonce}"`
  return (
    `Digest username="${credentials.user}", realm="${realm}", nonce="${nonce}", uri="${uri}", ` +
    `response="${response}", algorithm=${algorithm}${protection}` +
    (opaque === null ? "" : `, opaque="${opaque}"`)
  )
}
