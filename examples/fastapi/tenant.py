"""The database, and transactions of a request's tenant. The end of the block commits: answer after it."""
from contextlib import asynccontextmanager
from uuid import uuid4

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import sessionmaker


class Connection(asyncpg.Connection):
    """Behind PgBouncer a server connection knows other clients' statements: no two may have the same name."""
    def _get_unique_id(self, prefix):
        return f"__asyncpg_{prefix}_{uuid4()}__"


engine = create_async_engine("postgresql+asyncpg://", pool_size=20, max_overflow=0, connect_args={
    "connection_class": Connection, "statement_cache_size": 0, "prepared_statement_cache_size": 0})
Session = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


@asynccontextmanager
async def in_tenant(identity):
    async with Session.begin() as session:
        await session.execute(text("SELECT rls_tenant.set_context(CAST(:tenant AS text), NULL, CAST(:user AS text))"),
                              {"tenant": identity.tenant, "user": identity.user})
        yield session
