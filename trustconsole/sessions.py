"""Django's sessions in the database, read by a prepared statement: every request reads one, and
as a queryset it cost more than claiming a job."""

from django.contrib.sessions.backends.db import SessionStore as DatabaseSessionStore

from reviews.statements import Statement

_READ = Statement(
    "session",
    """
SELECT session_data FROM django_session
WHERE session_key = %(key)s AND expire_date > clock_timestamp()
""",
)


class SessionStore(DatabaseSessionStore):
    def load(self) -> dict:
        row = _READ.row(key=self.session_key)
        if row is None:
            self._session_key = None
            return {}
        return self.decode(row[0])
