/** A certificate that this server shows. */
export interface CertificateView {
  readonly file: string
  /** Names that it proves (RFC 5922 §7.1). */
  readonly names: readonly string[]
  /** When it begins and ends to be valid, in milliseconds since 1970. */
  readonly from: number
  readonly until: number
}
