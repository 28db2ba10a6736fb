/**
 * The client side of digest authentication: reads challenges, and makes the credentials that answer them.
 *
 * @source RFC 7616 §3.4, RFC 8760 §2.4, RFC 3261 §22.2 and §22.3
 */
import { digestResponse, ha1Of } from "./digest.ts"
import { splitAt, unquoted } from "./headers.ts"
import type { DigestAlgorithm, Secret } from "./options.ts"

export interface Challenge {
  readonly realm: string
  readonly nonce: string
  readonly opaque: string | null
  readonly algorithm: DigestAlgorithm
  /** Null: the server does not offer quality of protection (qop). */
  readonly qop: "auth" | null
  readonly isStale: boolean
}

const challengeBytesMax = 4_096

/** @returns null if it is not one that we can answer */
export const parseChallenge = (line: string): Challenge | null => {
  if (line.length > challengeBytesMax || line.slice(0, 7).toLowerCase() !== "digest ") return null
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

/** A request, and the user in whose name it is sent. */
export interface Signed {
  readonly user: string
  readonly secret: Secret
  readonly method: string
  readonly uri: string
  /** How often the nonce has been used, this time included. */
  readonly count: number
  readonly cnonce: string
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`

/** The value of Authorization or Proxy-Authorization; null if the secret has no hash for the algorithm. */
export const authorizationOf = (challenge: Challenge, signed: Signed): string | null => {
  const { realm, nonce, opaque, algorithm, qop } = challenge
  const { user, secret, method, uri, count, cnonce } = signed
  const ha1 = ha1Of(secret, user, realm, algorithm)
  if (ha1 === null) return null
  const nc = count.toString(16).padStart(8, "0")
  const response = digestResponse(ha1, method, { nonce, uri, algorithm, qop, cnonce, nc })
  const protection = qop === null ? "" : `, qop=auth, nc=${nc}, cnonce="${cnonce}"`
  return (
    `Digest username=${quoted(user)}, realm=${quoted(realm)}, nonce=${quoted(nonce)}, uri="${uri}", ` +
    `response="${response}", algorithm=${algorithm}${protection}` +
    (opaque === null ? "" : `, opaque=${quoted(opaque)}`)
  )
}
