-- Event triggers that are off for the database.
-- from: 17
-- expect: risk guard_off database database guard_off_event_triggers
RESET ROLE;
ALTER DATABASE guard_off_event_triggers SET event_triggers = off;
