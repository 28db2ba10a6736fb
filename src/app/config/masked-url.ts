/**
 * URLs of databases as they may be shown.
 */

/** Without user and password, wherever they stand in it. */
export const masked = (url: string): string =>
  url.replace(/\/\/.*@/s, "//***@").replaceAll(/([?&](?:password|sslpassword)=)[^&]*/gi, "$1***")

/** With the user, for a client that asks for the password itself. */
export const withoutPassword = (url: string): string => {
  if (!URL.canParse(url)) return masked(url)
  const parsed = new URL(url)
  parsed.password = ""
  for (const name of ["password", "sslpassword"])
    // deleting writes the other parameters anew, also when there is nothing to delete
    if (parsed.searchParams.has(name)) parsed.searchParams.delete(name)
  return parsed.href
}
