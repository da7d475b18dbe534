ALTER TABLE users ADD COLUMN country text;
SELECT 1/0;
