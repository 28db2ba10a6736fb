/** Your own client against a real server with virtual time: an hour passes at once. */
import { createSocket } from "node:dgram"
import { once } from "node:events"
import { startVirtualServer } from "presently/testing"

const server = await startVirtualServer()
const [host = "", port = ""] = server.udp.split(":")

// the client under test: it subscribes, and answers every NOTIFY
const socket = createSocket("udp4").bind(0, "127.0.0.1")
await once(socket, "listening")
const here = `127.0.0.1:${socket.address().port}`
const seen: string[] = []
socket.on("message", (datagram) => {
  const text = datagram.toString()
  if (!text.startsWith("NOTIFY")) return
  seen.push(text.match(/^Subscription-State: (.*)\r$/m)?.[1] ?? "")
  const copied = text.split("\r\n").filter((line) => /^(Via|From|To|Call-ID|CSeq):/.test(line))
  socket.send(["SIP/2.0 200 OK", ...copied, "Content-Length: 0", "", ""].join("\r\n"), Number(port), host)
})
const subscribe = [
  "SUBSCRIBE sip:alice@example.com SIP/2.0",
  `Via: SIP/2.0/UDP ${here};branch=z9hG4bK1;rport`,
  "Max-Forwards: 70",
  "From: <sip:bob@example.com>;tag=b",
  "To: <sip:alice@example.com>",
  "Call-ID: c1",
  "CSeq: 1 SUBSCRIBE",
  `Contact: <sip:bob@${here}>`,
  "Event: presence",
  "Expires: 3600",
  "Content-Length: 0",
]
socket.send([...subscribe, "", ""].join("\r\n"), Number(port), host)

const until = async (count: number): Promise<void> => {
  while (seen.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
}
await until(1)
await server.pass(3599)
console.log(seen.join(", "))
await server.pass(1)
await until(2)
console.log(seen[1])
socket.close()
await server.close()

// prints:
// active;expires=3600
// terminated;reason=timeout
