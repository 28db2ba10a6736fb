/**
 * A socket in another network namespace, for a test: started by `network.ts` within the namespace, it carries what stands on
 * its standard input, a line of base64 for each message, and writes what it receives in the same way.
 *
 *   node socket-elsewhere.ts udp|tcp|tls HOST PORT
 *
 * The first line is the address of the socket. A connection that is closed ends the process.
 */
import { createSocket } from "node:dgram"
import { connect } from "node:net"
import { createInterface } from "node:readline"
import { connect as connectTls } from "node:tls"

const [transport, host = "", port = ""] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })
const say = (bytes: Buffer): void => void process.stdout.write(`${bytes.toString("base64")}\n`)
const hello = (address: string): void => void process.stdout.write(`${address}\n`)

if (transport === "udp") {
  const socket = createSocket("udp4")
  socket.on("message", say)
  // connecting only finds out our own address
  socket.connect(Number(port), host, () => {
    const { address, port: own } = socket.address()
    hello(`${address}:${own}`)
    lines.on("line", (line) => socket.send(Buffer.from(line, "base64")))
  })
  // what an unreachable peer causes
  socket.on("error", () => {})
} else {
  const stream = connect({ host, port: Number(port), noDelay: true })
  const socket = transport === "tls" ? connectTls({ socket: stream, rejectUnauthorized: false }) : stream
  socket.on(transport === "tls" ? "secureConnect" : "connect", () => {
    hello(`${stream.localAddress}:${stream.localPort}`)
    lines.on("line", (line) => socket.write(Buffer.from(line, "base64")))
  })
  socket.on("data", say)
  socket.on("error", () => {})
  socket.on("close", () => process.exit(0))
}
lines.on("close", () => process.exit(0))
