/**
 * The management port: is the process alive, is it ready to take requests.
 *
 * Plain answers for probes and people; nothing here changes state.
 */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer } from "effect"
import type { Scope } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { BindFailed } from "../../domain/ports.ts"
import { exposeRoutes } from "./expose.ts"
import type { ExposeDesk } from "./expose.ts"
import { managementRoutes } from "./management.ts"
import type { Management } from "./management.ts"
import { hardStateRoutes } from "./hard-state.ts"
import type { HardStateDesk } from "./hard-state.ts"
import { rulesRoutes } from "./rules.ts"
import type { RulesDesk } from "./rules.ts"

export interface AdminSource {
  /** Null: ready; otherwise why not. */
  readonly notReady: () => string | null
  /** Plain JSON about the running server. */
  readonly status: () => unknown
  readonly rules: RulesDesk
  readonly hardState: HardStateDesk
  readonly expose: ExposeDesk
  readonly management: Management
}

/**
 * Opens the port for as long as the scope lives. `/live`: the process runs. `/ready`: 200, or 503 with the reason.
 * `/status`: what it is doing, as JSON.
 *
 * @returns where it listens, with the real port
 */
export const openAdmin = (
  address: { readonly host: string; readonly port: number },
  source: AdminSource,
): Effect.Effect<{ readonly host: string; readonly port: number }, BindFailed, Scope.Scope> =>
  Layer.build(
    HttpRouter.serve(routes(source), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(NodeHttpServer.layer(createServer, { host: address.host, port: address.port })),
    ),
  ).pipe(
    Effect.map((services) => {
      const bound = Context.get(services, HttpServer.HttpServer).address
      return { host: address.host, port: "port" in bound ? bound.port : address.port }
    }),
    Effect.catchTag("ServeError", ({ cause }) =>
      Effect.fail(new BindFailed({ address: `http:${address.host}:${address.port}`, cause })),
    ),
  )

const routes = (source: AdminSource) =>
  Layer.mergeAll(
    rulesRoutes(source.rules),
    hardStateRoutes(source.hardState),
    exposeRoutes(source.expose),
    managementRoutes(source.management, source.expose),
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
  )

const json = { contentType: "application/json" }
