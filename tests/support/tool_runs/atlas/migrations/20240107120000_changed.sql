ALTER TABLE users ADD COLUMN street varchar(90);
