-- The rows of the old application have no place in what this goes back to, and a rollback that
-- dropped them would lose them. `dbops import revert` takes them out first.
DO $$
BEGIN
    IF EXISTS (SELECT FROM app.settings)
        OR EXISTS (SELECT FROM app.legacy_releases)
        OR EXISTS (SELECT FROM app.legacy_users_2019)
        OR EXISTS (SELECT FROM app.assessment_attempts WHERE score IS NULL OR passed IS NULL)
    THEN
        RAISE EXCEPTION 'the rows of the old application are here'
            USING HINT = 'Revert its import first: dbops import revert.';
    END IF;
END
$$;

ALTER TABLE app.assessment_attempts
    DROP CONSTRAINT assessment_attempts_marked,
    ALTER COLUMN passed SET NOT NULL,
    ALTER COLUMN score SET NOT NULL;

DROP TABLE app.legacy_users_2019;
DROP TABLE app.legacy_releases;
DROP TABLE app.settings;
