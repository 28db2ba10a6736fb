/**
 * The only file that knows the npm package `sip`. It reads the Contacts of REGISTER requests and writes our own URIs; what every
 * message needs is read by `address-headers.ts`.
 *
 * The package's parser backtracks on hostile text: it is given values only that `address-headers.ts` has found well formed.
 */
import sip from "sip"
import { parseAddresses } from "./address-headers.ts"
import type { Address } from "./address-headers.ts"
import type { Transport } from "./transports/transport.ts"

/** What the package makes of one value; null when it does not take it for an address. */
const readWithPackage = ({ untagged, tag }: Address): Pick<Address, "uri" | "tag" | "parameters"> | null => {
  // it wants a whole message, so it is given the smallest one that there is, with the value as its To
  const value = tag === null ? untagged : `${untagged};tag=${tag}`
  const parsed = sip.parse(`X sip:x SIP/2.0\r\nTo: ${value}\r\n\r\n`)?.headers.to
  if (parsed === undefined || parsed.uri === "") return null
  // own keys only: the package collects parameters in a plain object, whatever their names are
  const parameters = new Map(Object.keys(parsed.params).map((name) => [name, parsed.params[name] ?? null]))
  const ownTag = parameters.get("tag") ?? null
  parameters.delete("tag")
  return { uri: parsed.uri, tag: ownTag, parameters }
}

/** `parseAddresses`, with URI, tag and parameters as the package has them. */
export const parseAddressesWithPackage = (line: string): readonly Address[] | null => {
  const addresses: Address[] = []
  for (const address of parseAddresses(line) ?? []) {
    const read = readWithPackage(address)
    if (read === null || read.tag !== address.tag) return null
    addresses.push({ ...read, untagged: address.untagged, parameterText: address.parameterText })
  }
  return addresses.length === 0 ? null : addresses
}

/** A URI of ours as text: `sip:presence@192.0.2.10:5060;transport=tcp`. */
export const formatUri = (
  user: string,
  host: string,
  port: number,
  { uriParameter }: Pick<Transport, "uriParameter">,
): string =>
  sip.stringifyUri({
    schema: "sip",
    ...(user === "" ? {} : { user }),
    host,
    port,
    ...(uriParameter === null ? {} : { params: { transport: uriParameter } }),
  })
