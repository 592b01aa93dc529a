"""The one kind of data source that the fake can query: Prometheus, with basic authentication."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_TIMEOUT = 10.0


class QueryError(Exception):
    """The data source did not answer, or not with what was asked."""


def fetch(
    source: dict[str, Any],
    secrets: dict[str, str],
    path: str,
    query: str = "",
    body: bytes | None = None,
) -> tuple[int, str, bytes]:
    """Send one request to a data source.

    Args:
        source: the data source, with ``url``, ``basicAuth``, ``basicAuthUser`` and ``jsonData``.
        secrets: its secrets; ``basicAuthPassword`` is used.
        path: below the data source's URL, with a leading slash.
        query: the query string, encoded.
        body: an encoded form to POST; None for GET.

    Returns:
        Status, content type and body, of an error answer too.

    Raises:
        QueryError: there was no answer.
    """
    url = source["url"].rstrip("/") + path + (f"?{query}" if query else "")
    if not url.startswith(("http://", "https://")):
        raise QueryError(f'unsupported protocol scheme in "{url}"')
    request = urllib.request.Request(url, data=body)  # noqa: S310 - the scheme is checked above
    if source["basicAuth"]:
        pair = f"{source['basicAuthUser']}:{secrets.get('basicAuthPassword', '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
    # Data sources are local: a proxy for the way out must not get these requests.
    context = ssl.create_default_context()
    if source["jsonData"].get("tlsSkipVerify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=_TIMEOUT) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Content-Type", ""), error.read()
    except (OSError, ValueError) as error:
        raise QueryError(f'{request.get_method()} "{url}": {error}') from error


def api(
    source: dict[str, Any], secrets: dict[str, str], path: str, values: dict[str, str]
) -> dict[str, Any]:
    """Call Prometheus's API and return its ``data``.

    Raises:
        QueryError: no answer, an error status, or no Prometheus answer.
    """
    status, _, body = fetch(source, secrets, path, urllib.parse.urlencode(values))
    if status == 401:
        raise QueryError(
            "401 Unauthorized - There was an error returned querying the Prometheus API."
        )
    try:
        answer = json.loads(body)
        if answer["status"] != "success":
            raise QueryError(f"{answer.get('errorType')}: {answer.get('error')}")
        data: dict[str, Any] = answer["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise QueryError(f"{status} - no answer of a Prometheus at {source['url']}") from error
    return data


def frames(ref_id: str, data: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn a Prometheus result into data frames; times in milliseconds."""
    series = data.get("result") or []
    if data.get("resultType") == "scalar":
        series = [{"metric": {}, "value": data["result"]}]
    result = []
    for entry in series:
        points = entry.get("values") or [entry["value"]]
        labels = dict(entry.get("metric") or {})
        result.append(
            {
                "schema": {
                    "refId": ref_id,
                    "fields": [
                        {"name": "Time", "type": "time"},
                        {
                            "name": labels.get("__name__", "Value"),
                            "type": "number",
                            "labels": labels,
                        },
                    ],
                },
                "data": {
                    "values": [
                        [int(float(time) * 1000) for time, _ in points],
                        [float(value) for _, value in points],
                    ]
                },
            }
        )
    return result
