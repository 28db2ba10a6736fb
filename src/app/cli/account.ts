/**
 * Who gives a command, for the log.
 */
import { userInfo } from "node:os"

/** As the system knows it. */
export const accountName = (): string => {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`
  }
}
