"""``POST /v1/feedback``: what a client thought of an answer, tied to it by the signed request id."""

from collections.abc import Callable, Sequence

from serin.core.errors import InputError
from serin.serve.asgi import Receive, Scope, Send
from serin.serve.gateway.http import read_json_object, send_error, send_json
from serin.serve.gateway.rating import Rating, RatingObserver, comment_of, request_id_of, score_of
from serin.serve.gateway.refusals import Refused
from serin.serve.gateway.request_id import ForgedIdError, verify
from serin.serve.gateway.settings import GatewaySettings

_DAY_S = 86_400.0


class Feedback:
    """Remembers nothing: whatever replica signed the id, this one can read it."""

    def __init__(
        self,
        settings: GatewaySettings,
        observers: Sequence[RatingObserver],
        refused: Refused,
        clock: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.observers = observers
        self.refused = refused
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        value = await read_json_object(scope, receive, send, self.settings.body)
        if value is None:
            return
        try:
            score, comment = score_of(value), comment_of(value)
            identity = verify(request_id_of(value), self.settings.signing_keys)
        except ForgedIdError as error:
            self.refused("forged_id")
            await send_error(send, 403, str(error), "forbidden")
        except InputError as error:
            await send_error(send, 400, str(error), "invalid_request_error")
        else:
            days = self.settings.access.feedback_days
            if self.clock() - identity.assigned_t > days * _DAY_S:
                message = f"request_id is older than {days:g} days: feedback is taken until then"
                await send_error(send, 403, message, "forbidden")
                return
            rating = Rating(identity, self.clock(), score, comment)
            for observer in self.observers:
                observer.rated(rating)
            await send_json(send, 200, {"status": "recorded", "request": identity.nonce})
