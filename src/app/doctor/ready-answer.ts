/** What a management port on this machine says at `/ready`. */
import { once } from "node:events"
import { get } from "node:http"
import type { IncomingMessage } from "node:http"
import { get as getSecurely } from "node:https"
import { text as textOf } from "node:stream/consumers"

export interface ReadyAnswer {
  readonly status: number
  readonly text: string
}

/** Rejects with the error of the connection. Over HTTPS any certificate will do: it is looked at by itself. */
export const readyAnswer = async (url: string, withinMillis: number): Promise<ReadyAnswer> => {
  const signal = AbortSignal.timeout(withinMillis)
  const asked = url.startsWith("https:")
    ? getSecurely(url, { agent: false, signal, rejectUnauthorized: false })
    : get(url, { agent: false, signal })
  const [answer] = (await once(asked, "response")) as [IncomingMessage]
  return { status: answer.statusCode ?? 0, text: await textOf(answer) }
}
