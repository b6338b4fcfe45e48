// Invoices of many tenants, with Express and node-postgres. The database is told by PGHOST, PGPORT, PGDATABASE, PGUSER.
const express = require('express');
const { pool, inTenant } = require('./tenant');

const app = express();
app.use(express.json());

// STAND-IN for authentication, which must find out by itself who asks: never trust such headers from outside.
app.use((request, response, next) => {
  const tenant = request.get('X-Tenant');
  const user = request.get('X-User');
  if (!tenant || !user) return response.status(401).json({ error: 'who are you?' });
  request.identity = { tenant, user };
  next();
});

const insert = (db, note) =>
  db.query('INSERT INTO invoice (note) VALUES ($1) RETURNING id, tenant_id, note, created_by', [note]);

app.get('/invoices', inTenant(async (request, db) => {
  const { rows } = await db.query('SELECT id, tenant_id, note, created_by FROM invoice ORDER BY id');
  return { body: rows };
}));

app.post('/invoices', inTenant(async (request, db) => {
  const { rows } = await insert(db, request.body.note);
  return { status: 201, body: rows[0] };
}));

// An error after a write: nothing of it stays.
app.get('/fail', inTenant(async (request, db) => {
  await insert(db, request.query.note);
  throw new Error('failed after a write');
}));

// A statement that takes too long: nothing of the transaction stays.
app.get('/slow', inTenant(async (request, db) => {
  await insert(db, request.query.note);
  await db.query("SET LOCAL statement_timeout = '1s'");
  await db.query('SELECT pg_sleep(60)');
}));

// A mistake: a query on the pool is outside the request's transaction. The database says so.
app.get('/forgot', async (request, response) => {
  const { rows } = await pool.query('SELECT id, tenant_id, note, created_by FROM invoice');
  response.json(rows);
});

// Class 22 of SQLSTATE is bad input. The message is shown for the sake of the example: keep it in the log.
app.use((error, request, response, next) => {
  if (response.headersSent) return next(error);
  response.status(/^22/.test(error.code) ? 400 : 500).json({ error: error.message });
});

app.listen(process.env.PORT, '127.0.0.1');
