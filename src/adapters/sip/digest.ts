/**
 * Digest authentication: challenges, nonces and the check of credentials.
 *
 * A nonce carries its own HMAC, so a challenge needs no state. Only the counts of nonces actually used are
 * kept, and their number is bounded.
 *
 * @source RFC 7616 with RFC 8760; RFC 3261 §22
 */
import { createHash, createHmac, getHashes, timingSafeEqual } from "node:crypto"
import { addressOfRecord } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { parseAddress } from "./address-headers.ts"
import { splitAt, unquoted } from "./headers.ts"
import type { RawMessage } from "./message-reader.ts"
import type { AuthOptions, DigestAlgorithm, Secret } from "./options.ts"
import { looksTagged } from "./responses.ts"
import { parseUri } from "./uri.ts"

export type DigestCheck =
  | {
      readonly _tag: "Verified"
      readonly user: string
      readonly uri: Uri
      /**
       * Whether the nonce was sent to this place, which proves that the user receives what is sent there.
       * Absent: unknown.
       */
      readonly wasGivenTo?: (place: string) => boolean
    }
  /** `headers`: one WWW-Authenticate line per algorithm. */
  | { readonly _tag: "Challenged"; readonly headers: string }
  | { readonly _tag: "Unreadable"; readonly why: string }

const hashNames: Readonly<Record<DigestAlgorithm, string>> = {
  "SHA-256": "sha256",
  "SHA-512-256": "sha512-256",
  MD5: "md5",
}

/** Most preferred first (RFC 8760 §2.3); MD5 only when asked for by name. */
export const algorithmsDefault: readonly DigestAlgorithm[] = getHashes().includes("sha512-256")
  ? ["SHA-256", "SHA-512-256"]
  : ["SHA-256"]

const nonceLifeMs = 300_000
const noncesUsedMax = 20_000
const credentialBytesMax = 4_096
/** Time, random, MAC of the place it was sent to, MAC of the whole. */
const nonceBytes = 6 + 8 + 16 + 16
/** How far behind the highest count a request may arrive out of order. */
const countWindow = 32

const hash = (algorithm: DigestAlgorithm, text: string): string =>
  createHash(hashNames[algorithm]).update(text, "latin1").digest("hex")

export interface Credentials {
  readonly username: string
  readonly realm: string
  readonly nonce: string
  readonly uri: string
  readonly response: string
  readonly algorithm: DigestAlgorithm
  /** Null without quality of protection (RFC 2069). */
  readonly qop: "auth" | null
  readonly cnonce: string
  readonly nc: string
}

/** @source RFC 7616 §3.4.1; `ha1` is the hash of user, realm and password */
export const digestResponse = (
  ha1: string,
  method: string,
  credentials: Omit<Credentials, "username" | "realm" | "response">,
): string => {
  const ha2 = hash(credentials.algorithm, `${method}:${credentials.uri}`)
  return credentials.qop === null
    ? hash(credentials.algorithm, `${ha1}:${credentials.nonce}:${ha2}`)
    : hash(
        credentials.algorithm,
        `${ha1}:${credentials.nonce}:${credentials.nc}:${credentials.cnonce}:${credentials.qop}:${ha2}`,
      )
}

/** Null if the secret has no hash for that algorithm. */
export const ha1Of = (
  secret: Secret,
  user: string,
  realm: string,
  algorithm: DigestAlgorithm,
): string | null =>
  "password" in secret
    ? createHash(hashNames[algorithm]).update(`${user}:${realm}:${secret.password}`, "utf8").digest("hex")
    : (secret.ha1[algorithm] ?? null)

/**
 * Reads one Authorization value.
 *
 * @returns null if it is not Digest or is malformed, or names an algorithm or protection we never offer
 */
