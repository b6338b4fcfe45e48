from django.db import models


class Invoice(models.Model):
    tenant_id = models.UUIDField()
    note = models.TextField()
    created_by = models.TextField()

    class Meta:
        db_table = "invoice"
        managed = False  # made by examples/schema.sql

    def as_dict(self):
        return {"id": self.id, "tenant_id": self.tenant_id, "note": self.note, "created_by": self.created_by}
