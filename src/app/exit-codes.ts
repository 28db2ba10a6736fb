/**
 * The exit codes of commands, named as in sysexits. An error that ends a command carries its code as `exitCode`.
 */
export const exitCodes = {
  /** A finding: what the command waited for did not happen, or a difference was found. */
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
  /** The token is missing, unknown, or has too small a scope. */
  notAllowed: 77,
  config: 78,
  interrupted: 130,
} as const
