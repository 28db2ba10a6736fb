/**
 * Credentials in NOTIFYs, for proxies and phones that challenge them (401, 407) in a realm for which the operator has
 * given an account.
 *
 * A challenge is remembered for its dialog, so that further NOTIFYs carry credentials at once. That an answer was refused
 * is the end of it, unless the nonce was only too old: nothing is tried without end.
 *
 * @source RFC 3261 §22.1 to §22.3, RFC 7616 §3.3
 */
import { allowanceKey } from "./allowances.ts"
import { authorizationOf, parseChallenge } from "./digest-client.ts"
import type { Challenge } from "./digest-client.ts"
import type { RawMessage } from "./message-reader.ts"
import { copyText } from "./message-reader.ts"
import type { Secret } from "./options.ts"

/** The account of a realm; null: there is none. */
export type AccountOf = (realm: string) => { readonly user: string; readonly secret: Secret } | null

interface Dialog {
  readonly callId: string
  readonly localTag: string
}

export interface NotifyCredentials {
  /** Header lines for a NOTIFY with that CSeq, each ending in CRLF; empty: nobody has challenged it. */
  readonly linesFor: (dialog: Dialog, cseq: number, uri: string) => string
  /** Takes the challenges of a 401 or 407. @returns whether the next NOTIFY will answer them all */
  readonly challenged: (dialog: Dialog, cseq: number, response: RawMessage) => boolean
}

interface Known extends Challenge {
  readonly header: "Authorization" | "Proxy-Authorization"
  uses: number
  /** The CSeq of the newest request with credentials for it. */
  usedIn: number
}

const dialogsMax = 20_000
const challengesMax = 4

export const makeNotifyCredentials = (accountOf: AccountOf, mintTag: () => string): NotifyCredentials => {
  /** By dialog, the oldest first. */
  const dialogs = new Map<string, readonly Known[]>()

  const keep = (key: string, known: readonly Known[]): void => {
    dialogs.delete(key)
    if (known.length === 0) return
    if (dialogs.size >= dialogsMax) {
      const [oldest] = dialogs.keys()
      dialogs.delete(oldest!)
    }
    dialogs.set(key, known)
  }

  /** The first challenge of each realm that the account of that realm can answer. */
  const readable = (response: RawMessage): readonly Known[] => {
    const found = new Map<string, Known>()
    for (const [name, header] of headers)
      for (const line of response.headers.get(name) ?? []) {
        const challenge = parseChallenge(line)
        const account = challenge === null ? null : accountOf(challenge.realm)
        if (challenge === null || account === null) continue
        const { secret } = account
        const isPossible = "password" in secret || secret.ha1[challenge.algorithm] !== undefined
        const key = `${header} ${challenge.realm}`
        if (isPossible && !found.has(key))
          found.set(key, { ...copied(challenge), header, uses: 0, usedIn: 0 })
      }
    return [...found.values()].slice(0, challengesMax)
  }

  return {
    linesFor: ({ callId, localTag }, cseq, uri) => {
      if (dialogs.size === 0) return ""
      let lines = ""
      for (const known of dialogs.get(allowanceKey(callId, localTag)) ?? []) {
        const account = accountOf(known.realm)
        if (account === null) continue
        known.uses++
        known.usedIn = cseq
        const signed = { ...account, method: "NOTIFY", uri, count: known.uses, cnonce: mintTag() }
        const value = authorizationOf(known, signed)
        if (value !== null) lines += `${known.header}: ${value}\r\n`
      }
      return lines
    },
    challenged: ({ callId, localTag }, cseq, response) => {
      const key = allowanceKey(callId, localTag)
      const before = dialogs.get(key) ?? []
      const asked = readable(response)
      // what was answered in this request and is asked for again was not accepted
      const isRefused = ({ header, realm, nonce, isStale }: Known): boolean =>
        before.some(
          (known) =>
            known.header === header &&
            known.realm === realm &&
            known.usedIn === cseq &&
            (!isStale || known.nonce === nonce || known.uses === 1),
        )
      if (asked.length === 0 || asked.some(isRefused)) {
        keep(key, [])
        return false
      }
      const others = before.filter(
        (known) => !asked.some(({ header, realm }) => header === known.header && realm === known.realm),
      )
      keep(key, [...others, ...asked].slice(-challengesMax))
      return true
    },
  }
}

const headers = [
  ["www-authenticate", "Authorization"],
  ["proxy-authenticate", "Proxy-Authorization"],
] as const

/** Without a reference to the message that it came in. */
const copied = (challenge: Challenge): Challenge => ({
  ...challenge,
  realm: copyText(challenge.realm),
  nonce: copyText(challenge.nonce),
  opaque: challenge.opaque === null ? null : copyText(challenge.opaque),
})
