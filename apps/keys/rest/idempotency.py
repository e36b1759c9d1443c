"""A write that is repeated with its Idempotency-Key happens once and answers the same.

The effect, the record of it and its answer commit together, so a crash leaves all or nothing. While a request
is being worked on, its word is held by a transaction-scoped advisory lock rather than by a row: nothing has
to be cleaned up when the process dies. Only what succeeded is kept; a refused request changed nothing and may
be sent again as it is.

An answer may hold a secret that is shown once. It is kept encrypted under a key derived from the caller's own
API key, which is stored nowhere: who asked can have the answer repeated for a day, and nobody else can read
it.
"""

import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from apps.keys.models import IdempotentWrite
from apps.keys.rest.errors import IdempotencyKeyReused, InvalidIdempotencyKey, RequestInProgress
from apps.keys.types import Principal

HEADER = "Idempotency-Key"
_WORD = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_KEPT_HEADERS = ("Location",)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request under one word, inside the transaction of its effect."""

    principal: Principal
    word: str
    fingerprint: bytes
    answer_key: bytes

    @classmethod
    def of(
        cls, *, principal: Principal, secret: str, word: str, method: str, path: str, body: bytes
    ) -> "Attempt":
        """Recognise the request; InvalidIdempotencyKey where the header is not usable."""
        if _WORD.fullmatch(word) is None:
            raise InvalidIdempotencyKey
        digest = hashlib.sha256(f"{method}\n{path}\n".encode() + body).digest()
        answer_key = hmac.digest(secret.encode(), b"lockstep idempotent answer\n" + word.encode(), "sha256")
        return cls(principal, word, digest, answer_key)

    def earlier_answer(self) -> Response | None:
        """The answer that this request got before, or None; others with this word are turned away from then.

        RequestInProgress while another holds the word, IdempotencyKeyReused where it came with another
        request.
        """
        name = f"idempotent:{self.principal.key_id}:{self.word}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 17))", (name,))
            if not cursor.fetchone()[0]:
                raise RequestInProgress
        kept = IdempotentWrite.objects.filter(key_id=self.principal.key_id, word=self.word).first()
        if kept is None:
            return None
        if not hmac.compare_digest(bytes(kept.fingerprint), self.fingerprint):
            raise IdempotencyKeyReused
        return self._opened(kept)

    def keep(self, response: Response) -> None:
        """Keep the answer of a write that succeeded."""
        headers = {name: response[name] for name in _KEPT_HEADERS if name in response}
        plain = orjson.dumps(
            {"data": orjson.Fragment(JSONRenderer().render(response.data) or b"null"), "headers": headers}
        )
        nonce = os.urandom(12)
        IdempotentWrite.objects.create(
            key_id=self.principal.key_id,
            word=self.word,
            fingerprint=self.fingerprint,
            status=response.status_code,
            answer=nonce + AESGCM(self.answer_key).encrypt(nonce, plain, self.fingerprint),
        )

    def _opened(self, kept: IdempotentWrite) -> Response:
        sealed = bytes(kept.answer)
        try:
            plain = AESGCM(self.answer_key).decrypt(sealed[:12], sealed[12:], self.fingerprint)
        except InvalidTag:
            # Somebody wrote to the table: no answer is better than theirs.
            raise IdempotencyKeyReused from None
        answer: dict[str, Any] = orjson.loads(plain)
        return Response(
            answer["data"], status=kept.status, headers=answer["headers"] | {"Idempotency-Replayed": "true"}
        )
