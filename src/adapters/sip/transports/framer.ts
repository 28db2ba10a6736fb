/**
 * Messages out of a stream, however it is cut into segments.
 *
 * One buffer that grows by doubling, a search that never looks at a byte twice, a loop and no recursion. When framing
 * is lost there is no way back: the last message carries its fault, and the connection has to be closed.
 *
 * @source RFC 3261 §18.3, §7.5
 */
import type { RawMessage, Names } from "../message-reader.ts"
import { headEnd, readHead, withBody, withFault } from "../message-reader.ts"
import type { Limits } from "../options.ts"

export interface FrameSink {
  readonly message: (message: RawMessage) => void
  /** A double CRLF between messages: the peer asks whether we are there (RFC 5626 §3.5.1). */
  readonly ping: () => void
}

export interface Framer {
  /** @returns false when framing is lost; nothing more may be pushed then */
  readonly push: (chunk: Buffer, sink: FrameSink) => boolean
  /** Is a message begun and not complete? */
  readonly isInside: () => boolean
}

const CR = 13
const LF = 10
/** What a blank line needs to be recognised across a cut. */
const overlap = 3

/** @param carried names of further headers to keep, in lower case */
export const makeFramer = (limits: Limits, carried?: Names): Framer => {
  /** Holds the bytes of an incomplete message; never written again once a message was cut out of it. */
  let buffer = Buffer.alloc(0)
  let used = 0
  /** Up to here there is no blank line. */
  let searched = 0
  /** The head that has been read, and where its body starts. */
  let head: RawMessage | null = null
  let bodyAt = 0
  /** Line-end bytes in a row seen between messages, for the keep-alive. */
  let lineEnds = 0

  const append = (chunk: Buffer): Buffer => {
    if (used + chunk.length > buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * buffer.length, used + chunk.length, 1_024))
      buffer.copy(grown, 0, 0, used)
      buffer = grown
    }
    chunk.copy(buffer, used)
    used += chunk.length
    return buffer.subarray(0, used)
  }

  /** Keeps what starts at `from` for the next segment. */
  const hold = (bytes: Buffer, from: number, isOwn: boolean): void => {
    if (isOwn && from === 0) return
    buffer = Buffer.from(bytes.subarray(from))
    used = buffer.length
    bodyAt -= from
    searched = Math.max(0, searched - from)
  }

  const skipBetween = (bytes: Buffer, from: number, sink: FrameSink): number => {
    let at = from
    for (; bytes[at] === CR || bytes[at] === LF; at++) {
      lineEnds = bytes[at] === (lineEnds % 2 === 0 ? CR : LF) ? lineEnds + 1 : 0
      if (lineEnds < 4) continue
      sink.ping()
      lineEnds = 0
    }
    return at
  }

  /** Finds and reads the head at `start`: "more" when it is not all there, null when framing is lost. */
  const takeHead = (bytes: Buffer, start: number, sink: FrameSink): RawMessage | "more" | null => {
    const end = headEnd(bytes, Math.max(start, searched))
    if (end < 0 && bytes.length - start <= limits.headBytesMax) {
      searched = Math.max(start, bytes.length - overlap)
      return "more"
    }
    if (end < 0 || end - start > limits.headBytesMax) {
      const cut = bytes.lastIndexOf("\r\n", start + limits.headBytesMax, "latin1")
      const partial = cut > start ? readHead(bytes.toString("latin1", start, cut + 2), limits, carried) : null
      if (partial !== null) sink.message(withFault(partial, 513, "Message Too Large"))
      return null
    }
    const read = readHead(bytes.toString("latin1", start, end - 2), limits, carried)
    if (read === null) return null
    const { contentLength } = read
    // RFC 3261 §20.14: on a stream nothing but Content-Length says where the body ends.
    if (contentLength === null || contentLength < 0)
      sink.message(withFault(read, 400, "Missing Content-Length"))
    else if (contentLength > limits.bodyBytesMax)
      sink.message(withFault(read, 413, "Request Entity Too Large"))
    else {
      bodyAt = end
      return read
    }
    return null
  }

  return {
    isInside: () => used > 0,
    push: (chunk, sink) => {
      const isOwn = used > 0
      const bytes = isOwn ? append(chunk) : chunk
      let start = 0
      for (;;) {
        if (head === null) {
          start = skipBetween(bytes, start, sink)
          if (start === bytes.length) {
            buffer = Buffer.alloc(0)
            used = 0
            searched = 0
            return true
          }
          lineEnds = 0
          const taken = takeHead(bytes, start, sink)
          if (taken === null) return false
          if (taken === "more") break
          head = taken
        }
        const bodyEnd = bodyAt + head.contentLength!
        if (bodyEnd > bytes.length) break
        const message = withBody(head, bytes.subarray(bodyAt, bodyEnd), bodyEnd - start)
        head = null
        start = bodyEnd
        searched = bodyEnd
        sink.message(message)
      }
      hold(bytes, start, isOwn)
      return true
    },
  }
}
