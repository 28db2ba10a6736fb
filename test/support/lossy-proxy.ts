/**
 * A proxy to a database that can be cut in one direction: requests arrive, responses do not.
 */
import { connect, createServer } from "node:net"
import type { Socket } from "node:net"

export interface LossyProxy {
  readonly port: number
  /** From now on no response passes. */
  readonly swallow: () => void
  /** Closes every connection that lost responses, and lets new ones pass completely. */
  readonly heal: () => void
  readonly close: () => void
}

export const openLossyProxy = async (target: number): Promise<LossyProxy> => {
  const pairs = new Set<readonly [Socket, Socket]>()
  let isSwallowing = false
  const server = createServer((near) => {
    const far = connect(target, "127.0.0.1")
    const pair = [near, far] as const
    pairs.add(pair)
    near.pipe(far)
    far.on("data", (bytes) => {
      if (!isSwallowing) near.write(bytes)
    })
    const end = (): void => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    for (const socket of pair) socket.on("error", end).on("close", end)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("no port")
  const endAll = (): void => {
    for (const [near, far] of pairs) {
      near.destroy()
      far.destroy()
    }
  }
  return {
    port: address.port,
    swallow: () => (isSwallowing = true),
    heal: () => {
      isSwallowing = false
      endAll()
    },
    close: () => {
      server.close()
      endAll()
    },
  }
}
