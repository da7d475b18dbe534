-- summary: SET CONSTRAINTS
-- What is deferred runs with the settings and as the role of the file, as it would at its own COMMIT.
SET CONSTRAINTS ALL IMMEDIATE;
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
CLOSE ALL;
DEALLOCATE ALL;
UNLISTEN *;
DISCARD SEQUENCES;
DISCARD TEMP;
-- While the lock of the transaction is held, nobody else can have it.
SELECT pg_catalog.pg_try_advisory_lock({lock_key}), {settings}
