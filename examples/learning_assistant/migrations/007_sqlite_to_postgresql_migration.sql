-- Makes room for everything that the SQLite database of the old application has. Then
--   dbops import run app.db --database main --schema app --target existing \
--     --mapping examples/learning_assistant/takeover.toml
-- takes all its rows over, into these tables and those of 001 to 006.

-- What no table of the new application is for.
CREATE TABLE app.settings (
    key text PRIMARY KEY,
    value text
);
COMMENT ON TABLE app.settings IS 'The settings of the old application, whatever type they had.';

CREATE TABLE app.legacy_releases (
    version text PRIMARY KEY,
    applied_at timestamptz NOT NULL
);
COMMENT ON TABLE app.legacy_releases IS 'Its releases: what it called schema_migrations.';

CREATE TABLE app.legacy_users_2019 (
    id bigint,
    email text,
    created_at timestamptz
);
COMMENT ON TABLE app.legacy_users_2019 IS 'A copy of some users that somebody made in 2019.';

-- They are for administrators only.
ALTER TABLE app.settings ENABLE ROW LEVEL SECURITY;
CREATE POLICY settings_admin ON app.settings USING ((SELECT app.is_admin()));
ALTER TABLE app.legacy_releases ENABLE ROW LEVEL SECURITY;
CREATE POLICY legacy_releases_admin ON app.legacy_releases USING ((SELECT app.is_admin()));
ALTER TABLE app.legacy_users_2019 ENABLE ROW LEVEL SECURITY;
CREATE POLICY legacy_users_2019_admin ON app.legacy_users_2019 USING ((SELECT app.is_admin()));

-- The old application left some attempts unmarked: 'n/a'. Only those from its days may be so.
ALTER TABLE app.assessment_attempts
    ALTER COLUMN score DROP NOT NULL,
    ALTER COLUMN passed DROP NOT NULL,
    ADD CONSTRAINT assessment_attempts_marked CHECK (
        (score IS NOT NULL AND passed IS NOT NULL)
        OR submitted_at < timestamptz '2026-01-01 00:00:00+00'
    );
