/** A server of one's own, put together from its parts: a store, a SIP stack, and an event package that nobody else has. */
import { createSocket } from "node:dgram"
import { Effect, Layer } from "effect"
import { memoryStore } from "presently"
import { allowEveryone, defaultLimits } from "presently/domain"
import { makeRegistry, passThrough } from "presently/packages"
import { PumpService, SipTransport, layerNode, layerSip, serve } from "presently/server"

const packages = makeRegistry([passThrough({ name: "note", contentTypes: ["text/plain"] })])

const sip = layerSip({
  listen: [{ transport: "udp", host: "127.0.0.1", port: 0 }],
  packages,
})
const node = layerNode({ packages, limits: defaultLimits, authorize: allowEveryone })
// memoryStore() may be any Layer that gives EventStore, such as storeOf({ … })
const server = node.pipe(Layer.provideMerge(Layer.mergeAll(sip, memoryStore())))

/** Publishes a note to that port, and gives the first line of what comes back. */
const publish = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = createSocket("udp4")
    socket.on("message", (message) => {
      socket.close()
      resolve(message.toString().split("\r\n", 1)[0] ?? "")
    })
    socket.bind(0, "127.0.0.1", () => {
      const head = [
        "PUBLISH sip:alice@example.com SIP/2.0",
        `Via: SIP/2.0/UDP 127.0.0.1:${socket.address().port};branch=z9hG4bK1;rport`,
        "Max-Forwards: 70",
        "From: <sip:alice@example.com>;tag=1",
        "To: <sip:alice@example.com>",
        "Call-ID: 1",
        "CSeq: 1 PUBLISH",
        "Event: note",
        "Expires: 60",
        "Content-Type: text/plain",
        `Content-Length: ${Buffer.byteLength(text)}`,
      ]
      socket.send(`${head.join("\r\n")}\r\n\r\n${text}`, port, "127.0.0.1")
    })
  })

const program = Effect.gen(function* () {
  const pump = yield* PumpService
  pump.listen({
    stored: (stored) =>
      console.log("stored", stored.map(({ decision }) => `${decision.cause} of ${decision.stream}`).join()),
  })
  yield* serve
  const [address = ""] = (yield* SipTransport).addresses()
  const port = Number(address.slice(address.lastIndexOf(":") + 1))
  console.log(yield* Effect.promise(() => publish(port, "back at noon")))
})

await Effect.runPromise(Effect.scoped(Effect.provide(program, server)))

// prints:
// stored Publish of sip:alice@example.com
// SIP/2.0 200 OK
