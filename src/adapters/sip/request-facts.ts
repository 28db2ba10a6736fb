/**
 * What the log keeps of a request beside what its command says: who asked, and a digest by which the same request is recognized.
 *
 * Everything here has been read already; a header more is looked up only where the operator wants the device too.
 */
import { hash } from "node:crypto"
import type { About, Requester } from "../../domain/presentity/about.ts"
import type { Uri } from "../../domain/vocabulary.ts"
import type { CheckedRequest } from "./decode-result.ts"
import { addressIn } from "./domain-aliases.ts"
import type { Canonical } from "./domain-aliases.ts"
import type { Identity } from "./identity.ts"
import { copyText } from "./message-reader.ts"
import { parseUri } from "./uri.ts"

/** `none`: nothing; `identity`: account, asserted identity and From; `full`: the User-Agent too. */
export type KeptOfRequests = "none" | "identity" | "full"

/** 72 bits; a shorter text would be too easily that of another request, and each character is stored with every decision. */
const digestCharacters = 12
/** A longer User-Agent is not kept: somebody wants to fill the log. */
const userAgentMax = 256

export interface FactsRules {
  readonly keptOfRequests: KeptOfRequests
  readonly canonical?: Canonical | null | undefined
}

const isEmpty = ({ account, identity, from, userAgent }: Requester): boolean =>
  account === undefined && identity === undefined && from === undefined && userAgent === undefined

/**
 * @param person who asks as far as the events will say: the watcher, or for a PUBLISH the presentity
 * @returns undefined: nothing is kept
 */
export const factsOf = (
  { message, from }: CheckedRequest,
  identity: Exclude<Identity, { readonly _tag: "Refused" }>,
  person: Uri,
  { keptOfRequests: kept, canonical }: FactsRules,
): About | undefined => {
  if (kept === "none") return undefined
  const request = hash("sha256", `${message.callId}\n${from.tag ?? ""}\n${message.cseq}`, "base64url")
  const by: { -readonly [Part in keyof Requester]: Requester[Part] } = {}
  if (identity._tag === "Asserted") {
    if (identity.uri !== null) by.identity = identity.uri
  } else if (identity.user !== null) {
    by.account = copyText(identity.user)
    if (identity.uri !== null && identity.uri !== person) by.identity = identity.uri
  }
  // the usual From needs no second look
  if (from.uri !== person) {
    const uri = parseUri(from.uri)
    const address = uri === null ? from.uri : addressIn({ canonical }, uri)
    if (address !== person && address !== by.identity) by.from = copyText(address)
  }
  if (kept === "full") {
    const userAgent = message.headers.first("user-agent")
    if (userAgent !== undefined && userAgent.length <= userAgentMax) by.userAgent = copyText(userAgent)
  }
  const digest = request.slice(0, digestCharacters)
  return isEmpty(by) ? { request: digest } : { by, request: digest }
}
