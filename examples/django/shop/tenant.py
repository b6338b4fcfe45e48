"""Serves each request in a transaction of its tenant. An error in a view comes here as a response: then nothing is committed."""
from django.conf import settings
from django.db import connection, transaction


def in_tenant(get_response):
    def middleware(request):
        if request.path in settings.PATHS_WITHOUT_TENANT:
            return get_response(request)
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT rls_tenant.set_context(%s::text, NULL, %s::text)", request.identity)
            response = get_response(request)
            if response.status_code >= 400:
                transaction.set_rollback(True)
        return response
    return middleware
