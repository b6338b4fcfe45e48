import { Body, Controller, Get, Post, Query, UseGuards, UseInterceptors } from '@nestjs/common';
import { IdentityGuard } from './identity.guard';
import { Tenant, TenantInterceptor } from './tenant.interceptor';

const COLUMNS = 'id, tenant_id, note, created_by';

@Controller()
@UseGuards(IdentityGuard)
export class InvoicesController {
  constructor(private readonly tenant: Tenant) {}

  private async insert(note: string) {
    const { rows } = await this.tenant.db.query(`INSERT INTO invoice (note) VALUES ($1) RETURNING ${COLUMNS}`, [note]);
    return rows[0];
  }

  @Get('invoices')
  @UseInterceptors(TenantInterceptor)
  async invoices() {
    const { rows } = await this.tenant.db.query(`SELECT ${COLUMNS} FROM invoice ORDER BY id`);
    return rows;
  }

  @Post('invoices')
  @UseInterceptors(TenantInterceptor)
  create(@Body('note') note: string) {
    return this.insert(note);
  }

  // An error after a write: nothing of it stays.
  @Get('fail')
  @UseInterceptors(TenantInterceptor)
  async fail(@Query('note') note: string) {
    await this.insert(note);
    throw new Error('failed after a write');
  }

  // A statement that takes too long: nothing of the transaction stays.
  @Get('slow')
  @UseInterceptors(TenantInterceptor)
  async slow(@Query('note') note: string) {
    await this.insert(note);
    await this.tenant.db.query("SET LOCAL statement_timeout = '1s'");
    await this.tenant.db.query('SELECT pg_sleep(60)');
  }

  // A mistake: without the interceptor, a query on the pool has no context. The database says so.
  @Get('forgot')
  async forgot() {
    const { rows } = await this.tenant.pool.query(`SELECT ${COLUMNS} FROM invoice`);
    return rows;
  }
}
