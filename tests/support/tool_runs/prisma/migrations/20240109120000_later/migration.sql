ALTER TABLE users ADD COLUMN later text;
