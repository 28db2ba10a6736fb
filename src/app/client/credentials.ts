/**
 * The client side of digest authentication: computes the Authorization header for a challenge.
 *
 * @source RFC 7616 §3.4, RFC 8760 §2.4
 */
import { randomBytes } from "node:crypto"
import { authorizationOf, parseChallenge } from "../../adapters/sip/digest-client.ts"
import type { Challenge } from "../../adapters/sip/digest-client.ts"
import type { Message } from "./wire.ts"

export interface Credentials {
  readonly user: string
  readonly password: string
}

/** The first challenge of a 401 that this client can answer: the server lists them in its order of preference. */
export const challengeOf = (response: Message): Challenge | null => {
  for (const line of response.headers("www-authenticate")) {
    const challenge = parseChallenge(line)
    if (challenge !== null) return challenge
  }
  return null
}

/** The value of the Authorization header; each nonce is used once, so the nonce count is always one. */
export const authorize = (
  challenge: Challenge,
  { user, password }: Credentials,
  method: string,
  uri: string,
): string =>
  // a password has a hash for every algorithm
  authorizationOf(challenge, {
    user,
    secret: { password },
    method,
    uri,
    count: 1,
    cnonce: randomBytes(8).toString("hex"),
  }) ?? ""
