-- How somebody learns, one row a user at most. It goes with the user.

CREATE TABLE app.learning_profiles (
    user_id bigint PRIMARY KEY
        CONSTRAINT learning_profiles_user REFERENCES app.users (id) ON DELETE CASCADE,
    style text NOT NULL DEFAULT 'visual'
        CONSTRAINT learning_profiles_style
        CHECK (style IN ('visual', 'auditory', 'reading', 'hands-on')),
    goals jsonb
        CONSTRAINT learning_profiles_goals_list CHECK (jsonb_typeof(goals) = 'array'),
    preferences jsonb NOT NULL DEFAULT '{}'
        CONSTRAINT learning_profiles_preferences_object
        CHECK (jsonb_typeof(preferences) = 'object'),
    weekly_minutes integer NOT NULL DEFAULT 120
        CONSTRAINT learning_profiles_weekly_minutes CHECK (weekly_minutes BETWEEN 0 AND 10080),
    streak_days integer NOT NULL DEFAULT 0
        CONSTRAINT learning_profiles_streak CHECK (streak_days >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL DEFAULT app.actor(),
    updated_at timestamptz,
    updated_by text
);

-- Whom a new course on a subject is for.
CREATE INDEX learning_profiles_goals ON app.learning_profiles USING gin (goals);

CREATE TRIGGER learning_profiles_audit BEFORE INSERT OR UPDATE ON app.learning_profiles
FOR EACH ROW EXECUTE FUNCTION app.set_audit_columns();

ALTER TABLE app.learning_profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY learning_profiles_read ON app.learning_profiles FOR SELECT
USING (user_id = (SELECT app.current_user_id()) OR (SELECT app.is_staff()));
CREATE POLICY learning_profiles_own ON app.learning_profiles
USING (user_id = (SELECT app.current_user_id()))
WITH CHECK (user_id = (SELECT app.current_user_id()));
