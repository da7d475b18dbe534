DROP VIEW app.user_scores;
DROP TABLE app.assessment_attempts;
DROP TABLE app.assessments;
