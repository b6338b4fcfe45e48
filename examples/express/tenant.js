// Runs a handler in a transaction of its request's tenant, and answers after COMMIT.
const { Pool } = require('pg');

const pool = new Pool({ max: 20 });

const inTenant = (handler) => async (request, response) => {
  const { tenant, user } = request.identity;
  const db = await pool.connect();
  let answer, broken;
  try {
    await db.query('BEGIN');
    await db.query('SELECT rls_tenant.set_context($1::text, NULL, $2::text)', [tenant, user]);
    answer = await handler(request, db);
    await db.query('COMMIT');
  } catch (error) {
    await db.query('ROLLBACK').catch((lost) => (broken = lost));
    throw error;
  } finally {
    db.release(broken);
  }
  response.status(answer.status ?? 200).json(answer.body);
};

module.exports = { pool, inTenant };
