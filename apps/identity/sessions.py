"""Django's session store on our table: keys stored as hashes, each session with its person and browser."""

import hashlib
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone

_SEEN_EVERY = timedelta(minutes=1)


def stored_key(key: str) -> str:
    """What stands in the table for a cookie's value."""
    return hashlib.sha256(key.encode()).hexdigest()


class SessionStore(db.SessionStore):
    """Sessions of the schema in force: the same cookie names another session, or none, in another schema."""

    # Set by CurrentMember, which knows them.
    address = ""
    agent = ""
    _seen_at: datetime | None = None
    # Our Session, which the stubs know only as Django's.
    model: Any

    # Django's asynchronous twins would look the plain key up; these run the methods below instead.
    aexists = SessionBase.aexists
    acreate = SessionBase.acreate
    asave = SessionBase.asave
    aload = SessionBase.aload
    adelete = SessionBase.adelete

    @classmethod
    def get_model_class(cls) -> Any:
        from apps.identity.models import Session

        return Session

    def exists(self, session_key: str) -> bool:
        return bool(super().exists(stored_key(session_key)))

    def _get_session_from_db(self) -> Any:
        found = self.model.objects.filter(
            session_key=stored_key(self.session_key or ""), expire_date__gt=timezone.now()
        ).first()
        if found is None:
            # Never adopt a key that a browser brought along: that would be session fixation.
            self._session_key = None
            return None
        self._seen_at = found.last_seen_at
        return found

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        user_id = data.get(SESSION_KEY)
        key = stored_key(str(self.session_key))
        row = self.model.objects.filter(session_key=key).first() or self.model(session_key=key)
        row.session_data = self.encode(data)
        row.expire_date = self.get_expiry_date()
        row.user_id = UUID(user_id) if user_id else None
        row.address = self.address or row.address
        row.agent = self.agent[:200] or row.agent
        row.last_seen_at = timezone.now()
        return row

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key:
            self.model.objects.filter(session_key=stored_key(key)).delete()

    def note_seen(self, at: datetime) -> None:
        """Remember that the session is in use; written at most once a minute."""
        if self._seen_at is not None and at - self._seen_at >= _SEEN_EVERY:
            self._seen_at = at
            self.model.objects.filter(session_key=stored_key(self.session_key or "")).update(last_seen_at=at)
