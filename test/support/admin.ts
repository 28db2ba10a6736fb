/**
 * The management port as a program sees it.
 */

export interface AdminAnswer {
  readonly status: number
  readonly text: string
  /** The body read as JSON; null when it is empty. */
  readonly json: unknown
  readonly header: (name: string) => string | null
}

export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<AdminAnswer>

/** Asks a management port; bodies that are no text go as JSON. */
export const asking =
  (admin: string | null | undefined, always: Readonly<Record<string, string>> = {}): Ask =>
  async (method, path, body, headers = {}) => {
    const response = await fetch(`${admin ?? ""}${path}`, {
      method,
      // one that is kept may be closed by the other end just when it is used again
      headers: { connection: "close", ...always, ...headers },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    let json: unknown = null
    try {
      json = text === "" ? null : JSON.parse(text)
    } catch {}
    return { status: response.status, text, json, header: (name) => response.headers.get(name) }
  }