export const parseCredentials = (text: string): Credentials | null => {
  if (text.length > credentialBytesMax || text.slice(0, 7).toLowerCase() !== "digest ") return null
  const pieces = splitAt(text.slice(7), ",")
  if (pieces === null) return null
  const fields = new Map<string, string>()
  for (const piece of pieces) {
    const equals = piece.indexOf("=")
    if (equals < 1) return null
    const name = piece.slice(0, equals).trim().toLowerCase()
    if (fields.has(name)) return null
    fields.set(name, unquoted(piece.slice(equals + 1).trim()))
  }
  const field = (name: string): string => fields.get(name) ?? ""
  const algorithm = (fields.get("algorithm") ?? "MD5").toUpperCase()
  if (algorithm !== "MD5" && algorithm !== "SHA-256" && algorithm !== "SHA-512-256") return null
  const qop = fields.get("qop") ?? null
  if (qop !== null && qop !== "auth") return null
  // RFC 7616 §3.4 wants eight digits; some phones leave out the zeros
  if (qop !== null && (!/^[0-9a-f]{1,8}$/i.test(field("nc")) || field("cnonce") === "")) return null
  const isComplete =
    field("username") !== "" && field("nonce") !== "" && field("uri") !== "" && field("response") !== ""
  if (!isComplete) return null
  return {
    username: field("username"),
    realm: field("realm"),
    nonce: field("nonce"),
    uri: field("uri"),
    response: field("response").toLowerCase(),
    algorithm,
    qop,
    cnonce: field("cnonce"),
    nc: field("nc"),
  }
}

const isSameText = (left: string, right: string): boolean => {
  const a = Buffer.from(left, "latin1")
  const b = Buffer.from(right, "latin1")
  return a.length === b.length && timingSafeEqual(a, b)
}

interface Counts {
  issuedAt: number
  highest: number
  /** Bit n: `highest - n` has been seen. */
  seen: number
}

/** Which counts of which nonces have been used. Bounded: a nonce that has been evicted cannot be used again. */
export const makeNonceCounts = (max = noncesUsedMax) => {
  const used = new Map<string, Counts>()
  /** Nonces issued up to this time may have been used and evicted. */
  let forgottenUntil = -1
  return {
    /** True if this count of this nonce has not been used before. */
    use: (nonce: string, issuedAt: number, count: number): boolean => {
      const counts = used.get(nonce)
      if (counts === undefined) {
        if (issuedAt <= forgottenUntil) return false
        if (used.size >= max) {
          const [oldest, { issuedAt: forgotten }] = used.entries().next().value!
          used.delete(oldest)
          forgottenUntil = Math.max(forgottenUntil, forgotten)
          if (issuedAt <= forgottenUntil) return false
        }
        used.set(nonce, { issuedAt, highest: count, seen: 1 })
        return true
      }
      const behind = counts.highest - count
      if (behind < 0) {
        counts.seen = -behind >= countWindow ? 1 : ((counts.seen << -behind) | 1) >>> 0
        counts.highest = count
        return true
      }
      if (behind >= countWindow || ((counts.seen >>> behind) & 1) === 1) return false
      counts.seen = (counts.seen | (1 << behind)) >>> 0
      return true
    },
    size: (): number => used.size,
  }
}

interface Nonces {
  /** Creates a nonce to be sent to a place. */
  readonly mint: (place: string) => string
  /** Whether a nonce of ours was sent to that place. */
  readonly wasGiven: (nonce: string, place: string) => boolean
  /** When it was issued; null if it is not one of ours. */
  readonly issuedAt: (nonce: string) => number | null
}

const makeNonces = (
  options: AuthOptions,
  now: () => number,
  random: (bytes: number) => Uint8Array,
): Nonces => {
  const seal = (stamp: Buffer): Buffer =>
    createHmac("sha256", options.nonceKey)
      .update(stamp)
      .update(options.realm, "utf8")
      .digest()
      .subarray(0, 16)

  /** Keyed, so that nobody else can read or forge the place that a nonce was sent to. */
  const sealFor = (stamp: Buffer, place: string): Buffer =>
    createHmac("sha256", options.nonceKey)
      .update("given to ")
      .update(stamp)
      .update(place, "latin1")
      .digest()
      .subarray(0, 16)

  const mint = (place: string): string => {
    const stamp = Buffer.alloc(14)
    stamp.writeUIntBE(now(), 0, 6)
    stamp.set(random(8), 6)
    const given = Buffer.concat([stamp, sealFor(stamp, place)])
    return Buffer.concat([given, seal(given)]).toString("base64url")
  }

  const wasGiven = (nonce: string, place: string): boolean => {
    const bytes = Buffer.from(nonce, "base64url")
    return place !== "" && timingSafeEqual(sealFor(bytes.subarray(0, 14), place), bytes.subarray(14, 30))
  }

  const issuedAt = (nonce: string): number | null => {
    const bytes = Buffer.from(nonce, "base64url")
    if (bytes.length !== nonceBytes || bytes.toString("base64url") !== nonce) return null
    if (!timingSafeEqual(seal(bytes.subarray(0, 30)), bytes.subarray(30))) return null
    return bytes.readUIntBE(0, 6)
  }

  return { mint, wasGiven, issuedAt }
}

