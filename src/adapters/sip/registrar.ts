/**
 * The minimal registrar that some clients need before they PUBLISH and SUBSCRIBE: bindings are kept in
 * memory, returned and expired.
 *
 * Nothing is routed by them, so there is no GRUU, and what a restart loses the next REGISTER restores. What they say
 * about the user can be published (`registrations.ts`).
 *
 * @source RFC 3261 §10.3
 */
import { canonicalUri, sameUri } from "../../domain/uris.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import { reply } from "../../encoding/sip-replies.ts"
import type { Reply } from "../../encoding/sip-replies.ts"
import type { Address } from "./address-headers.ts"
import { parseExpires, unquoted } from "./headers.ts"
import { contradicts } from "./message-reader.ts"
import type { RawMessage } from "./message-reader.ts"
import type { Limits } from "./options.ts"
import { parseAddressesWithPackage } from "./sip-package.ts"
import { parseUri, writableUri } from "./uri.ts"

export interface Binding {
  readonly uri: string
  readonly canonical: string
  /** Contact parameters other than `expires`, as written. */
  readonly parameters: string
  readonly expiresAtMs: number
  readonly callId: string
  readonly cseq: number
}

export interface Registrar {
  (message: RawMessage, to: Uri): Reply
  /** Those that have not expired. */
  readonly bindingsOf: (address: Uri) => readonly Binding[]
}

export const makeRegistrar = (limits: Limits, expiresMax: number, clock: () => number): Registrar => {
  const addresses = new Map<Uri, readonly Binding[]>()

  const register = (message: RawMessage, to: Uri): Reply => {
    const now = clock()
    let bindings = (addresses.get(to) ?? []).filter(({ expiresAtMs }) => expiresAtMs > now)
    const lines = message.headers.get("contact") ?? []
    if (contradicts(message, ["expires"])) return reply(400, "", "Repeated Single-Value Header")
    const general = parseExpires(message.headers.first("expires"))
    if (lines.some((line) => line === "*")) {
      // RFC 3261 §10.3 step 6: `*` must be the only Contact, and removes all bindings
      if (lines.length > 1 || general !== 0) return reply(400, "", "Contact Star Needs Expires Zero")
      addresses.delete(to)
      return answer([], now)
    }
    const contacts: Address[] = []
    for (const line of lines) {
      const read = parseAddressesWithPackage(line)
      if (read === null) return reply(400, "", "Malformed Contact")
      contacts.push(...read)
    }
    for (const contact of contacts) {
      if (parseUri(contact.uri) === null) return reply(400, "", "Malformed Contact")
      if (contact.uri.length + contact.parameterText.length > limits.contactBytesMax)
        return reply(400, "", "Contact Too Long")
      const text = writableUri(contact.uri)
      const own = contact.parameters.get("expires")
      const asked =
        typeof own === "string" ? (parseExpires(unquoted(own)) ?? expiresMax) : (general ?? expiresMax)
      const canonical = canonicalUri(text)
      const known = bindings.find((binding) => sameUri(binding.canonical, canonical))
      // RFC 3261 §10.3 step 7: an older request of the same registration must not change the binding
      if (known !== undefined && known.callId === message.callId && known.cseq >= message.cseq)
        return reply(500, "", "Request Out Of Order")
      bindings = bindings.filter((binding) => binding !== known)
      if (asked === 0) continue
      if (bindings.length >= limits.bindingsPerAddressMax) return reply(403, "", "Too Many Bindings")
      // RFC 3261 §10.3 step 7: shortened, never lengthened; a phone may register often to keep its NAT open
      const seconds = Math.min(expiresMax, asked)
      bindings.push({
        uri: text,
        canonical,
        parameters: withoutExpires(contact.parameterText),
        expiresAtMs: now + seconds * 1000,
        callId: message.callId,
        cseq: message.cseq,
      })
    }
    if (bindings.length === 0) addresses.delete(to)
    else {
      if (!addresses.has(to) && addresses.size >= limits.bindingsMax) {
        forgetExpired(addresses, now)
        if (addresses.size >= limits.bindingsMax) return reply(503, "Retry-After: 60\r\n")
      }
      addresses.set(to, bindings)
    }
    return answer(bindings, now)
  }
  const bindingsOf = (address: Uri): readonly Binding[] => {
    const now = clock()
    return (addresses.get(address) ?? []).filter(({ expiresAtMs }) => expiresAtMs > now)
  }
  return Object.assign(register, { bindingsOf })
}

const answer = (bindings: readonly Binding[], now: number): Reply => {
  let headers = ""
  for (const binding of bindings) {
    // the clock has fractions: 600 s must not be rounded up to 601
    const expires = Math.max(0, Math.ceil(Math.round(binding.expiresAtMs - now) / 1000))
    headers += `Contact: <${binding.uri}>${binding.parameters};expires=${expires}\r\n`
  }
  return reply(200, headers)
}

const forgetExpired = (addresses: Map<Uri, readonly Binding[]>, now: number): void => {
  for (const [uri, bindings] of addresses)
    if (bindings.every(({ expiresAtMs }) => expiresAtMs <= now)) addresses.delete(uri)
}

/** Contact parameters without `expires`; quoted strings are left intact. */
const withoutExpires = (text: string): string => {
  let result = ""
  let start = 0
  let isQuoted = false
  for (let at = 1; at <= text.length; at++) {
    const code = text.charCodeAt(at)
    if (isQuoted && code === 92) at++
    else if (code === 34) isQuoted = !isQuoted
    else if (at === text.length || (code === 59 && !isQuoted)) {
      const parameter = text.slice(start, at)
      const name = parameter.slice(1).toLowerCase()
      if (name !== "expires" && !name.startsWith("expires=")) result += parameter
      start = at
    }
  }
  return result
}
