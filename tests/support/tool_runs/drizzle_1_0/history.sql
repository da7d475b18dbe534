CREATE SCHEMA drizzle;
CREATE TABLE drizzle.__drizzle_migrations (
    id integer NOT NULL,
    hash text NOT NULL,
    created_at bigint,
    name text,
    applied_at timestamp with time zone DEFAULT now()
);
INSERT INTO drizzle.__drizzle_migrations VALUES (1, '00ce3f5e8fb2c7314c1a2b6b38a293ec66af0c59bc64ef91f5eb4716ecc3fc2d', 1796064055000, '20261130184055_create_users', '2026-11-30 18:41:26.761098+00');
INSERT INTO drizzle.__drizzle_migrations VALUES (2, '6bc0d8fc9e027120fab68d86999fcec77d494be0b183b8689c88609f470a1f56', 1796064073000, '20261130184113_users_name', '2026-11-30 18:41:26.761098+00');
INSERT INTO drizzle.__drizzle_migrations VALUES (3, '3b2433de675ae3432f1e571706c04cce9dd95d8a18910417255294b94358e820', 1796064120000, '20261130184200_users_city', '2026-11-30 18:44:16.68672+00');
INSERT INTO drizzle.__drizzle_migrations VALUES (4, '718751ddcbb1d9b8c541f259973c5dff77be365ac7bc65fb7998c4b3c6423ee5', 1796064180000, '20261130184300_users_zip', '2026-11-30 18:44:16.68672+00');
INSERT INTO drizzle.__drizzle_migrations VALUES (5, '365dd6244d204cea745ab662c004c823a4037fb1fd0a31c6cbb80498fc2e7f87', 1796064240000, '20261130184400_users_old', '2026-11-30 18:44:16.68672+00');
INSERT INTO drizzle.__drizzle_migrations VALUES (6, 'bbd6ba53672ed387784de0a63337092777a8293f094024bb300d41015a5696fe', 1796064090000, '20261130184130_between', '2026-11-30 18:44:19.866717+00');
ALTER TABLE ONLY drizzle.__drizzle_migrations
    ADD CONSTRAINT __drizzle_migrations_pkey PRIMARY KEY (id);
