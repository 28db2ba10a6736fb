/**
 * Settings of the log, its tables and its retention.
 */
import { flag, int, list, secret, text } from "../setting-kinds.ts"

/** The lowest value of a parameter that the module treats as "never" at 0 and below. */
const lowest = -2_147_483_648

export const storage = {
  db_update_period: int<number>(
    100,
    lowest,
    86_400,
    "longest lag of the three tables behind the log, seconds; 0 or less: written only at the stop and every db_update_decisions changes",
  ),
  db_update_decisions: int<number>(
    20_000,
    100,
    10_000_000,
    "changes after which the tables and snapshots are written before db_update_period is over, or a quarter as many as there are subscriptions and publications to be written, if that is more; a start reads at most so many again",
  ),
  db_url: secret(text(null, "the same as database_url, under the name of the OpenSIPS module")),
  fallback2db: flag(true, "the database backs memory", "the log is always the truth and always consulted"),
  clean_period: int<number>(
    100,
    lowest,
    86_400,
    "sweep period",
    "everything ends at its own deadline, no sweep is needed",
  ),
  retention: {
    ...list(
      [],
      "days for which the log, and documents of single packages, are kept: each DAYS or PACKAGE=DAYS (365,dialog=30); none or 0: for ever",
    ),
    isNumeric: true,
  },
  retention_share: int<number>(
    50,
    1,
    100,
    "largest share of the log, or of one package's remaining documents in it, that is dropped at once, in percent; more takes `presently compact --yes`, or several days",
  ),
  retention_doubt: int<number>(
    7,
    0,
    365,
    "days for which nothing is dropped after the clock went ahead unconfirmed by more than a day",
  ),
  clock_jump: int<number>(
    10,
    2,
    3600,
    "seconds by which the machine's clock may differ from the monotonic one before that counts as a jump",
  ),
  clock_jump_wait: int<number>(
    86_400,
    0,
    7 * 86_400,
    "seconds that an unconfirmed jump of the clock must last before it is followed; 0: at once",
  ),
  erasable: flag(
    true,
    "encrypt personal data in the log with a key for each person, so that `presently erase` can erase the person (crypto-shredding)",
  ),
  seal_key: text(
    null,
    "file of an Ed25519 private key (see `presently seal-key`) that signs the log every seal_interval seconds; none: the log is not signed",
  ),
  seal_interval: int<number>(600, 1, 86_400, "seconds between two seals"),
  presentity_table: text("presentity", "name of the table, of letters, digits and underscores"),
  active_watchers_table: text("active_watchers", "name of the table, of letters, digits and underscores"),
  watchers_table: text("watchers", "name of the table, of letters, digits and underscores"),
}