/**
 * Builds the check made of every PUBLISH, SUBSCRIBE and REGISTER.
 *
 * @param now wall clock, since nonces of one node are checked by another @returns a function of the request
 * and of where its response goes (`udp:192.0.2.20:5060`); a nonce is accepted from anywhere, but proves only
 * the place it was sent to
 *
 * @param isNoDomain whether a host is none of the domains served: an address of ours, or of a proxy on the way
 */
export const makeDigest = (
  options: AuthOptions,
  now: () => number,
  random: (bytes: number) => Uint8Array,
  isNoDomain: (host: string) => boolean = () => false,
): ((message: RawMessage, place?: string) => DigestCheck) => {
  const algorithms = options.algorithms ?? algorithmsDefault
  const counts = makeNonceCounts()
  const decoy = Buffer.from(random(32)).toString("hex")

  const { mint, wasGiven, issuedAt } = makeNonces(options, now, random)

  const challengeTo = (place: string, isStale: boolean): DigestCheck => {
    const nonce = mint(place)
    let headers = ""
    for (const algorithm of algorithms)
      headers +=
        `WWW-Authenticate: Digest realm="${options.realm}", nonce="${nonce}", qop="auth", algorithm=${algorithm}` +
        `${isStale ? ", stale=true" : ""}\r\n`
    return { _tag: "Challenged", headers }
  }

  return (message, place = "") => {
    const challenge = (isStale: boolean): DigestCheck => challengeTo(place, isStale)
    let credentials: Credentials | null = null
    for (const line of message.headers.get("authorization") ?? []) {
      const read = parseCredentials(line)
      if (read !== null && read.realm === options.realm && algorithms.includes(read.algorithm))
        credentials ??= read
    }
    if (credentials === null) return challenge(false)
    // RFC 7616 §3.4.6: 400, since a client would answer a challenge in the same way again
    if (!isSameResource(credentials.uri, message, isNoDomain))
      return { _tag: "Unreadable", why: "Digest URI Is Another Resource" }
    const issued = issuedAt(credentials.nonce)
    if (issued === null) return challenge(false)
    const secret = options.lookup(credentials.username, options.realm)
    // an unknown user must take the same time and get the same response
    const ha1 = ha1Of(
      secret ?? { password: decoy },
      credentials.username,
      options.realm,
      credentials.algorithm,
    )
    const isRight = isSameText(
      digestResponse(ha1 ?? decoy, message.method, credentials),
      credentials.response,
    )
    if (!isRight || secret === null || ha1 === null) return challenge(false)
    const age = now() - issued
    if (age > nonceLifeMs || age < -nonceLifeMs) return challenge(true)
    // without qop there is no count, so a nonce is good for one request
    const count = credentials.qop === null ? 0 : Number.parseInt(credentials.nc, 16)
    if (!counts.use(credentials.nonce, issued, count)) return challenge(true)
    const { username } = credentials
    const address = options.addressOf?.(username, options.realm) ?? null
    const named =
      address === null
        ? parseUri(`sip:${username.includes("@") ? username : `${username}@${options.realm}`}`)
        : null
    const uri = named === null ? address : addressOfRecord(named)
    if (uri === null) return { _tag: "Unreadable", why: "User Name Is Not A User Part" }
    const verified = { _tag: "Verified", user: username, uri: uri as Uri } as const
    if (place === "") return verified
    const { nonce } = credentials
    return { ...verified, wasGivenTo: (where) => wasGiven(nonce, where) }
  }
}

/**
 * Whether a digest URI and the Request-URI name the same resource, however each is spelled (RFC 7616 §3.4.6):
 * a client may leave out port and parameters, and a proxy may have put an address in place of the domain, or
 * the domain in place of its own address. Within a dialog the URI of the dialog's To names it as well.
 */
const isSameResource = (
  written: string,
  message: RawMessage,
  isNoDomain: (host: string) => boolean,
): boolean => {
  if (written === message.uri) return true
  const [named, asked] = [parseUri(written), parseUri(message.uri)]
  if (named === null || asked === null) return false
  const address = addressOfRecord(named)
  if (address === addressOfRecord(asked)) return true
  const isSameUser = named.scheme !== "tel" && asked.scheme !== "tel" && named.user === asked.user
  if (isSameUser && (isNoDomain(named.host) || isNoDomain(asked.host))) return true
  if (!looksTagged(message.to)) return false
  const to = parseUri(parseAddress(message.to)?.uri ?? "")
  return to !== null && address === addressOfRecord(to)
}
