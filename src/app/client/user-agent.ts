/**
 * A small SIP user agent: sends requests in client transactions, answers requests from the server once, and traces both.
 *
 * Everything goes to one server, as to an outbound proxy. Time is Effect's clock, so that a test can control it.
 */
import { randomBytes } from "node:crypto"
import { Clock, Deferred, Effect } from "effect"
import type { Scope } from "effect"
import { nextResendMs } from "../../adapters/sip/client-transactions.ts"
import { timersDefault } from "../../adapters/sip/options.ts"
import type { Timers } from "../../adapters/sip/options.ts"
import { transportOf } from "../../adapters/sip/transports/transports.ts"
import { parseVia } from "../../adapters/sip/via.ts"
import { authorize, challengeOf } from "./credentials.ts"
import type { Credentials } from "./credentials.ts"
import { NoAnswer, Refused } from "./failures.ts"
import { openSocket, targetText } from "./socket.ts"
import type { Target } from "./socket.ts"
import { formatAnswer, formatRequest, readMessage } from "./wire.ts"
import type { Body, HeaderLine, Message } from "./wire.ts"

export interface UserAgentOptions {
  readonly target: Target
  readonly credentials: Credentials | null
  /** `transactionMs` is how long to wait for a response. */
  readonly timers?: Partial<Timers>
  /** Called for every message at the moment it is sent or received. */
  readonly trace?: (traced: Traced) => void
}

export interface Traced {
  /** Milliseconds by the clock, with fractions. */
  readonly at: number
  readonly direction: "sent" | "received"
  readonly message: Message
}

/** State shared by the requests of one call or registration; `cseq` is the number of the last request. */
export interface Conversation {
  readonly callId: string
  readonly localTag: string
  cseq: number
}

export interface OutgoingRequest {
  readonly method: string
  readonly uri: string
  /** From and To; From without our tag, To with that of the peer. */
  readonly from: string
  readonly to: string
  readonly headers: readonly HeaderLine[]
  readonly body: Body | null
}

/** The status with which to answer a request. */
export type RequestHandler = (request: Message) => number

export interface UserAgent {
  /** `<sip:bob@127.0.0.1:40123;transport=tcp>` */
  readonly contact: (user: string) => string
  /** Sends a request and waits for its final response; a challenge is answered when there are credentials. */
  readonly request: (
    conversation: Conversation,
    request: OutgoingRequest,
  ) => Effect.Effect<Message, NoAnswer | Refused>
  /** Receives the requests of one Call-ID until the scope closes; any other request is answered 481 or 405. */
  readonly receive: (callId: string, handler: RequestHandler) => Effect.Effect<void, never, Scope.Scope>
}

const mintToken = (): string => randomBytes(8).toString("hex")

export const startConversation = (): Conversation => ({
  callId: `${mintToken()}${mintToken()}`,
  localTag: mintToken(),
  cseq: 0,
})

/** How many responses are kept for retransmissions of their requests. */
const answersMax = 256

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  405: "Method Not Allowed",
  481: "Subscription Does Not Exist",
  500: "Request Out Of Order",
}

interface Transaction {
  readonly method: string
  readonly cseq: number
  readonly answered: Deferred.Deferred<Message, NoAnswer>
  isProceeding: boolean
}

