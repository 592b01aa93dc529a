"""Which upstreams the lab uses: the real ones, or the mirror's stand-ins."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

PROBE = "https://registry-1.docker.io/v2/"
PROBE_TIMEOUT = 3.0  # seconds
CHOICES = ("auto", "internet", "mirror")


def choose() -> str:
    """Returns "internet" or "mirror": TESTBED_UPSTREAM, or what can be reached where it says auto.

    Raises:
        ValueError: TESTBED_UPSTREAM is none of the choices.
    """
    wanted = os.environ.get("TESTBED_UPSTREAM", "auto")
    if wanted not in CHOICES:
        raise ValueError(f"TESTBED_UPSTREAM={wanted!r}: use one of {', '.join(CHOICES)}")
    if wanted != "auto":
        return wanted
    try:
        with urllib.request.urlopen(PROBE, timeout=PROBE_TIMEOUT):
            return "internet"
    except urllib.error.HTTPError as error:
        # Without a token the registry answers 401: it is there.
        return "internet" if error.code == 401 else "mirror"
    except OSError:
        return "mirror"
