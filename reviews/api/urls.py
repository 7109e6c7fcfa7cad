"""API routes. Each view names its verb of access.py; without one it answers nobody."""

from django.urls import path
from drf_spectacular.views import SpectacularJSONAPIView
from rest_framework.permissions import IsAuthenticated

from .accounts import AccountView
from .decisions import DecisionsView
from .items import ItemsView, ItemView, ReportsView
from .kinds import KindsView
from .known import KnownHashesView, KnownListsView
from .media import MediaView, MediumView
from .queues import PoliciesView, QueuesView
from .routing import RoutingView
from .search import ItemSearchView
from .together import NotesView, NotificationsReadView, NotificationsView, QuestionsView

schema = SpectacularJSONAPIView.as_view(permission_classes=[IsAuthenticated])

urlpatterns = [
    path("items", ItemsView.as_view(), name="items"),
    path("items/<int:pk>", ItemView.as_view(), name="item"),
    path("accounts/<path:external_id>", AccountView.as_view(), name="account"),
    path("items/<int:pk>/notes", NotesView.as_view(), name="notes"),
    path("questions", QuestionsView.as_view(), name="questions"),
    path("notifications", NotificationsView.as_view(), name="notifications"),
    path("notifications/read", NotificationsReadView.as_view(), name="notifications-read"),
    path("items/search", ItemSearchView.as_view(), name="item-search"),
    path("reports", ReportsView.as_view(), name="reports"),
    path("media", MediaView.as_view(), name="media"),
    path("media/<int:pk>", MediumView.as_view(), name="medium"),
    path("known-lists", KnownListsView.as_view(), name="known-lists"),
    path("known-lists/<int:pk>/hashes", KnownHashesView.as_view(), name="known-hashes"),
    path("decisions", DecisionsView.as_view(), name="decisions"),
    path("queues", QueuesView.as_view(), name="queues"),
    path("kinds", KindsView.as_view(), name="kinds"),
    path("policies", PoliciesView.as_view(), name="policies"),
    path("routing", RoutingView.as_view(), name="routing"),
    path("schema", schema, name="schema"),
]
