/**
 * Presence as XPIDF, the format that phones of the time before PIDF read (`application/xpidf+xml`): one address with
 * one status.
 *
 * It was never an RFC. The elements and values are those that phones and servers of that time agree on.
 */
import type { Body } from "../vocabulary.ts"
import { child, element, isNamed, textOf } from "./element.ts"
import type { Element, XmlCodec } from "./element.ts"
import { pidfNamespace } from "./pidf-document.ts"
import type { Pidf } from "./pidf-document.ts"
import { rpidNamespace } from "./presence-rules-permissions.ts"

export const xpidfType = "application/xpidf+xml"

const documentType = '<!DOCTYPE presence PUBLIC "-//IETF//DTD RFCxxxx XPIDF 1.0//EN" "xpidf.dtd">'

export const isOpen = (tuple: Element): boolean => {
  const status = child(tuple, pidfNamespace, "status")
  const basic = status === null ? null : child(status, pidfNamespace, "basic")
  return basic !== null && textOf(basic).trim() === "open"
}

/** By what the person does, the strongest first: status and substatus. @source RFC 4480 §3.2 for the names */
const activities = [
  ["on-the-phone", "inuse", "onthephone"],
  ["busy", "inuse", "busy"],
  ["meeting", "inuse", "busy"],
  ["away", "open", "away"],
] as const

/** All names of RPID activities in the document. */
const activitiesIn = ({ tuples, persons }: Pidf): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const holder of [...persons, ...tuples])
    for (const node of holder.children)
      if (isNamed(node, rpidNamespace, "activities"))
        for (const activity of node.children) if (activity._tag === "Element") names.add(activity.name)
  return names
}

const statusOf = (document: Pidf): readonly [status: string, substatus: string] => {
  if (!document.tuples.some(isOpen)) return ["closed", "offline"]
  const present = activitiesIn(document)
  const activity = activities.find(([name]) => present.has(name))
  return activity === undefined ? ["open", "online"] : [activity[1], activity[2]]
}

export const renderXpidf = (document: Pidf, xml: XmlCodec): Body => {
  const { entity } = document
  const [status, substatus] = statusOf(document)
  const root = element("", "presence", {}, [
    element("", "presentity", { uri: `${entity};method=SUBSCRIBE` }),
    element("", "atom", { id: "1000" }, [
      element("", "address", { uri: `${entity};user=ip`, priority: "0.800000" }, [
        element("", "status", { status }),
        element("", "msnsubstatus", { substatus }),
      ]),
    ]),
  ])
  // the first element begins after the XML declaration
  const text = xml.print(root).replace("<presence>", () => `${documentType}\n<presence>`)
  return { contentType: xpidfType, text }
}
