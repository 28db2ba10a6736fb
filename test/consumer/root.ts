/** What most of those who embed it import. */
import * as presently from "presently"

export const exported: readonly string[] = Object.keys(presently)
