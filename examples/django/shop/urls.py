from django.urls import path

from shop import views

urlpatterns = [
    path("invoices", views.invoices),
    path("fail", views.fail),
    path("slow", views.slow),
    path("forgot", views.forgot),
]
handler500 = views.error
