// Serves each request in a transaction of its tenant: the interceptor opens it, the handler asks Tenant for its connection, and
// what the handler gives is answered after COMMIT.
import { CallHandler, ExecutionContext, Injectable, NestInterceptor } from '@nestjs/common';
import { AsyncLocalStorage } from 'node:async_hooks';
import { Pool, PoolClient } from 'pg';
import { defer, firstValueFrom, Observable } from 'rxjs';

@Injectable()
export class Tenant {
  readonly pool = new Pool({ max: 20 });
  private readonly transactions = new AsyncLocalStorage<PoolClient>();

  get db(): PoolClient {
    const client = this.transactions.getStore();
    if (!client) throw new Error('not in the transaction of a tenant');
    return client;
  }

  async run<T>({ tenant, user }: { tenant: string; user: string }, work: () => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      await client.query('SELECT rls_tenant.set_context($1::text, NULL, $2::text)', [tenant, user]);
      const result = await this.transactions.run(client, work);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((lost) => (broken = lost));
      throw error;
    } finally {
      client.release(broken);
    }
  }
}

@Injectable()
export class TenantInterceptor implements NestInterceptor {
  constructor(private readonly tenant: Tenant) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { identity } = context.switchToHttp().getRequest();
    return defer(() => this.tenant.run(identity, () => firstValueFrom(next.handle())));
  }
}
