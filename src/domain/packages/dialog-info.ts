/**
 * The `dialog` package: the calls a presentity is in (RFC 4235).
 *
 * Reading and writing is in `dialog-info-document.ts`, what several documents say together in `dialog-info-compose.ts`.
 */
import { amend, compose, difference } from "./dialog-info-compose.ts"
import { dialogInfoType, parse, render, withoutDialogs } from "./dialog-info-document.ts"
import type { DialogInfo } from "./dialog-info-document.ts"
import type { XmlCodec } from "./element.ts"
import type { EventPackage } from "./event-package.ts"
import { withVersion } from "./numbered-document.ts"

export { dialogInfoNamespace } from "./dialog-info-document.ts"
export type { DialogEntry, DialogInfo, DialogState } from "./dialog-info-document.ts"

export interface DialogInfoOptions {
  readonly xml: XmlCodec
  /** Shows the dialogs of an ended publication terminated, once; OpenSIPS lets them vanish. */
  readonly generateTerminated?: boolean
  /** Shows the dialog of the highest rank only: early, confirmed, proceeding, trying, terminated. */
  readonly forceSingleDialog?: boolean
  /** RFC 4235 §3.10: 1 s unless said otherwise. */
  readonly notifyIntervalMillis?: number
}

/**
 * The package as the engine uses it. With nothing published there still is a document: phones take a NOTIFY without
 * body for a fault.
 *
 * @source RFC 4235 §3
 */
export const dialogInfo = (options: DialogInfoOptions): EventPackage<DialogInfo, "dialog"> => {
  const { xml, generateTerminated = true, forceSingleDialog = false, notifyIntervalMillis = 1_000 } = options
  return {
    name: "dialog",
    watchers: "domain",
    accepts: [dialogInfoType],
    produces: [dialogInfoType],
    defaultExpires: 3_600,
    entityTags: "new-each-time",
    notifyIntervalMillis,
    parse: (body) => parse(body, xml),
    compose: (input) => compose(input, { generateTerminated, forceSingleDialog }),
    render: (document) => render(document, xml),
    offline: withoutDialogs,
    amend,
    difference,
    personalize: (body, { version }) => withVersion(body, version),
  }
}
