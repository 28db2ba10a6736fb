/** Types for the two functions of the npm package `sip` that we call; it has none of its own. */
declare module "sip" {
  interface ParsedAddress {
    readonly name?: string
    readonly uri: string
    readonly params: Record<string, string | null>
  }
  interface ParsedMessage {
    readonly headers: { readonly to?: ParsedAddress }
  }
  interface UriParts {
    readonly schema?: string
    readonly user?: string
    readonly host: string
    readonly port?: number
    readonly params?: Readonly<Record<string, string | null>>
  }
  const sip: {
    parse(message: string): ParsedMessage | undefined
    stringifyUri(uri: UriParts): string
  }
  export default sip
}
