"""What an S3 server or the way to it answers, as errors that say what to do.

    StorageError
    ├── AbsentError        the object is not there
    ├── ConflictError      a condition does not hold: somebody else was first (412)
    ├── BusyError          somebody else is writing at this moment (409)
    ├── NoBucketError      the bucket is not there
    ├── ForbiddenError     the credentials do not allow it (403)
    ├── NotOfferedError    the server does not know the request (501)
    ├── VanishedError      an upload in parts is gone: somebody finished or aborted it
    └── DamagedError       bytes were lost or changed on their way; worth another try

Credentials and signed headers are in no message: only a server's own code and words, and the address without user and
password.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from serin.core.errors import StorageError


class AbsentError(StorageError):
    """The object is not there."""


class ConflictError(StorageError):
    """A condition of a write does not hold."""


class BusyError(StorageError):
    """Somebody else writes the same object at this moment."""


class NoBucketError(StorageError):
    """The bucket is not there."""


class ForbiddenError(StorageError):
    """The credentials do not allow it."""


REFUSALS = (ForbiddenError, NoBucketError)
"""What waiting does not mend."""


class NotOfferedError(StorageError):
    """The server does not know such a request."""


class VanishedError(StorageError):
    """An upload in parts is not there any more."""


class DamagedError(StorageError):
    """Bytes were lost or changed on their way."""


@contextmanager
def explained(where: str, server: str) -> Iterator[None]:
    """Around requests about ``where`` to ``server``: botocore's errors become StorageErrors with what to do."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    try:
        yield
    except boto.ClientError as error:
        raise _refusal(where, server, error.response) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError) as error:
        raise StorageError(
            f"{where}: no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or run "
            "where a role gives them"
        ) from error
    except (boto.ProfileNotFound, boto.NoRegionError, boto.TokenRetrievalError, boto.SSOError) as error:
        raise StorageError(f"{where}: {error}; check AWS_PROFILE and AWS_DEFAULT_REGION, or sign in again") from error
    except (
        boto.ResponseStreamingError,
        boto.IncompleteReadError,
        boto.FlexibleChecksumError,
        ResponseParserError,
    ) as error:
        raise DamagedError(
            f"{where} arrived cut or damaged again and again ({type(error).__name__}): check the network to {server}, and run "
            "it again"
        ) from error
    except boto.SSLError as error:
        raise StorageError(
            f"{where}: no secure connection to {server}; check storage.endpoint_url and AWS_CA_BUNDLE"
        ) from error
    except (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.ProxyConnectionError) as error:
        raise StorageError(
            f"{where}: nobody answers at {server}; check storage.endpoint_url and the network"
        ) from error
    except boto.HTTPClientError as error:
        raise StorageError(
            f"{where}: {server} does not finish its answers ({type(error).__name__}); try again later, or raise "
            "storage.timeout_s"
        ) from error
    except boto.BotoCoreError as error:
        raise StorageError(f"{where}: {error}; check storage.url, storage.endpoint_url and the credentials") from error


def server_name(endpoint_url: str) -> str:
    """Scheme, host and port of an address, without what may be secret."""
    parts = urlsplit(endpoint_url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


_ABSENT = {"NoSuchKey", "404"}
_VANISHED = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder"}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}
_BAD_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"}


def _refusal(where: str, server: str, response: Any) -> StorageError:
    code = str(response.get("Error", {}).get("Code", "unknown"))
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _ABSENT:
        return AbsentError(f"{where} is not in storage: run the stage that writes it")
    if code == "NoSuchBucket":
        return NoBucketError(f"{where}: the bucket does not exist at {server}; create it, or edit storage.url")
    if code in _VANISHED:
        return VanishedError(f"{where}: its upload was ended by somebody else ({code}); run it again")
    if code in _DAMAGED:
        return DamagedError(
            f"{where} reached {server} damaged again and again ({code}): check the network, and run it again"
        )
    if status == 412:
        return ConflictError(f"{where} is not what it was: somebody else wrote it")
    if status == 409:
        return BusyError(f"{where}: somebody else is writing it ({code}); run it again")
    if code in _BAD_CREDENTIALS:
        return ForbiddenError(f"{where}: {server} does not accept the credentials ({code}); check AWS_* or the profile")
    if code in _ELSEWHERE or status == 301:
        return StorageError(f"{where}: the bucket lies in another region ({code}); set AWS_DEFAULT_REGION to it")
    if status == 403:
        return ForbiddenError(
            f"{where}: {server} does not allow it ({code}); check the credentials and the bucket's policy"
        )
    if status == 501:
        return NotOfferedError(f"{where}: {server} does not know such a request ({code})")
    if status >= 500 or code in ("SlowDown", "RequestTimeout"):
        return StorageError(f"{where}: {server} still answers {status} ({code}) after every retry; try again later")
    return StorageError(f"{where}: {server} refused it ({code}); check storage.url, the bucket and the credentials")
