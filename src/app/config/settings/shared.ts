/**
 * Values that several groups of settings have.
 */

/** Seconds. */
export const year = 365 * 24 * 3600

export const grows = "tables in memory grow by themselves"
