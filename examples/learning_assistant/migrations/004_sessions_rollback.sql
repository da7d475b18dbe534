DROP TABLE app.learning_sessions;
