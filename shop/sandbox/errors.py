"""Stripe-shaped refusals ("Errors" and "Error codes" of the API reference)."""

from typing import Any

DOCS = "https://docs.stripe.com/error-codes/"


class ApiError(Exception):
    """An answer other than 200. `stored` says whether an idempotency key remembers it, `retry` what the header
    `Stripe-Should-Retry` says."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        stored: bool = False,
        extra: dict[str, Any] | None = None,
        retry: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.code = code
        self.param = param
        self.stored = stored
        self.extra = extra or {}
        self.retry = retry

    def body(self, request_log_url: str) -> dict[str, Any]:
        """The JSON that Stripe would send."""
        error: dict[str, Any] = dict(self.extra)
        if self.code is not None:
            error["code"] = self.code
            error["doc_url"] = DOCS + self.code.replace("_", "-")
        error["message"] = self.message
        if self.param is not None:
            error["param"] = self.param
        error["request_log_url"] = request_log_url
        error["type"] = self.kind
        return {"error": error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A parameter that was refused before anything was done."""
    return ApiError(400, message, param=param, code=code)


def refused(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A well-formed request that the state of things does not allow."""
    return ApiError(400, message, param=param, code=code, stored=True)


def missing(noun: str, object_id: str, param: str, status: int = 404) -> ApiError:
    """No such thing: 404 for what the call is about, 400 for what a parameter names by the way."""
    message = f"No such {noun}: '{object_id[:100]}'"
    return ApiError(status, message, param=param, code="resource_missing", stored=status == 404)


def exclusive(*names: str) -> ApiError:
    """Parameters that shut each other out."""
    return ApiError(
        400,
        f"You may only specify one of these parameters: {', '.join(names)}.",
        code="parameters_exclusive",
        param=names[0],
    )


def absent(param: str) -> ApiError:
    """A parameter that is required."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def key_in_use() -> ApiError:
    """Another request with the same idempotency key is still being worked on."""
    return ApiError(
        409,
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        "twice, and the other request is still going through). Please try again later.",
        kind="idempotency_error",
        code="idempotency_key_in_use",
    )


def locked() -> ApiError:
    """Another request holds the object ("Object lock timeouts" of “Rate limits”): to be asked again, unlike a limit."""
    return ApiError(
        429,
        "This object cannot be accessed right now because another API request or Stripe process is currently accessing "
        "it. If you see this error intermittently, retry the request. If you see this error frequently and are making "
        "multiple concurrent requests to a single object, make your requests serially or at a lower rate.",
        code="lock_timeout",
        retry=True,
    )
