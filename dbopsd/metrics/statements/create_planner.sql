-- summary: CREATE FUNCTION dbopsd_plan
CREATE FUNCTION pg_temp.dbopsd_plan(statement pg_catalog.text, form pg_catalog.text, generic pg_catalog.bool)
RETURNS SETOF pg_catalog.text
LANGUAGE plpgsql
SECURITY DEFINER
AS $planner$
DECLARE
  parameters pg_catalog.text;
  line pg_catalog.text;
BEGIN
  IF generic THEN
    FOR line IN EXECUTE pg_catalog.concat('EXPLAIN (GENERIC_PLAN, ', form, ') ', statement) LOOP
      RETURN NEXT line;
    END LOOP;
    RETURN;
  END IF;
  -- Before 16 it is planned without its parameters by the setting force_generic_plan. A prepared
  -- statement outlives a transaction that is rolled back.
  EXECUTE pg_catalog.concat('PREPARE dbopsd_planned AS ', statement);
  BEGIN
    SELECT pg_catalog.string_agg('NULL', ', ') INTO parameters
    FROM pg_catalog.pg_prepared_statements AS p
    CROSS JOIN LATERAL pg_catalog.unnest(p.parameter_types) AS t (each)
    WHERE p.name OPERATOR(pg_catalog.=) 'dbopsd_planned';
    FOR line IN EXECUTE pg_catalog.concat(
      'EXPLAIN (', form, ') EXECUTE dbopsd_planned', nullif(pg_catalog.concat('(', parameters, ')'), '()')
    ) LOOP
      RETURN NEXT line;
    END LOOP;
  EXCEPTION WHEN OTHERS OR QUERY_CANCELED THEN
    DEALLOCATE dbopsd_planned;
    RAISE;
  END;
  DEALLOCATE dbopsd_planned;
END
$planner$
