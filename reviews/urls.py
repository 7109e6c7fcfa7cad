"""The pages of the human side."""

app_name = "reviews"
urlpatterns = []
