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
  // not by searchParams, which would write blanks of the others as + signs
  const parameters = parsed.search.slice(1).split("&")
  parsed.search = parameters.filter((text) => !/^(?:ssl)?password=/i.test(text)).join("&")
  return parsed.href
}
