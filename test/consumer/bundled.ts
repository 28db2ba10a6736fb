/** The bundled event packages, as whoever embeds them makes them. */
import {
  conference,
  dialogInfo,
  dialogsInPresence,
  makeRegistry,
  messageSummary,
  passThrough,
  presence,
  reg,
  sharedLine,
  watcherInfo,
} from "presently/packages"
import type { Packages } from "presently/packages"
import { story } from "./story.ts"
import type { Step } from "./story.ts"

const dialogs = dialogInfo()

export const packages: Packages = makeRegistry(
  [
    presence({ rules: {}, mixes: dialogsInPresence(dialogs) }),
    dialogs,
    sharedLine(),
    messageSummary(),
    reg(),
    conference(),
    passThrough({ name: "x-opaque", contentTypes: ["application/x-opaque"] }),
  ],
  watcherInfo,
)

const text = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">
  <tuple id="t1"><status><basic>open</basic></status><note xml:lang="en">hei, &lt;ä&gt;</note></tuple>
</presence>`

export const present = (): readonly Step[] =>
  story(packages, "presence", { contentType: "application/pidf+xml", text })
