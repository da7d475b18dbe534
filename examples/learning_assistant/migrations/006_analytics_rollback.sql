DROP VIEW app.content_popularity;
DROP TABLE app.events;
