/**
 * What `presently dev` prints when it listens; with `--lan` it ends otherwise (`lan/banner.ts`).
 */
import type { Config } from "./config/config.ts"
import { authText } from "./config/trusted-peers.ts"
import { invocation } from "./invocation.ts"
import type { Server } from "./server/start-server.ts"
import { version } from "./version.ts"

export type Introduced = Pick<Server, "addresses" | "admin" | "store" | "watching">

/** @param whom in words: who may use it */
export const bannerHead = (
  { domain }: Config,
  { addresses, admin, store, watching }: Introduced,
  whom: string,
  auth: string,
): readonly string[] => [
  `presently ${version} in development mode: for ${whom}, not for production`,
  `  sip       ${addresses().join("  ")}`,
  `  admin     ${admin === null ? "off" : `${admin}/ready`}`,
  `  domains   ${domain.length === 0 ? "every domain" : domain.join(", ")}`,
  `  store     ${store}`,
  `  auth      ${auth}`,
  `  watching  ${watching}`,
  `  stop      Ctrl-C`,
]

export const devBanner = (config: Config, server: Introduced, command = invocation()): string => {
  // with the port that the system chose when none was given
  const to = server.addresses()[0]?.slice("udp:".length) ?? ""
  const target = to === "127.0.0.1:5060" ? "" : ` --to ${to}`
  return [
    ...bannerHead(config, server, "this machine", authText(config)),
    `See a NOTIFY from a second terminal:`,
    `  ${command} watch${target} sip:alice@example.com &`,
    `  ${command} publish${target} sip:alice@example.com --open --note "hello"`,
    `For phones on this network: ${command} dev --lan`,
  ].join("\n")
}
