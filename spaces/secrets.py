"""Passwords in addresses: found, and kept out of whatever is told."""

import re

# Up to the last @, for a password may hold slashes, and others besides; but not a port and what comes after it.
PASSWORD_IN_URI = re.compile(r"(://[^/\s:@]*):(?!\d{1,5}[/?#])[^\s?]+@")
PASSWORD_IN_QUERY = re.compile(r"([?&](?:password|passwd|token|sslpassword)=)[^&\s'\"]+", re.IGNORECASE)


def without_password(text: str) -> str:
    """``text`` with the password of every URI in it starred out, wherever in the URI it stands.

    >>> without_password("no http://ann:se/cret@host:5000/x, nor postgresql://db/runs?password=x&sslmode=require")
    'no http://ann:***@host:5000/x, nor postgresql://db/runs?password=***&sslmode=require'
    """
    return PASSWORD_IN_QUERY.sub(r"\1***", PASSWORD_IN_URI.sub(r"\1:***@", text))


def has_password(text: str) -> bool:
    """Whether a URI in ``text`` has a password in it."""
    return without_password(text) != text and "***" not in text


def without_login(uri: str) -> str:
    """An address without user and password, whichever way they stand in it, for what is passed around.

    >>> without_login("postgresql://me:se/cret@db:5432/runs?password=x&sslmode=require")
    'postgresql://db:5432/runs?sslmode=require'
    """
    # Up to the last @, for a password may hold slashes, and others besides.
    address, _, query = re.sub(r"://[^?]*@", "://", uri).partition("?")
    kept = [part for part in query.split("&") if part and not re.match(r"(user|password|passwd|token)=", part, re.I)]
    return "?".join([address, *(["&".join(kept)] if kept else [])])
