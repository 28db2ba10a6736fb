/**
 * Splits a stream into messages, however it is cut into segments.
 *
 * One buffer that grows by doubling; no byte is searched twice; a loop without recursion. Lost framing cannot
 * be recovered: the last message carries a fault, and the connection has to be closed.
 *
 * @source RFC 3261 §18.3, §7.5
 */
import type { RawMessage, Names } from "../message-reader.ts"
import { headEnd, readHead, withBody, withFault } from "../message-reader.ts"
import type { Limits } from "../options.ts"

export interface FrameSink {
  readonly message: (message: RawMessage) => void
  /** A double CRLF between messages, which is a keep-alive ping (RFC 5626 §3.5.1). */
  readonly ping: () => void
  /** What arrived is no message, and the next one can be read all the same. */
  readonly unreadable: () => void
}

export interface Framer {
  /** @returns false if framing is lost; nothing more may be pushed then */
  readonly push: (chunk: Buffer, sink: FrameSink) => boolean
  /** Whether a message has begun but is not complete. */
  readonly isInside: () => boolean
}

const CR = 13
const LF = 10
/** Bytes of a blank line that may be in the previous segment. */
const overlap = 3

/** The state of one stream. */
interface Stream {
  readonly limits: Limits
  readonly carried: Names | undefined
  /** The bytes of an incomplete message; not written to again once a message has been cut from it. */
  buffer: Buffer
  used: number
  /** There is no blank line before this position. */
  searched: number
  /** The head of the current message, if it has been read. */
  head: RawMessage | null
  bodyAt: number
  /** Consecutive CR and LF bytes between messages, for the keep-alive. */
  lineEnds: number
}

/** @param carried names of further headers to keep, in lower case */
export const makeFramer = (limits: Limits, carried?: Names): Framer => {
  const stream: Stream = {
    limits,
    carried,
    buffer: Buffer.alloc(0),
    used: 0,
    searched: 0,
    head: null,
    bodyAt: 0,
    lineEnds: 0,
  }
  return {
    isInside: () => stream.used > 0,
    push: (chunk, sink) => push(stream, chunk, sink),
  }
}

const push = (stream: Stream, chunk: Buffer, sink: FrameSink): boolean => {
  const isOwn = stream.used > 0
  const bytes = isOwn ? append(stream, chunk) : chunk
  let start = 0
  for (;;) {
    if (stream.head === null) {
      start = skipBetween(stream, bytes, start, sink)
      if (start === bytes.length) {
        stream.buffer = Buffer.alloc(0)
        stream.used = 0
        stream.searched = 0
        return true
      }
      stream.lineEnds = 0
      const taken = takeHead(stream, bytes, start, sink)
      if (taken === null) return false
      if (taken === "more") break
      stream.head = taken
    }
    const { head } = stream
    const bodyEnd = stream.bodyAt + (head.contentLength ?? 0)
    if (bodyEnd > bytes.length) break
    const message = withBody(head, bytes.subarray(stream.bodyAt, bodyEnd), bodyEnd - start)
    stream.head = null
    start = bodyEnd
    stream.searched = bodyEnd
    sink.message(message)
  }
  hold(stream, bytes, start, isOwn)
  return true
}

const append = (stream: Stream, chunk: Buffer): Buffer => {
  const needed = stream.used + chunk.length
  if (needed > stream.buffer.length) {
    const grown = Buffer.allocUnsafe(Math.max(2 * stream.buffer.length, needed, 1_024))
    stream.buffer.copy(grown, 0, 0, stream.used)
    stream.buffer = grown
  }
  chunk.copy(stream.buffer, stream.used)
  stream.used = needed
  return stream.buffer.subarray(0, needed)
}

/** Keeps the bytes from `from` on for the next segment. */
const hold = (stream: Stream, bytes: Buffer, from: number, isOwn: boolean): void => {
  if (isOwn && from === 0) return
  stream.buffer = Buffer.from(bytes.subarray(from))
  stream.used = stream.buffer.length
  stream.bodyAt -= from
  stream.searched = Math.max(0, stream.searched - from)
}

const skipBetween = (stream: Stream, bytes: Buffer, from: number, sink: FrameSink): number => {
  let at = from
  for (; bytes[at] === CR || bytes[at] === LF; at++) {
    stream.lineEnds = bytes[at] === (stream.lineEnds % 2 === 0 ? CR : LF) ? stream.lineEnds + 1 : 0
    if (stream.lineEnds < 4) continue
    sink.ping()
    stream.lineEnds = 0
  }
  return at
}

/** Reads the head at `start`: "more" if it is incomplete, null if framing is lost. */
const takeHead = (
  stream: Stream,
  bytes: Buffer,
  start: number,
  sink: FrameSink,
): RawMessage | "more" | null => {
  const { limits, carried } = stream
  const end = headEnd(bytes, Math.max(start, stream.searched))
  if (end < 0 && bytes.length - start <= limits.headBytesMax) {
    stream.searched = Math.max(start, bytes.length - overlap)
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
  if (contentLength === null && !read.isRequest) {
    // an answer to a NOTIFY has no body
    stream.bodyAt = end
    return read
  }
  // RFC 3261 §20.14: on a stream only Content-Length delimits the body
  if (contentLength === null || contentLength < 0)
    sink.message(withFault(read, 400, "Missing Content-Length"))
  else if (contentLength > limits.bodyBytesMax) sink.message(withFault(read, 413, "Request Entity Too Large"))
  else {
    stream.bodyAt = end
    return read
  }
  return null
}
