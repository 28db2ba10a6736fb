/** A URL without user and password, wherever it says them. */
export const masked = (url: string): string =>
  url.replace(/\/\/.*@/s, "//***@").replaceAll(/([?&](?:password|sslpassword)=)[^&]*/gi, "$1***")
