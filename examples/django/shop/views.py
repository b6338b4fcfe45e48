import json
import sys

from django.db import connection
from django.http import JsonResponse

from shop.models import Invoice


def insert(identity, note):
    return Invoice.objects.create(tenant_id=identity.tenant, created_by=identity.user, note=note)


def as_response():
    return JsonResponse([invoice.as_dict() for invoice in Invoice.objects.order_by("id")], safe=False)


def invoices(request):
    if request.method == "POST":
        invoice = insert(request.identity, json.loads(request.body)["note"])
        return JsonResponse(invoice.as_dict(), status=201)
    return as_response()


def fail(request):
    """An error after a write: nothing of it stays."""
    insert(request.identity, request.GET["note"])
    raise RuntimeError("failed after a write")


def slow(request):
    """A statement that takes too long: nothing of the transaction stays."""
    insert(request.identity, request.GET["note"])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '1s'")
        cursor.execute("SELECT pg_sleep(60)")


def forgot(request):
    """A mistake: this path is served without a tenant. The database says so."""
    return as_response()


def error(request):
    """Class 22 of SQLSTATE is bad input. The message is shown for the sake of the example: keep it in the log."""
    exception = sys.exc_info()[1]
    sqlstate = getattr(exception.__cause__, "pgcode", None) or ""
    return JsonResponse({"error": str(exception)}, status=400 if sqlstate.startswith("22") else 500)
