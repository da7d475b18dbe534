-- summary: RESET ALL
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
CLOSE ALL;
DEALLOCATE ALL;
UNLISTEN *;
DISCARD SEQUENCES;
DISCARD TEMP;
-- Advisory locks of the file end with it. While the lock of the transaction is held, nobody else can have
-- that of migrations; where the file gave it away, and somebody else has it, this divides by zero.
SELECT
    pg_catalog.pg_try_advisory_xact_lock({lock_key}), pg_catalog.pg_advisory_unlock_all(),
    1 OPERATOR(pg_catalog./) pg_catalog.pg_try_advisory_lock({lock_key})::pg_catalog.int4, {settings}
