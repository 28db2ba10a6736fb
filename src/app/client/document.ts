/**
 * Presence documents as a client makes them: one tuple.
 */
import { xmlCodec } from "../../adapters/xml/codec.ts"
import { element } from "../../domain/packages/element.ts"
import { pidfNamespace } from "../../domain/packages/pidf.ts"
import type { Body } from "./wire.ts"

/**
 * The tuple id is constant: a later publication from this machine or another replaces the tuple, as expected of a command that is
 * run twice.
 */
const tupleId = "presently"

export const documentOf = (entity: string, basic: "open" | "closed", note: string | null): Body => {
  const status = element(pidfNamespace, "status", {}, [element(pidfNamespace, "basic", {}, [basic])])
  const notes = note === null ? [] : [element(pidfNamespace, "note", {}, [note])]
  const tuple = element(pidfNamespace, "tuple", { id: tupleId }, [status, ...notes])
  return {
    contentType: "application/pidf+xml",
    text: xmlCodec.print(element(pidfNamespace, "presence", { entity }, [tuple])),
  }
}
