/**
 * Where a request came from, in fewer octets: most rows of a log hold little else that is encrypted.
 *
 * `udp:192.0.2.20:5060 a84b4c@192.0.2.20 100` is a letter for the transport, address and port as 6 octets in base64url, and the
 * rest, without the host of a Call-ID that is this address: `UwAACFBPEa84b4c@ 100`. By hand, since a regular
 * expression for it costs as much as encrypting.
 */
const transports = ["udp", "tcp", "tls", "ws", "wss"]
const letters = "UTSWX"
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/** Total; `unpackOrigin` gives back what it was given. */
export const packOrigin = (origin: string): string => {
  const first = origin.charCodeAt(0)
  // what is packed begins with a capital letter
  if ((first >= 0x41 && first <= 0x5a) || first === 0x3d) return `=${origin}`
  const colon = origin.indexOf(":")
  const letter = letters[transports.indexOf(origin.slice(0, colon))]
  if (letter === undefined) return origin
  let at = colon + 1
  let high = 0
  let low = 0
  for (let part = 0; part < 5; part++) {
    const end = endOfNumber(origin, at)
    const number = Number(origin.slice(at, end))
    const isCanonical = end > at && (origin.charCodeAt(at) !== 0x30 || end === at + 1)
    const stop = part < 3 ? 0x2e : part === 3 ? 0x3a : 0x20
    if (!isCanonical || number > (part === 4 ? 0xffff : 0xff) || origin.charCodeAt(end) !== stop)
      return origin
    if (part < 3) high = (high << 8) | number
    else low = part === 3 ? number << 16 : low | number
    at = end + 1
  }
  const host = `@${origin.slice(colon + 1, origin.indexOf(":", colon + 1))}`
  const { head, tail } = parted(origin.slice(at))
  if (head.endsWith("@")) return origin
  const short = head.endsWith(host) ? head.slice(0, 1 - host.length) : head
  return letter + inDigits(high) + inDigits(low) + short + tail
}

export const unpackOrigin = (text: string): string => {
  if (text.startsWith("=")) return text.slice(1)
  const transport = transports[text === "" ? -1 : letters.indexOf(text[0]!)]
  if (transport === undefined) return text
  const high = fromDigits(text, 1)
  const low = fromDigits(text, 5)
  const address = `${high >>> 16}.${(high >>> 8) & 0xff}.${high & 0xff}.${low >>> 16}`
  const { head, tail } = parted(text.slice(9))
  return `${transport}:${address}:${low & 0xffff} ${head}${head.endsWith("@") ? address : ""}${tail}`
}

const endOfNumber = (text: string, from: number): number => {
  let end = from
  while (end < from + 6 && text.charCodeAt(end) >= 0x30 && text.charCodeAt(end) <= 0x39) end++
  return end
}

/** Call-ID, and what comes after it. */
const parted = (rest: string): { readonly head: string; readonly tail: string } => {
  const space = rest.indexOf(" ")
  return space < 0 ? { head: rest, tail: "" } : { head: rest.slice(0, space), tail: rest.slice(space) }
}

/** 24 bits in base64url. */
const inDigits = (bits: number): string =>
  digits[bits >>> 18]! + digits[(bits >>> 12) & 63]! + digits[(bits >>> 6) & 63]! + digits[bits & 63]!

const fromDigits = (text: string, at: number): number => {
  let bits = 0
  for (let index = at; index < at + 4; index++) bits = (bits << 6) | digits.indexOf(text[index] ?? "A")
  return bits
}
