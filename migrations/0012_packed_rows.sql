-- The form of rows has changed, not the layout: versions before this one cannot read rows of `events` whose texts are one ciphertext for
-- each person and whose events are arrays, nor snapshots whose subscriptions are. With a newer layout they refuse the database and say so.
COMMENT ON COLUMN events.events IS 'events as JSON; since layout 12 frequent ones are arrays, and texts of a person are encrypted together';
COMMENT ON COLUMN snapshots.state IS 'a state as JSON; since layout 12 subscriptions and dialogs are lists of values';
