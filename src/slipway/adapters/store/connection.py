"""The connection to an S3 endpoint: clients of botocore (boto3's core), and their errors as Python's own.

Requests are repeated with growing pauses after 500, 503, resets and timeouts (botocore's standard mode). A
conditional write that was repeated may meet its own first try: then `Exists.retried` is set, and whoever wrote
compares the content.

Nothing that a server answers to a write is relied on, for publishing reads everything back and hashes it. So a file
is not hashed again for its transport: its requests are signed without their body (`UNSIGNED-PAYLOAD`), which TLS
protects, and no checksum is computed unless AWS CRT is installed. Small objects, pointers and claims among them, are
signed whole.
"""

import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from slipway.errors import UserError

ATTEMPTS = 8
"""Tries of one request: where one in five fails, one in 400,000 is given up."""
CONFLICTS = 6
"""Times that a 409 is answered with another try."""
ABSENT = {"NoSuchKey", "NoSuchUpload", "404"}
EXISTS = {"PreconditionFailed", "412"}
_NO_TLS = ("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
CONFLICT = {"ConditionalRequestConflict", "OperationAborted", "409"}


class Exists(FileExistsError):
    """The condition of a write did not hold."""

    retried = False
    """Whether the request was sent more than once, so that its own first try may be what exists."""


class Conflict(UserError):
    """S3 asks to try again (409): someone else was writing there."""


@cache
def loader() -> Any:
    """What reads botocore's descriptions of services: once per process, for that takes longer than a request."""
    from botocore.loaders import create_loader

    return create_loader()


def _session() -> Any:
    """A session of botocore, on which boto3 stands; a new one, so that the credentials are those of now."""
    from botocore.session import Session

    session = Session()
    session.register_component("data_loader", loader())
    return session


def _refuse_untrusted(caught_exception: Exception | None = None, **_: Any) -> None:
    """Give up at once where TLS itself is refused; botocore would try again, for minutes.

    Raises:
        UserError: saying what to do.
    """
    from botocore.exceptions import SSLError

    if not isinstance(caught_exception, SSLError):
        return
    said = str(caught_exception)
    if "CERTIFICATE_VERIFY_FAILED" in said or "doesn't match" in said:  # the latter is urllib3's own
        raise UserError(
            f"{said}. The request was not sent. If the server is yours, name the PEM file of its authority in "
            "AWS_CA_BUNDLE; if it is not, somebody may stand in between"
        )
    if any(reason in said for reason in _NO_TLS):
        raise UserError(f"{said}. The request was not sent. Does the server speak https at all? See AWS_ENDPOINT_URL")


class Connection:
    """One endpoint, as the usual AWS variables name it; may be used by several threads."""

    def __init__(self, timeout: float, pool: int) -> None:
        """Set it up; nothing is sent yet.

        Args:
            timeout: seconds without a byte, either way, after which a request is tried again.
            pool: connections kept open.
        """
        self._timeout, self._pool = timeout, pool
        self._clients: dict[bool, Any] = {}
        self._session: Any = None
        self._lock = threading.Lock()

    def client(self, bulk: bool = False) -> Any:
        """The client for small objects, or (`bulk`) for the content of files."""
        with self._lock:
            if bulk not in self._clients:
                from botocore.config import Config

                self._session = self._session or _session()
                config = Config(
                    retries={"max_attempts": ATTEMPTS, "mode": "standard"},
                    connect_timeout=min(10.0, self._timeout),
                    read_timeout=self._timeout,
                    tcp_keepalive=True,
                    max_pool_connections=self._pool,
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    s3={"payload_signing_enabled": False} if bulk else None,
                )
                self._clients[bulk] = self._session.create_client("s3", config=config)
                self._clients[bulk].meta.events.register_first("needs-retry.s3", _refuse_untrusted)
            return self._clients[bulk]

    @property
    def endpoint(self) -> str:
        """URL of the endpoint."""
        return str(self.client().meta.endpoint_url)

    @staticmethod
    def is_transport(error: Exception) -> bool:
        """Whether it is the network's fault."""
        from botocore.exceptions import BotoCoreError
        from urllib3.exceptions import HTTPError

        return isinstance(error, BotoCoreError | HTTPError)

    def call(self, name: str, **arguments: Any) -> Any:
        """One request; absence, lost races and conflicts become Python's own errors.

        Requests whose body is a file are signed without it, see above.

        Raises:
            FileNotFoundError: there is no such object, or no such upload.
            Exists: the condition of a write did not hold.
            Conflict: S3 asks to try again (409).
            UserError: for all else, naming bucket and remedy.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError
        from urllib3.exceptions import HTTPError

        where = f"s3://{arguments.get('Bucket')}/{arguments.get('Key', arguments.get('Prefix', ''))}"
        client = self.client(bulk=hasattr(arguments.get("Body"), "read"))
        for attempt in range(ATTEMPTS):
            try:
                return getattr(client, name)(**arguments)
            except (ResponseParserError, HTTPError) as error:  # an answer cut off, which botocore does not try again
                fault: Exception = error
            except ClientError as error:
                raise self._translated(error, where, name, again=attempt > 0) from error
            except (BotoCoreError, OSError) as error:
                raise UserError(f"{where}: {name} failed: {error}; check credentials and AWS_ENDPOINT_URL") from error
            time.sleep(0.1 * 2**attempt)
        raise UserError(
            f"{where}: {name} was answered {ATTEMPTS} times, but never to the end ({fault}); is this an S3 endpoint?"
        )

    @staticmethod
    def _translated(error: Any, where: str, name: str, *, again: bool) -> Exception:
        code = error.response["Error"]["Code"]
        if code in ABSENT:
            return FileNotFoundError(where)
        if code in EXISTS:
            exists = Exists(where)
            exists.retried = again or error.response["ResponseMetadata"].get("RetryAttempts", 0) > 0
            return exists
        if code in CONFLICT:
            return Conflict(f"{where}: {name} met another writer, again and again; try again")
        return UserError(f"{where}: {name} failed: {error}; check bucket, credentials and AWS_ENDPOINT_URL")

    @staticmethod
    def again(request: Callable[[], Any]) -> Any:
        """Repeat a request that S3 answers with 409, as its documentation asks for; the last answer is the caller's."""
        for attempt in range(CONFLICTS):
            try:
                return request()
            except Conflict:
                time.sleep(0.1 * 2**attempt)
        return request()
