/**
 * The `dialog` package: the calls of a presentity (RFC 4235).
 *
 * `dialog-info-document.ts` parses and prints documents, `dialog-info-compose.ts` combines several of them.
 */
import { amend, compose, difference } from "./dialog-info-compose.ts"
import { dialogInfoType, parse, render, withoutDialogs } from "./dialog-info-document.ts"
import type { DialogInfo } from "./dialog-info-document.ts"
import { isNeededBeside } from "./dialog-info-merge.ts"
import { readDialogParameters, tailor } from "./dialog-info-tailor.ts"
import type { XmlCodec } from "./element.ts"
import type { EventPackage } from "./event-package.ts"
import { withVersion } from "./numbered-document.ts"

export { dialogInfoNamespace } from "./dialog-info-document.ts"
export type { DialogEntry, DialogInfo, DialogState } from "./dialog-info-document.ts"

export interface DialogInfoOptions {
  readonly xml: XmlCodec
  /** Shows the dialogs of an expired publication as terminated, once; in OpenSIPS they vanish. */
  readonly generateTerminated?: boolean
  /** Shows only the dialog of the highest rank: early, confirmed, proceeding, trying, terminated. */
  readonly forceSingleDialog?: boolean
  /** In milliseconds; default 1000 (RFC 4235 §3.10). */
  readonly notifyIntervalMillis?: number
}

/**
 * The package as the engine uses it. If nothing is published there is still a document, because phones take a NOTIFY
 * without a body for a fault.
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
    ordered: true,
    mayReplace: (earlier, later) => !isNeededBeside(earlier, later),
    readParameters: readDialogParameters,
    tailor,
    amend,
    difference,
    personalize: (body, { version }) => withVersion(body, version),
  }
}
