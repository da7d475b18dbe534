-- summary: RESET ALL
-- What DISCARD ALL does to settings; it would give the lock of migrations back, too.
RESET SESSION AUTHORIZATION;
RESET ALL
