/**
 * The only file that uses the npm package `sip`, which parses the Contacts of REGISTER requests and formats
 * our own URIs. Addresses in all other messages are read by `address-headers.ts`.
 *
 * Its parser backtracks on hostile input, so it only gets values that `address-headers.ts` has accepted.
 */
import sip from "sip"
import { parseAddresses } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import type { Transport } from "./transports/transport.ts"

/** Parses one value with the package; null if the package does not accept it. */
const readWithPackage = ({ untagged, tag }: Address): Pick<Address, "uri" | "tag" | "parameters"> | null => {
  // the package parses whole messages only, so the value becomes the To of a minimal one
  const value = tag === null ? untagged : `${untagged};tag=${tag}`
  const parsed = sip.parse(`X sip:x SIP/2.0\r\nTo: ${value}\r\n\r\n`)?.headers.to
  if (parsed === undefined || parsed.uri === "") return null
  // own keys only: the package collects parameters in a plain object, whatever their names
  const parameters = new Map(Object.keys(parsed.params).map((name) => [name, parsed.params[name] ?? null]))
  const ownTag = parameters.get("tag") ?? null
  parameters.delete("tag")
  return { uri: parsed.uri, tag: ownTag, parameters }
}

/** Like `parseAddresses`, with URI, tag and parameters as parsed by the package. */
export const parseAddressesWithPackage = (line: string): readonly Address[] | null => {
  const addresses: Address[] = []
  for (const address of parseAddresses(line) ?? []) {
    const read = readWithPackage(address)
    if (read === null || read.tag !== address.tag) return null
    addresses.push({ ...read, untagged: address.untagged, parameterText: address.parameterText })
  }
  return addresses.length === 0 ? null : addresses
}

/** Formats a URI of ours: `sip:presence@192.0.2.10:5060;transport=tcp`. */
export const formatUri = (
  user: string,
  host: string,
  port: number,
  { uriParameter }: Pick<Transport, "uriParameter">,
  scheme: "sip" | "sips" = "sip",
): string =>
  sip.stringifyUri({
    schema: scheme,
    ...(user === "" ? {} : { user }),
    host,
    port,
    ...(uriParameter === null ? {} : { params: { transport: uriParameter } }),
  })
