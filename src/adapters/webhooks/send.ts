/**
 * One message of a webhook on its way: signed, to hosts that are allowed only, and wherever it is sent instead it does not go.
 */
import { createHmac, randomBytes } from "node:crypto"
import { lookup } from "node:dns"
import { Agent as HttpAgent, request as requestHttp } from "node:http"
import { Agent as HttpsAgent, request as requestHttps } from "node:https"
import { isIP } from "node:net"
import type { LookupFunction } from "node:net"
import { Effect } from "effect"
import type { AllowedHosts } from "./allowed.ts"

export interface Message {
  /** The same whenever it is sent again. */
  readonly id: string
  readonly url: string
  readonly secret: string
  readonly body: string
}

/** `Refused`: the receiver will never take it; `Gone`: it wants nothing any more; `Failed`: not now. */
export type SendOutcome =
  | { readonly _tag: "Taken" }
  | { readonly _tag: "Gone" }
  | { readonly _tag: "Refused" | "Failed"; readonly error: string }

export type Send = (message: Message, nowMillis: number) => Effect.Effect<SendOutcome>

const timeoutMillis = 10_000

export const newSecret = (): string => `whsec_${randomBytes(32).toString("base64")}`

/** Null: it can be used; otherwise what is expected. */
export const secretFault = (secret: string): string | null => {
  const bytes = Buffer.from(secret.replace(/^whsec_/, ""), "base64")
  return /^whsec_[A-Za-z0-9+/]+={0,2}$/.test(secret) && bytes.length >= 24 && bytes.length <= 64
    ? null
    : "expected whsec_ and 24 to 64 bytes in base64"
}

/**
 * @source the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`
 */
export const signatureOf = (secret: string, id: string, timestamp: number, body: string): string => {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64")
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`
}

/** @param after starts the timer that gives an attempt up, and returns what calls it off; default: one of the system */
export const makeSend = (
  allowed: AllowedHosts,
  after: (millis: number, done: () => void) => () => void = (millis, done) => {
    const timer = setTimeout(done, millis)
    return () => clearTimeout(timer)
  },
): Send => {
  // what a name stands for is looked at when the connection is made: it may have changed since
  const guarded: LookupFunction = (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      const fit = error === null ? addresses.filter(({ address }) => allowed.allowsAddress(address)) : []
      const [first] = fit
      if (error !== null) callback(error, "", 0)
      else if (first === undefined) {
        callback(new Error(`${host} is in a network that webhook_hosts does not list`), "", 0)
      } else if (options.all === true) callback(null, fit)
      else callback(null, first.address, first.family)
    })
  }
  const agents = { keepAlive: true, maxSockets: 4, lookup: guarded }
  const [http, https] = [new HttpAgent(agents), new HttpsAgent(agents)]

  return ({ id, url, secret, body }, nowMillis) =>
    Effect.callback<SendOutcome>((resume) => {
      const target = new URL(url)
      const why = allowed.refusesUrl(target)
      const literal = target.hostname.replace(/^\[(.*)\]$/, "$1")
      if (why !== null || (isIP(literal) !== 0 && !allowed.allowsAddress(literal))) {
        resume(Effect.succeed({ _tag: "Failed", error: why ?? `webhook_hosts does not list ${literal}` }))
        return undefined
      }
      const timestamp = Math.floor(nowMillis / 1000)
      const abort = new AbortController()
      const callOff = after(timeoutMillis, () => abort.abort())
      const end = (outcome: SendOutcome): void => {
        callOff()
        resume(Effect.succeed(outcome))
      }
      const isSecure = target.protocol === "https:"
      const request = (isSecure ? requestHttps : requestHttp)(
        target,
        {
          method: "POST",
          agent: isSecure ? https : http,
          signal: abort.signal,
          headers: {
            "content-type": "application/json",
            "content-length": Buffer.byteLength(body),
            "user-agent": "presently",
            "webhook-id": id,
            "webhook-timestamp": `${timestamp}`,
            "webhook-signature": signatureOf(secret, id, timestamp, body),
          },
        },
        (response) => {
          response.resume()
          response.on("error", () => {})
          end(outcomeOf(response.statusCode ?? 0))
        },
      )
      request.on("error", (error) =>
        end({
          _tag: "Failed",
          error: abort.signal.aborted ? `no answer in ${timeoutMillis / 1000} s` : error.message,
        }),
      )
      request.end(body)
      return Effect.sync(() => {
        callOff()
        abort.abort()
      })
    })
}

/** Those 4xx that say "later" (RFC 9110 §15.5.9, RFC 8470, RFC 6585). */
const later: ReadonlySet<number> = new Set([408, 425, 429])

const outcomeOf = (status: number): SendOutcome => {
  if (status >= 200 && status < 300) return { _tag: "Taken" }
  if (status === 410) return { _tag: "Gone" }
  const error = `answered ${status}`
  return status >= 300 && status < 500 && !later.has(status)
    ? { _tag: "Refused", error }
    : { _tag: "Failed", error }
}
