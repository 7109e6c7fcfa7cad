"""Signing in, as allauth asks for it: accounts are made by an admin, nobody signs herself up;
second factors are stored sealed; who a request comes from is read in one round trip."""

import base64

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.http import HttpRequest

from reviews import access
from reviews.models import Person


class PersonBackend(AuthenticationBackend):
    def get_user(self, user_id: int) -> Person | None:
        person = access.read_person(user_id)
        return person if person and self.user_can_authenticate(person) else None


class ClosedAccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


class SealingMFAAdapter(DefaultMFAAdapter):
    """A dump of the database alone must not sign anybody in: TOTP secrets and the seed of the
    recovery codes are encrypted with a key derived from SECRET_KEY. SECRET_KEY_FALLBACKS still
    open what older keys sealed."""

    def encrypt(self, text: str) -> str:
        return _box().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _box().decrypt(encrypted_text.encode()).decode()


def _box() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derived(key))) for key in keys])


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"trustconsole second factors").derive(key.encode())
