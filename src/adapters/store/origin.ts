/**
 * Where a request came from, in fewer octets: most rows of a log hold little else that is encrypted.
 *
 * `udp:192.0.2.20:5060 a84b4c@192.0.2.20 100` is a letter for the transport, address and port as 6 octets in base64url, and the
 * rest, without the host of a Call-ID that is this address: `UwAACFBPEa84b4c@ 100`.
 */
const letters: Readonly<Record<string, string>> = { udp: "U", tcp: "T", tls: "S", ws: "W", wss: "X" }
const transports: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(letters).map(([transport, letter]) => [letter, transport]),
)

const request = /^(udp|tcp|tls|ws|wss):(\d+)\.(\d+)\.(\d+)\.(\d+):(\d+) (\S+) (\d+)$/
const packed = /^[A-Z]([\w-]{8})(\S+) (\d+)$/

/** Total; `unpackOrigin` gives back what it was given. */
export const packOrigin = (origin: string): string => {
  const [, transport = "", one, two, three, four, port, callId = "", cseq = ""] = request.exec(origin) ?? []
  const letter = letters[transport]
  if (letter !== undefined && !callId.endsWith("@")) {
    const octets = [Number(one), Number(two), Number(three), Number(four)]
    for (const [index, octet] of octets.entries()) place[index] = octet
    place[4] = Number(port) >>> 8
    place[5] = Number(port)
    const address = addressIn(place)
    const prefix = `${transport}:${address}:${portIn(place)} `
    // numbers may be written in ways that are not theirs
    if (origin.startsWith(prefix)) {
      const host = `@${address}`
      const short = callId.endsWith(host) ? callId.slice(0, -address.length) : callId
      return `${letter}${place.toString("base64url")}${short} ${cseq}`
    }
  }
  return /^[A-Z=]/.test(origin) ? `=${origin}` : origin
}

export const unpackOrigin = (text: string): string => {
  if (text.startsWith("=")) return text.slice(1)
  const transport = transports[text[0] ?? ""]
  const [, numbers, callId = "", cseq] = transport === undefined ? [] : (packed.exec(text) ?? [])
  if (numbers === undefined) return text
  place.write(numbers, "base64url")
  const address = addressIn(place)
  const whole = callId.endsWith("@") ? callId + address : callId
  return `${transport}:${address}:${portIn(place)} ${whole} ${cseq}`
}

// used within one call only
const place = Buffer.alloc(6)
const addressIn = (octets: Buffer): string => `${octets[0]}.${octets[1]}.${octets[2]}.${octets[3]}`
const portIn = (octets: Buffer): number => octets.readUInt16BE(4)
