-- The fan-out, part 2: the one way into the queue, and what is parked. As a superuser, after the queue was installed.
SELECT format('REVOKE CREATE ON DATABASE %I FROM fanout_queue', current_database()) \gexec

BEGIN;
CREATE SCHEMA fanout AUTHORIZATION fanout_queue;
GRANT USAGE ON SCHEMA fanout TO web;
SET LOCAL ROLE fanout_queue;

-- Asks for an announcement of the context's tenant to be sent to other tenants; part of the caller's transaction. No argument
-- says who sends. More than 1,000 receivers, none, or NULL: 22023. No tenant set: 55000.
CREATE FUNCTION fanout.publish(announcement_id bigint, receivers uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF announcement_id IS NULL OR cardinality(receivers) BETWEEN 1 AND 1000 IS NOT TRUE OR array_position(receivers, NULL) IS NOT NULL THEN
    RAISE 'an announcement and 1 to 1000 receivers are needed' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- The number goes as text: JavaScript would round a large one.
  PERFORM graphile_worker.add_job('split', json_build_object(
    'sender', rls_tenant.current_tenant_uuid(), 'announcement', announcement_id::text, 'receivers', receivers), max_attempts => 8);
END $$;
REVOKE ALL ON FUNCTION fanout.publish(bigint, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION fanout.publish(bigint, uuid[]) TO web;

-- Jobs that nobody will try again by himself. No error: each attempt ended with the worker itself.
CREATE VIEW fanout.parked AS
  SELECT job.id, task.identifier AS task, job.payload, job.attempts, job.last_error
  FROM graphile_worker._private_jobs job JOIN graphile_worker._private_tasks task ON task.id = job.task_id
  WHERE job.attempts >= job.max_attempts AND job.locked_at IS NULL;
COMMIT;
