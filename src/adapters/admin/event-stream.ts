/**
 * Events as they happen, as an event stream of the HTML standard.
 */
import { Stream } from "effect"
import { HttpServerResponse } from "effect/http"
import type { FeedItem } from "../../ports/operations.ts"

/** Something is heard at least so often, so that nobody takes silence for the end of the connection. */
const heartbeat = "15 seconds"

/** @source the event stream format of the HTML standard §9.2 */
export const eventStream = (items: Stream.Stream<FeedItem>): HttpServerResponse.HttpServerResponse => {
  const beats = Stream.map(Stream.tick(heartbeat), () => ": still here\n\n")
  const lines = Stream.map(items, ({ position, type, data }) => {
    const id = position === null ? "" : `id: ${position}\n`
    return `${id}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
  })
  return HttpServerResponse.stream(Stream.encodeText(Stream.merge(lines, beats)), {
    contentType: "text/event-stream",
    headers: { "cache-control": "no-store" },
  })
}
