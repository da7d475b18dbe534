CREATE TABLE public._prisma_migrations (
    id character varying(36) NOT NULL,
    checksum character varying(64) NOT NULL,
    finished_at timestamp with time zone,
    migration_name character varying(255) NOT NULL,
    logs text,
    rolled_back_at timestamp with time zone,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_steps_count integer DEFAULT 0 NOT NULL
);
INSERT INTO public._prisma_migrations VALUES ('1697cf51-9216-4591-9460-57be00d9c37d', '6df43129dbfd64f7a09e715fcd7ff7ef15744aed20d7947b9e43c95eed3f2ad1', '2026-11-30 18:26:42.451+00', '20240101120000_create_users', NULL, NULL, '2026-11-30 18:26:42.356+00', 1);
INSERT INTO public._prisma_migrations VALUES ('9c35d9ed-c84c-4af2-8d84-64b72e793140', '529d7f966c2b8d96c6e9b0f00d915771aaff5cdb68139d4534e82fb3a90fd66e', NULL, '20240102120000_users_name', 'external connector error
No such table: nobody
   0: sql_schema_connector::apply_migration::apply_script
           with migration_name="20240102120000_users_name"
             at schema-engine/connectors/sql-schema-connector/src/apply_migration.rs:113
   1: schema_commands::commands::apply_migrations::Applying migration
           with migration_name="20240102120000_users_name"
             at schema-engine/commands/src/commands/apply_migrations.rs:95
   2: schema_engine_wasm::wasm::engine::ApplyMigrations
             at schema-engine/schema-engine-wasm/src/wasm/engine.rs:167', '2026-11-30 18:27:02.543+00', '2026-11-30 18:26:42.464+00', 0);
INSERT INTO public._prisma_migrations VALUES ('7be1b139-c8d4-4280-9d77-c9c8ed268112', '2d3109e4635a83756c65b154aa8f1e5c6ccd7c2ff4ec631c89943d9dd5cd9b24', '2026-11-30 18:27:27.106+00', '20240102120000_users_name', NULL, NULL, '2026-11-30 18:27:27.071+00', 1);
INSERT INTO public._prisma_migrations VALUES ('240d025a-b233-41ad-8bf5-534e8c2d744d', '2cdf3c884f46a3a56f736fde2e4a33721bc90e68a3817668d2c823b44092de47', '2026-11-30 18:27:27.197+00', '20240103120000_users_email_key', NULL, NULL, '2026-11-30 18:27:27.114+00', 1);
INSERT INTO public._prisma_migrations VALUES ('d24cc99d-dcef-4d33-bb40-9270ed2a2df7', 'eb9803d3ceb9edafa54b3fe4d6b72285ee82f5ac2248bfedcc72fbfcfd0c8f52', '2026-11-30 18:27:27.316+00', '20240104120000_users_age', NULL, NULL, '2026-11-30 18:27:27.211+00', 1);
INSERT INTO public._prisma_migrations VALUES ('b949dd5e-384a-461f-aa9d-1908371cae17', '74ea0c2264b67dd2aaacbd29df7bef6849c3ad1fad0a23729f9cd0957a499863', '2026-11-30 18:27:27.381+00', '20240105120000_users_city', NULL, NULL, '2026-11-30 18:27:27.331+00', 1);
INSERT INTO public._prisma_migrations VALUES ('61ffdbf0-ed72-4244-8e06-6030b6c1ccaa', 'b04baed07b6b29d39e35958b4f57057c3ba79e99b1214f3d9043a37e8de2d318', '2026-11-30 18:27:56.147+00', '20240102150000_between', NULL, NULL, '2026-11-30 18:27:56.081+00', 1);
INSERT INTO public._prisma_migrations VALUES ('de2d1e4c-b901-4256-9ae5-23728a118ebf', '024764dc837ed44a71741e8a4d3a6a7391fcc78b166a26c2a90f0241a68c7ba8', '2026-11-30 18:28:24.958+00', '20240107120000_by_hand', '', NULL, '2026-11-30 18:28:24.958+00', 0);
INSERT INTO public._prisma_migrations VALUES ('f5ffa559-5c5a-4b5b-9635-76e01da4733f', 'e94eaf933a166845e7098d7b2e0d3f72ce6e06d4ded68cfb2b789f4296d979c5', '2026-11-30 18:28:51.355+00', '20240107130000_bom', NULL, NULL, '2026-11-30 18:28:51.299+00', 1);
INSERT INTO public._prisma_migrations VALUES ('43d724f5-d411-4487-9ee3-18815a98038b', '6bb9f516259c913e2c9534d9a01f4e894eef3ecc4a733491e0dbe2cae0dd41cb', NULL, '20240108120000_broken', 'external connector error
Error querying the database: ERROR: division by zero
   0: sql_schema_connector::apply_migration::apply_script
           with migration_name="20240108120000_broken"
             at schema-engine/connectors/sql-schema-connector/src/apply_migration.rs:113
   1: schema_commands::commands::apply_migrations::Applying migration
           with migration_name="20240108120000_broken"
             at schema-engine/commands/src/commands/apply_migrations.rs:95
   2: schema_engine_wasm::wasm::engine::ApplyMigrations
             at schema-engine/schema-engine-wasm/src/wasm/engine.rs:167', NULL, '2026-11-30 18:29:36.869+00', 0);
ALTER TABLE ONLY public._prisma_migrations
    ADD CONSTRAINT _prisma_migrations_pkey PRIMARY KEY (id);
