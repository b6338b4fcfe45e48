// Invoices of many tenants, with NestJS and node-postgres. The database is told by PGHOST, PGPORT, PGDATABASE, PGUSER.
import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ErrorsFilter } from './errors.filter';
import { InvoicesController } from './invoices.controller';
import { Tenant } from './tenant.interceptor';

@Module({ controllers: [InvoicesController], providers: [Tenant] })
class AppModule {}

async function main() {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  app.useGlobalFilters(new ErrorsFilter());
  await app.listen(process.env.PORT!, '127.0.0.1');
}

main();
