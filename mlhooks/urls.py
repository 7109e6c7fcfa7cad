"""The pages of the model side."""

app_name = "mlhooks"
urlpatterns = []
