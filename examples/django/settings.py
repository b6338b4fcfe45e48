"""Settings of the example. The database is told by PGHOST, PGPORT, PGDATABASE, PGUSER."""
import os

SECRET_KEY = "not used: there are no sessions"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
MIDDLEWARE = ["shop.authentication.authenticate", "shop.tenant.in_tenant"]
# Such as a health check: they are served without a transaction and without a tenant.
PATHS_WITHOUT_TENANT = ["/forgot"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["PGDATABASE"],
        "CONN_MAX_AGE": None,
        # Behind PgBouncer in transaction mode a cursor must not outlive its transaction.
        "DISABLE_SERVER_SIDE_CURSORS": True,
    }
}
# Not Django's mail_admins: its report evaluates the querysets of the stack, by queries, while other requests wait for the log.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"django": {"handlers": ["console"], "level": "ERROR"}},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
