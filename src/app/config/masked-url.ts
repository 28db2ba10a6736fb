/**
 * A URL without user and password, wherever they stand in it.
 */
export const masked = (url: string): string =>
  url.replace(/\/\/.*@/s, "//***@").replaceAll(/([?&](?:password|sslpassword)=)[^&]*/gi, "$1***")
