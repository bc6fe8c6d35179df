"""Which passwords people may choose: long enough, not a known one, not made of what everybody knows of the person.

Known passwords and their variants are those that zxcvbn finds with fewer than a million guesses: the most frequent ones of
leaks, names, dates, rows of keys, repeats. There are no rules about kinds of characters, as NIST SP 800-63B section 3.1.1.2
asks.
"""

from __future__ import annotations

import re
from typing import Final

from tether_rt.errors import BadRequest

MIN_CHARS: Final = 10
MAX_CHARS: Final = 1024
"""As a sign-in takes."""
_LEAST_SCORE: Final = 2
"""Of zxcvbn, from 0 to 4: 2 takes a million guesses or more."""
_LOOKED_AT_CHARS: Final = 72
"""The most that zxcvbn looks at, in 0.15 s."""
_OWN_WORD_CHARS: Final = 4
"""A word of the person's that is shorter may be a part of any password."""


def require_good(password: str, email: str, full_name: str, field: str = "password") -> None:
    """Return if a person may choose this password; raises `BadRequest`. Takes up to 0.2 s: call it in a thread."""
    from zxcvbn import zxcvbn  # 0.1 s and 3 MB that most processes never need

    def refuse(sentence: str) -> None:
        raise BadRequest(sentence, code="weak_password", field=field)

    if len(password) > MAX_CHARS:
        raise BadRequest(f"The password may have at most {MAX_CHARS} characters.", code="too_long", field=field)
    if len(password) < MIN_CHARS:
        refuse(f"The password must have at least {MIN_CHARS} characters.")
    own = own_words(email, full_name)
    folded = password.casefold()
    if any(word in folded for word in own if len(word) >= _OWN_WORD_CHARS):
        refuse("The password must not contain your name or your e-mail address.")
    looked_at = password[:_LOOKED_AT_CHARS]
    if zxcvbn(looked_at, user_inputs=[*own, "tether"])["score"] < _LEAST_SCORE:
        refuse("This password is one of those that are tried first: choose a longer one, such as four unrelated words.")


def own_words(email: str, full_name: str) -> list[str]:
    """Return the address, what is before its @, the name, and the parts of both, in lower case."""
    local = email.partition("@")[0]
    whole = [email, local, full_name, re.sub(r"\s+", "", full_name)]
    return [word.casefold() for word in (*whole, *re.split(r"[\W_]+", f"{local} {full_name}")) if word.strip()]
