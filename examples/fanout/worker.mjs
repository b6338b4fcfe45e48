// The worker of the fan-out: takes jobs from the queue and writes rows, each job in a transaction of one tenant.
// Where the database is, and as whom, the usual variables tell: PGHOST, PGDATABASE, PGUSER (fanout_worker).
import { run } from 'graphile-worker';
import pg from 'pg';

// Runs statements in a transaction of one tenant, and commits it. An error ends the transaction and goes to the queue, which
// keeps it with the job and tries again later.
async function asTenant(tenant, helpers, work) {
  return helpers.withPgClient(async (client) => {
    await client.query('BEGIN');
    try {
      await client.query('SELECT rls_tenant.set_context($1::uuid)', [tenant]);
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
  });
}

// In the sender's context: reads what is announced, and makes one job for each receiver. Of somebody else's announcement the
// sender sees no row. The jobs and the reading of it are one transaction; a job that waits already is replaced by its like.
async function split({ sender, announcement, receivers }, helpers) {
  await asTenant(sender, helpers, async (client) => {
    const { rows } = await client.query('SELECT title FROM shop.announcement WHERE id = $1', [announcement]);
    if (rows.length === 0) throw new Error(`tenant ${sender} has no announcement ${announcement}`);
    await client.query(
      `SELECT graphile_worker.add_job('deliver',
         json_build_object('sender', $1::text, 'receiver', receiver, 'announcement', $2::text, 'title', $3::text),
         job_key => format('%s:%s:%s', $1::text, $2::text, receiver), max_attempts => 8)
       FROM (SELECT DISTINCT receiver FROM unnest($4::uuid[]) AS receiver ORDER BY 1) AS receivers`,
      [sender, announcement, rows[0].title, receivers],
    );
  });
}

// In the receiver's context: writes the notification. Whether this sender may, the receiver's own row tells, which a policy asks.
// The tenant is the column's default. What is there already was written by this job before the worker was killed.
async function deliver({ sender, receiver, announcement, title }, helpers) {
  await asTenant(receiver, helpers, (client) =>
    client.query(
      'INSERT INTO shop.notification (sender_id, announcement_id, title) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
      [sender, announcement, title],
    ),
  );
}

// Holds a lock for the life of this process, so that one worker works and others stand by. Whoever holds it knows that locks
// on jobs are a dead worker's, and takes them away: the queue itself would wait four hours.
async function beTheWorker() {
  const keeper = new pg.Client();
  keeper.on('error', leave);
  keeper.on('end', () => leave(new Error('the connection that holds the lock has ended')));
  await keeper.connect();
  const { rows } = await keeper.query('SELECT rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = current_user');
  if (rows[0].bypasses) throw new Error('row-level security does not hold this role: run the worker as fanout_worker');
  await keeper.query('SET statement_timeout = 0');
  await keeper.query("SELECT pg_advisory_lock(hashtext('fanout worker'))");
  await keeper.query(
    'SELECT graphile_worker.force_unlock_workers(array_agg(DISTINCT locked_by)) FROM graphile_worker.jobs WHERE locked_by IS NOT NULL',
  );
}

// Ends at once: a worker that has lost its lock must not go on. Who started it starts it again.
function leave(error) {
  console.error(error.message);
  process.exit(1);
}

try {
  await beTheWorker();
  const runner = await run({ concurrency: 4, taskList: { split, deliver }, parsedCronItems: [] });
  await runner.promise;
} catch (error) {
  leave(error);
}
