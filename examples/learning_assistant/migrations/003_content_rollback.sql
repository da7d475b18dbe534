DROP TABLE app.content_tags;
DROP TABLE app.tags;
DROP TABLE app.content;
