"""``POST /v1/feedback``: what a client thought of an answer, tied to it by the signed request id."""

from collections.abc import Callable

from serin.core.errors import InputError
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.evidence import EvidenceLog
from serin.serve.gateway.http import read_json_object, send_error, send_json
from serin.serve.gateway.request_id import ForgedIdError, verify
from serin.serve.gateway.settings import GatewaySettings


class Feedback:
    """Remembers nothing: whatever replica signed the id, this one can read it."""

    def __init__(self, settings: GatewaySettings, evidence: EvidenceLog, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.evidence = evidence
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - a handler's shape
        value = await read_json_object(receive, send)
        if value is None:
            return
        score, request_id = value.get("score"), value.get("request_id")
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            await send_error(send, 400, f"score {score!r}: must be a number from 0 to 1", "invalid_request_error")
            return
        try:
            identity = verify(str(request_id), self.settings.signing_key)
        except ForgedIdError as error:
            await send_error(send, 403, str(error), "forbidden")
        except InputError as error:
            await send_error(send, 400, str(error), "invalid_request_error")
        else:
            self.evidence.feedback(identity, self.clock(), float(score))
            await send_json(send, 200, {"status": "recorded", "request": identity.nonce})
