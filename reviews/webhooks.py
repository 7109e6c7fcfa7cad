"""PURE. One signed POST to an address somebody has configured, as Standard Webhooks say
(standardwebhooks.com): webhook-id, webhook-timestamp, webhook-signature "v1,<base64>".

The name is resolved once, every address it has must be a public one (unless the operator says that
the receiver is inside), and the connection goes to the address that was checked. No redirects, no
cookies, no proxies; the answer's body is not read.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import socket
import ssl
from urllib.parse import urlsplit

from .fetching import is_public

SECONDS = 10
_PREFIX = "whsec_"


class NotSent(Exception):
    """`code` says why, in one word or an HTTP status."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def key_of(secret: str) -> bytes:
    """ "whsec_<base64>" → the key. ValueError for what is none, or too short to be one."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError("A secret is whsec_ and 24 to 64 bytes in base64.")
    return key


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature header: HMAC-SHA256 over "id.timestamp.body"."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(key_of(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def post(
    address: str,
    body: bytes,
    *,
    secret: str,
    message_id: str,
    timestamp: int,
    is_inside: bool = False,
) -> None:
    """Send JSON; NotSent unless the other side answers 2xx. `is_inside` allows private addresses
    and plain http."""
    parts = urlsplit(address)
    host = parts.hostname
    schemes = ("https", "http") if is_inside else ("https",)
    if parts.scheme not in schemes or not host or parts.username:
        raise NotSent("not_allowed")
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    connection = _Connection(host, port, _address(host, port, is_inside=is_inside), is_tls=is_tls)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "trustconsole",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secret, message_id=message_id, timestamp=timestamp, body=body),
    }
    try:
        connection.request("POST", target, body=body, headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotSent("no_answer") from error
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotSent(str(status))


def _address(host: str, port: int, *, is_inside: bool) -> str:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotSent("no_address") from error
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not (is_inside or all(is_public(one) for one in addresses)):
        raise NotSent("not_allowed")
    return addresses[0]


class _Connection(http.client.HTTPConnection):
    """To an address that was checked, with the certificate of the name."""

    def __init__(self, host: str, port: int, address: str, *, is_tls: bool) -> None:
        super().__init__(host, port, timeout=SECONDS)
        self._address = address
        self._tls = ssl.create_default_context() if is_tls else None

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), self.timeout)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host)
