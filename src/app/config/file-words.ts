/**
 * Why a file or folder named by a setting cannot be used, in words.
 */

/** Without the path, which the message gives beside it, and with what to do. */
export const fileWords = (cause: unknown): string => {
  const code = (cause as NodeJS.ErrnoException | null)?.code
  switch (code) {
    case "ENOENT":
      return "there is no such file: name one that is there, or make it"
    case "EACCES":
    case "EPERM":
      return "this process may not read it: let its user or group read it"
    case "EISDIR":
      return "it is a folder: name a file"
    case "ENOTDIR":
      return "part of the path is no folder: correct it"
    default:
      return cause instanceof Error ? cause.message : String(cause)
  }
}

export const folderWords = (cause: unknown): string =>
  (cause as NodeJS.ErrnoException | null)?.code === "ENOENT"
    ? "there is no such folder: name one that is there, or make it"
    : fileWords(cause)
