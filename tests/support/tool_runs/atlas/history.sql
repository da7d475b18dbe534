CREATE SCHEMA atlas_schema_revisions;
CREATE TABLE atlas_schema_revisions.atlas_schema_revisions (
    version character varying NOT NULL,
    description character varying NOT NULL,
    type bigint DEFAULT 2 NOT NULL,
    applied bigint DEFAULT 0 NOT NULL,
    total bigint DEFAULT 0 NOT NULL,
    executed_at timestamp with time zone NOT NULL,
    execution_time bigint NOT NULL,
    error text,
    error_stmt text,
    hash character varying NOT NULL,
    partial_hashes jsonb,
    operator_version character varying NOT NULL
);
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240101120000', 'create_users', 2, 1, 1, '2026-11-30 18:42:48.385029+00', 25130161, NULL, NULL, 'uDL+bN+WxMx1A/zBCMA3OWofqp2oX9ytLQ+UchDI9uM=', '["h1:7nziwg/ecJZl8xnALOeEiGKqq1PxH35Ax3FWYusjB3s="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240102120000', 'users_name', 2, 2, 2, '2026-11-30 18:42:48.588672+00', 26289796, NULL, NULL, 'W7W6+Ne2tMny7AibaigxnbJzxLRjmaHHBCR86mkE1LQ=', '["h1:LXHI5cGnehaq2q/+JNB2m/wgUf6t+Ybiw4qpH+Nu0jE=", "h1:MFK6gWXliQ7vbVOvOK5eIlbd1lY0U2KMfgxb2wVdXSk="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240103120000', 'email_key', 2, 1, 1, '2026-11-30 18:42:48.664118+00', 6819760, NULL, NULL, '+fzeRMYTqyJpyuqiNgRdbRpsMO0QdGXf0vXgD9whtJI=', '["h1:lzG7YTKBLWwllPUjQ9c1F/x455Q0h5Ms/gLMrObzgAk="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240104120000', '', 2, 1, 1, '2026-11-30 18:42:48.758565+00', 10694688, NULL, NULL, 'EX5lgzYFFzNb/D5T2ExjrqQXwMVZQMTknjVbR6YbZcM=', '["h1:hbC1WAH2IPspgpLZOvhf7UClNP92dtBAxsg2+kPbMEM="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240105120000', 'broken', 2, 2, 2, '2026-11-30 18:43:18.994788+00', 20003877, 'Statement:
SELECT 1/0;
Error:
pq: division by zero', NULL, 'LujqAdSw0qLsyqtDpI12OtnLSZTS5SNQJ5l4E//YlBU=', '["h1:9FRJA1h5fBtsAPBjXi6zlM+pP+lyLy3OFPadfiigEfw=", "h1:6O5bXPugHrQCQls0m1UVzZoTe9ooTcxId6jwqtDB6Sw="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240106120000', 'later', 2, 1, 1, '2026-11-30 18:43:19.15482+00', 77589395, NULL, NULL, 'klNF4lCn95p7KVAwsnJr/t342JD/xqQLADf001wx8a4=', '["h1:rZCO5J9Dxp2dFTSrv4v9rrY5dzF/tKf9fW8um7Poep8="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240107120000', 'changed', 2, 1, 1, '2026-11-30 18:46:41.105766+00', 9567614, NULL, NULL, 'bmp5/KaMeZmm9oupyAUICpLeWmJpzD8/yYw34h9H7Eg=', '["h1:FKG31CLfELG/Osvn+I1oQfDNX0VYwKOqEZBzB3AyjXA="]', 'Atlas library 0.7.2');
INSERT INTO atlas_schema_revisions.atlas_schema_revisions VALUES ('20240108120000', 'half', 2, 2, 3, '2026-11-30 18:46:41.293223+00', 3710539, 'Statement:
ALTER TABLE nobody ADD COLUMN c int;
Error:
pq: relation "nobody" does not exist', NULL, '9ZvVuRrwhkCmTrzc8PT7VtRWYlRP1k2IidSGs8HW93U=', '["h1:DD3LOQW71WuLK09urD4VCInGZv9xMk+RUW4TdIpICm4=", "h1:bjVQM7D14tdrZ87+3p0x179dRuACwzKOSV1BBzFoqos="]', 'Atlas library 0.7.2');
ALTER TABLE ONLY atlas_schema_revisions.atlas_schema_revisions
    ADD CONSTRAINT atlas_schema_revisions_pkey PRIMARY KEY (version);
