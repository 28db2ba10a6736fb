/**
 * All settings: name, kind, default and range. Values only; `gather.ts` reads them, `check-value.ts` checks them.
 *
 * Parameters of the OpenSIPS presence modules keep their names, defaults and ranges. Each group has a file in `settings/`.
 */
import { connections } from "./settings/connections.ts"
import { lifetimes } from "./settings/lifetimes.ts"
import { opensips } from "./settings/opensips.ts"
import { packages } from "./settings/packages.ts"
import { running } from "./settings/running.ts"
import { secure } from "./settings/secure.ts"
import { storage } from "./settings/storage.ts"
import { watching } from "./settings/watching.ts"

/** In the order in which they are shown. */
export const settingGroups = [
  ["Where and how the server runs", running],
  ["TLS and WebSocket", secure],
  ["Connections, and phones behind a NAT", connections],
  ["Publications and subscriptions", lifetimes],
  ["Who may watch, and what single requests are granted", watching],
  ["Storage", storage],
  ["Event packages", packages],
  ["Other parameters of the OpenSIPS modules", opensips],
] as const

export const settings = {
  ...running,
  ...secure,
  ...connections,
  ...lifetimes,
  ...watching,
  ...storage,
  ...packages,
  ...opensips,
}

export type SettingName = keyof typeof settings
