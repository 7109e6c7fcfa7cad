"""PURE. One file from an https address, for a worker: never for a browser or the web process.

The name is resolved once, every address it has must be a public one, and the connection goes to
the address that was checked. No redirects, no cookies, no proxies, no more bytes or seconds than
given.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

_CHUNK = 64 * 1024
_STEP_SECONDS = 10  # for one answer of the other side


class NotFetched(Exception):
    """`code` says why; `is_final`: asking again would change nothing."""

    def __init__(self, code: str, *, is_final: bool) -> None:
        super().__init__(code)
        self.code = code
        self.is_final = is_final


def fetch(address: str, to: Path, *, most_bytes: int, seconds: float) -> None:
    """Write what lies at `address` into the file `to`."""
    parts = urlsplit(address)
    host, port = parts.hostname, parts.port or 443
    if parts.scheme != "https" or not host or parts.username or port != 443:
        raise NotFetched("not_allowed", is_final=True)
    stop = time.monotonic() + seconds
    connection = _Connection(host, _public_address(host))
    # What is in the address already encoded stays as it is.
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    try:
        connection.request("GET", target, headers={"Accept": "image/*, video/*, audio/*"})
        response = connection.getresponse()
        if response.status != 200:
            # 404 and the like will stay; a server in trouble may recover.
            raise NotFetched("not_there", is_final=response.status < 500)
        length = response.getheader("Content-Length", "")
        if length.isdecimal() and int(length) > most_bytes:
            raise NotFetched("too_large", is_final=True)
        taken = 0
        with to.open("wb") as file:
            while chunk := response.read(_CHUNK):
                taken += len(chunk)
                if taken > most_bytes:
                    raise NotFetched("too_large", is_final=True)
                if time.monotonic() > stop:
                    raise NotFetched("no_answer", is_final=False)
                file.write(chunk)
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched("no_answer", is_final=False) from error
    finally:
        connection.close()


def _public_address(host: str) -> str:
    """The address to connect to. A name with a single private address is refused whole."""
    try:
        found = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotFetched("no_answer", is_final=False) from error
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not all(is_public(one) for one in addresses):
        raise NotFetched("not_allowed", is_final=True)
    return addresses[0]


def is_public(address: str) -> bool:
    """Not of this host, this network, or one that only some can reach; nor one inside the other."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        # 64:ff9b::/96 leads through a gateway to the address in its last 32 bits.
        if ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not inner.is_global:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class _Connection(http.client.HTTPSConnection):
    """To an address that was checked, with the certificate of the name."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(host, 443, timeout=_STEP_SECONDS, context=ssl.create_default_context())
        self._address = address

    def connect(self) -> None:
        raw = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._context.wrap_socket(raw, server_hostname=self.host)
