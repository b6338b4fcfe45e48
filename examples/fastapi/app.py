"""Invoices of many tenants, with FastAPI, SQLAlchemy and asyncpg. The database is told by PGHOST, PGPORT, PGDATABASE, PGUSER."""
from collections import namedtuple

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy import BigInteger, Column, FetchedValue, Text, select, text
from sqlalchemy.dialects.postgresql import UUID
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import declarative_base

from tenant import Session, in_tenant

app = FastAPI()
Identity = namedtuple("Identity", "tenant user")


class Invoice(declarative_base()):
    __tablename__ = "invoice"
    __mapper_args__ = {"eager_defaults": True}
    id = Column(BigInteger, FetchedValue(), primary_key=True)
    tenant_id = Column(UUID, FetchedValue())
    note = Column(Text)
    created_by = Column(Text, FetchedValue())

    def as_dict(self):
        return {column.name: getattr(self, column.name) for column in self.__table__.columns}


class NewInvoice(BaseModel):
    note: str


def authenticated(x_tenant: str = Header(None), x_user: str = Header(None)):
    """STAND-IN for authentication, which must find out by itself who asks: never trust such headers from outside."""
    if not x_tenant or not x_user:
        raise HTTPException(401, "who are you?")
    return Identity(x_tenant, x_user)


async def insert(session, note):
    invoice = Invoice(note=note)
    session.add(invoice)
    await session.flush()
    return invoice


@app.get("/invoices")
async def invoices(identity: Identity = Depends(authenticated)):
    async with in_tenant(identity) as session:
        found = (await session.scalars(select(Invoice).order_by(Invoice.id))).all()
    return [invoice.as_dict() for invoice in found]


@app.post("/invoices", status_code=201)
async def create(new: NewInvoice, identity: Identity = Depends(authenticated)):
    async with in_tenant(identity) as session:
        invoice = await insert(session, new.note)
    return invoice.as_dict()


@app.get("/fail")
async def fail(note: str, identity: Identity = Depends(authenticated)):
    """An error after a write: nothing of it stays."""
    async with in_tenant(identity) as session:
        await insert(session, note)
        raise HTTPException(500, "failed after a write")


@app.get("/slow")
async def slow(note: str, identity: Identity = Depends(authenticated)):
    """A statement that takes too long: nothing of the transaction stays."""
    async with in_tenant(identity) as session:
        await insert(session, note)
        await session.execute(text("SET LOCAL statement_timeout = '1s'"))
        await session.execute(text("SELECT pg_sleep(60)"))


@app.get("/forgot")
async def forgot(identity: Identity = Depends(authenticated)):
    """A mistake: a session of one's own is outside the request's transaction. The database says so."""
    async with Session() as session:
        return [invoice.as_dict() for invoice in await session.scalars(select(Invoice))]


@app.exception_handler(DBAPIError)
async def database_error(request, error):
    """Class 22 of SQLSTATE is bad input. The message is shown for the sake of the example: keep it in the log."""
    status = 400 if error.orig.pgcode.startswith("22") else 500
    return JSONResponse({"error": str(error.orig)}, status)


@app.exception_handler(HTTPException)
async def http_error(request, error):
    return JSONResponse({"error": error.detail}, error.status_code)
