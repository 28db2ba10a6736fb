/**
 * A proxy to a database that loses one side: the sockets to the database are closed while the client's stay open and
 * silent, as with a middlebox that forgets its connections.
 */
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"

export const startHalfCut = async (url: string) => {
  const { port } = new URL(url)
  const upstream = new Set<Socket>()
  const clients = new Set<Socket>()
  let isCut = false
  const server = createServer((client) => {
    clients.add(client)
    client.on("error", () => {})
    client.on("close", () => clients.delete(client))
    if (isCut) return
    const database = connect(Number(port), "127.0.0.1")
    upstream.add(database)
    database.on("error", () => {})
    client.on("data", (chunk) => void (isCut || database.write(chunk)))
    database.on("data", (chunk) => void (isCut || client.write(chunk)))
    client.on("close", () => database.destroy())
    database.on("close", () => void (isCut || client.destroy()))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const through = new URL(url)
  through.port = String((server.address() as { readonly port: number }).port)
  return {
    url: through.href,
    cut: (): void => {
      isCut = true
      for (const socket of upstream) socket.destroy()
    },
    stop: (): void => {
      for (const socket of [...clients, ...upstream]) socket.destroy()
      server.close()
    },
  }
}
