/**
 * A minimal pooler in transaction mode: the transactions of all clients run one after the other in a single session of
 * the database.
 */
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"

const bigEndian = (number: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(number)
  return bytes
}
const message = (tag: string, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(tag), bigEndian(body.length + 4), body])
}

/** Whole messages of a stream, each with its tag. */
const splitter = (each: (tag: string, whole: Buffer) => void) => {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk: Buffer): void => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5) {
      const length = 1 + rest.readInt32BE(1)
      if (rest.length < length) return
      const whole = rest.subarray(0, length)
      rest = rest.subarray(length)
      each(String.fromCharCode(whole[0]!), whole)
    }
  }
}

/** @param url of a database that trusts this client; returns the URL of the pooler, and what stops it */
export const startPooler = async (
  url: string,
): Promise<{ readonly url: string; readonly stop: () => void }> => {
  const { port, username, pathname } = new URL(url)
  const startup = Buffer.from(`user\0${username}\0database\0${pathname.slice(1)}\0\0`)
  const backend = connect(Number(port), "127.0.0.1")
  backend.write(Buffer.concat([bigEndian(startup.length + 8), bigEndian(196_608), startup]))
  let holder: Socket | null = null
  const queue: { readonly client: Socket; readonly whole: Buffer }[] = []
  const next = (): void => {
    while (queue.length > 0) {
      const index = holder === null ? 0 : queue.findIndex(({ client }) => client === holder)
      if (index < 0) return
      const [{ client, whole }] = queue.splice(index, 1) as [(typeof queue)[number]]
      holder = client
      backend.write(whole)
    }
  }
  await new Promise<void>((resolve) => {
    let isReady = false
    backend.on(
      "data",
      splitter((tag, whole) => {
        if (!isReady) {
          if (tag === "Z") {
            isReady = true
            resolve()
          }
          return
        }
        holder?.write(whole)
        // idle, and not in a transaction
        if (tag === "Z" && whole[5] === 0x49) {
          holder = null
          next()
        }
      }),
    )
  })
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    client.on("error", () => {})
    client.once("data", (first: Buffer) => {
      client.write(
        Buffer.concat([
          message("R", bigEndian(0)),
          message("S", Buffer.from("client_encoding\0UTF8\0")),
          message("S", Buffer.from("server_version\x0015\0")),
          message("K", bigEndian(1), bigEndian(1)),
          message("Z", Buffer.from("I")),
        ]),
      )
      const take = splitter((tag, whole) => {
        // a client leaves, the session stays
        if (tag === "X") return
        queue.push({ client, whole })
        next()
      })
      take(first.subarray(first.readInt32BE(0)))
      client.on("data", take)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  const own = typeof address === "object" && address !== null ? address.port : 0
  return {
    url: `postgres://${username}@127.0.0.1:${own}${pathname}`,
    stop: () => {
      for (const client of clients) client.destroy()
      server.close()
      backend.destroy()
    },
  }
}
