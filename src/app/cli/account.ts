/**
 * The name of the person who runs a command, for the log.
 */
import { userInfo } from "node:os"

/** The user name as the system knows it. */
export const accountName = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`
  }
}
