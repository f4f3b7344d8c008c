"""Which private parts of docker-py do we lean on?

The SDK has no public way to post a body and keep the connection (exec and attach with both directions), to read a log
stream whose cut is an error, or to see a ping's headers. All uses of its private methods are here, for version 7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ops.adapters.docker.client import Client

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


def post_and_keep(
    sdk: Client, path: str, body: Mapping[str, object] | None, query: Mapping[str, str] | None = None
) -> Any:
    """POST and hand out the response whose connection is switched to a two-way stream.

    Without a `body` none is sent, not even an empty one: what an attach sends arrives as the program's input.
    Raises what the SDK raises: call it inside `translated`.
    """
    headers, data = dict(UPGRADE), None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(dict(body))
    response = sdk._post(sdk._url(path), data=data, params=dict(query or {}), headers=headers, stream=True)  # noqa: SLF001
    sdk._raise_for_status(response)  # noqa: SLF001
    return response


def get_stream(sdk: Client, path: str, query: Mapping[str, str]) -> Any:
    """GET and hand out the response with its body unread. Raises what the SDK raises."""
    response = sdk._get(sdk._url(path), params=dict(query), stream=True)  # noqa: SLF001
    sdk._raise_for_status(response)  # noqa: SLF001
    return response


def api_version_of(sdk: Client) -> str:
    """The engine's newest API version, as its answer to a ping says; empty where it does not say.

    The SDK's own `ping` drops the headers. Raises what the SDK raises.
    """
    response = sdk._get(f"{sdk.base_url}/_ping")  # noqa: SLF001
    sdk._raise_for_status(response)  # noqa: SLF001
    return str(response.headers.get("Api-Version", ""))


def buffered_reader(response: Any) -> Any:
    """The buffered reader over the response's socket, which has read the headers and perhaps more."""
    return response.raw._fp.fp  # noqa: SLF001


def body_reader(response: Any) -> Any:
    """http.client's response: `read1` gives what has arrived of the body and raises where a chunk is cut."""
    return response.raw._fp  # noqa: SLF001


def socket_of(reader: Any) -> Any:
    """The socket beneath a buffered reader."""
    return reader.raw._sock  # noqa: SLF001


def post_stream(sdk: Client, path: str, query: Mapping[str, str]) -> Any:
    """POST without a body and hand out the response with its body unread. Raises what the SDK raises."""
    response = sdk._post(sdk._url(path), params=dict(query), stream=True)  # noqa: SLF001
    sdk._raise_for_status(response)  # noqa: SLF001
    return response


def hang_up(response: Any) -> None:
    """End a stream from another thread: whoever reads it sees its end."""
    socket_of(body_reader(response).fp).shutdown(2)
