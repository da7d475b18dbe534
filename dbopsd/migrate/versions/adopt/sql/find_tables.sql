-- summary: SELECT tables of other tools
-- A type that somebody made has no name here: it may be called as one of the server's. Those of the
-- server have the oids below 16384.
SELECT n.nspname::pg_catalog.text,
       c.relname::pg_catalog.text,
       pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY a.attnum),
       pg_catalog.array_agg(
           CASE
               WHEN a.atttypid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid
               THEN pg_catalog.format_type(a.atttypid, NULL)
               ELSE ''
           END
           ORDER BY a.attnum
       )
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid OPERATOR(pg_catalog.=) c.oid
   AND a.attnum OPERATOR(pg_catalog.>) 0
   AND NOT a.attisdropped
 WHERE c.relname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[])
   AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::pg_catalog."char"[])
   AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'
 GROUP BY 1, 2
 ORDER BY 1, 2
 LIMIT 500
