/**
 * The management port: is the process alive, is it ready to take requests.
 *
 * Plain answers for probes and people; nothing here changes state.
 */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

export interface AdminSource {
  /** Null: ready; otherwise why not. */
  readonly notReady: () => string | null
  /** Plain JSON about the running server. */
  readonly status: () => unknown
}

/** `/live`: the process runs. `/ready`: 200 or 503 with the reason. `/status`: what it is doing, as JSON. */
export const layerAdmin = (address: { readonly host: string; readonly port: number }, source: AdminSource) =>
  HttpRouter.serve(
    Layer.mergeAll(
      HttpRouter.add("GET", "/live", HttpServerResponse.text("live\n")),
      HttpRouter.add(
        "GET",
        "/ready",
        Effect.sync(() => {
          const why = source.notReady()
          return why === null
            ? HttpServerResponse.text("ready\n")
            : HttpServerResponse.text(`not ready: ${why}\n`, { status: 503 })
        }),
      ),
      HttpRouter.add(
        "GET",
        "/status",
        Effect.sync(() => HttpServerResponse.text(`${JSON.stringify(source.status())}\n`, json)),
      ),
    ),
    { disableLogger: true, disableListenLog: true },
  ).pipe(Layer.provide(NodeHttpServer.layer(createServer, { host: address.host, port: address.port })))

const json = { contentType: "application/json" }
