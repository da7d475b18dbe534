CREATE TABLE public.__diesel_schema_migrations (
    version character varying(50) NOT NULL,
    run_on timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL
);
INSERT INTO public.__diesel_schema_migrations VALUES ('00000000000000', '2026-11-30 18:51:03.077152');
INSERT INTO public.__diesel_schema_migrations VALUES ('20240101120000', '2026-11-30 18:51:03.082446');
INSERT INTO public.__diesel_schema_migrations VALUES ('20240102120000', '2026-11-30 18:51:03.10164');
INSERT INTO public.__diesel_schema_migrations VALUES ('202401031200000000', '2026-11-30 18:51:03.107957');
INSERT INTO public.__diesel_schema_migrations VALUES ('20240104120000', '2026-11-30 18:51:03.11278');
INSERT INTO public.__diesel_schema_migrations VALUES ('20240103000000', '2026-11-30 18:51:03.351759');
INSERT INTO public.__diesel_schema_migrations VALUES ('20240101000000', '2026-11-30 18:51:04.807837');
ALTER TABLE ONLY public.__diesel_schema_migrations
    ADD CONSTRAINT __diesel_schema_migrations_pkey PRIMARY KEY (version);
