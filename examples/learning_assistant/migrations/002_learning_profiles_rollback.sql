DROP TABLE app.learning_profiles;
