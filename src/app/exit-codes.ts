/**
 * The numbers that a command ends with (the names are those of sysexits). An error that ends a command carries its number as
 * `exitCode`.
 */
export const exitCodes = {
  /** A finding: the thing waited for did not come, a difference was found. */
  finding: 1,
  /** The server refused the request. */
  refused: 2,
  usage: 64,
  /** No server answers at that address. */
  unavailable: 69,
  /** A defect of presently. */
  software: 70,
  /** A file or socket of this machine could not be used. */
  io: 74,
  /** The token is missing, unknown, or of too small a scope. */
  notAllowed: 77,
  config: 78,
  interrupted: 130,
} as const