/** Opens a user agent that lives as long as the scope. */
export const openUserAgent = Effect.fnUntraced(function* (
  options: UserAgentOptions,
): Effect.fn.Return<UserAgent, NoAnswer, Scope.Scope> {
  const { target, credentials } = options
  const timers = { ...timersDefault, ...options.timers }
  const clock = yield* Clock.Clock
  const transactions = new Map<string, Transaction>()
  const handlers = new Map<string, RequestHandler>()
  const answers = new Map<string, Buffer>()
  const noAnswer = (why: string): NoAnswer => new NoAnswer({ target: targetText(target), why })

  const trace = (direction: Traced["direction"], message: Message | null): void => {
    if (message === null || options.trace === undefined) return
    options.trace({ at: Number(clock.currentTimeNanosUnsafe()) / 1e6, direction, message })
  }
  const send = (bytes: Buffer): void => {
    if (options.trace !== undefined) trace("sent", readMessage(bytes))
    socket.send(bytes)
  }

  const received = (bytes: Buffer): void => {
    const message = readMessage(bytes)
    if (message === null) return
    trace("received", message)
    if (message.raw.isRequest) answer(message)
    else settle(message)
  }

  const answer = (request: Message): void => {
    const { method, callId, vias } = request.raw
    if (method === "ACK") return
    const key = `${vias[0]} ${method}`
    let bytes = answers.get(key)
    if (bytes === undefined) {
      const handler = handlers.get(callId)
      const status = handler?.(request) ?? (method === "NOTIFY" ? 481 : 405)
      bytes = formatAnswer(request, status, reasons[status] ?? "Response")
      answers.set(key, bytes)
      for (const oldest of answers.keys()) {
        if (answers.size <= answersMax) break
        answers.delete(oldest)
      }
    }
    send(bytes)
  }

  /** @source RFC 3261 §17.1.3: a response belongs to the transaction with its branch and CSeq method */
  const settle = (response: Message): void => {
    const { vias, method, cseq, status } = response.raw
    const branch = vias.length === 1 ? parseVia(vias[0]!)?.branch : null
    const transaction = transactions.get(branch ?? "")
    if (transaction === undefined || transaction.method !== method || transaction.cseq !== cseq) return
    if (status < 200) transaction.isProceeding = true
    else Deferred.doneUnsafe(transaction.answered, Effect.succeed(response))
  }

  const transport = transportOf(target.transport)
  const socket = yield* openSocket(target, {
    message: received,
    lost: (why) => {
      for (const { answered } of transactions.values())
        Deferred.doneUnsafe(answered, Effect.fail(noAnswer(why)))
    },
  })

  /** One client transaction (RFC 3261 §17.1.2): retransmitted by Timer E unless the transport is reliable, ended by Timer F. */
  const transact = Effect.fnUntraced(function* (method: string, cseq: number, branch: string, bytes: Buffer) {
    const answered = yield* Deferred.make<Message, NoAnswer>()
    const transaction: Transaction = { method, cseq, answered, isProceeding: false }
    const resend = Effect.gen(function* () {
      for (let waitMs = timers.t1Ms; ;) {
        yield* Effect.sleep(waitMs)
        send(bytes)
        waitMs = nextResendMs(transaction.isProceeding ? "proceeding" : "trying", waitMs, timers)
      }
    })
    transactions.set(branch, transaction)
    send(bytes)
    return yield* Deferred.await(answered).pipe(
      Effect.raceFirst(transport.isReliable ? Effect.never : resend),
      Effect.timeoutOrElse({
        duration: timers.transactionMs,
        orElse: () => Effect.fail(noAnswer(`no answer in ${timers.transactionMs / 1000} s`)),
      }),
      Effect.ensuring(Effect.sync(() => transactions.delete(branch))),
    )
  })

  const attempt = (
    conversation: Conversation,
    { method, uri, from, to, headers, body }: OutgoingRequest,
    authorization: string | null,
  ): Effect.Effect<Message, NoAnswer> => {
    const cseq = ++conversation.cseq
    const branch = `z9hG4bK${mintToken()}`
    const lines: HeaderLine[] = [
      ["Via", `SIP/2.0/${transport.viaName} ${socket.local};branch=${branch};rport`],
      ["Max-Forwards", "70"],
      ["From", `${from};tag=${conversation.localTag}`],
      ["To", to],
      ["Call-ID", conversation.callId],
      ["CSeq", `${cseq} ${method}`],
      ...headers,
    ]
    if (authorization !== null) lines.push(["Authorization", authorization])
    return transact(method, cseq, branch, formatRequest(method, uri, lines, body))
  }

  const request: UserAgent["request"] = Effect.fnUntraced(function* (conversation, outgoing) {
    const { method, uri } = outgoing
    let response = yield* attempt(conversation, outgoing, null)
    let wasAuthenticated = false
    for (let tries = 0; response.raw.status === 401 && credentials !== null && tries < 2; tries++) {
      const challenge = challengeOf(response)
      // A second challenge means a wrong password, unless it is marked stale.
      if (challenge === null || (wasAuthenticated && !challenge.isStale)) break
      wasAuthenticated = true
      response = yield* attempt(conversation, outgoing, authorize(challenge, credentials, method, uri))
    }
    if (response.raw.status >= 300) return yield* new Refused({ method, response, wasAuthenticated })
    return response
  })

  const parameter = transport.uriParameter === null ? "" : `;transport=${transport.uriParameter}`
  return {
    contact: (user) => `<sip:${user}@${socket.local}${parameter}>`,
    request,
    receive: (callId, handler) =>
      Effect.acquireRelease(
        Effect.sync(() => void handlers.set(callId, handler)),
        () => Effect.sync(() => void handlers.delete(callId)),
      ),
  }
})
