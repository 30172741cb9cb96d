"""Every error of the HTTP door as one shape: ``application/problem+json`` (RFC 9457), with the document's problems.

A message for people never holds a traceback or a server path; those are in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import Match

from infra.errors import (
    ObjectMissingError,
    PermanentError,
    SisyphusError,
    StorageRefusedError,
    TransientError,
    UnknownTaskError,
    UnknownTemplateError,
)
from infra.log import get_logger
from schemas.failure import DocumentError, Problem, RefusalError

log = get_logger(__name__)


class ProblemDetails(BaseModel):
    """RFC 9457: what went wrong, for programs and for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    problems: list[Problem] = []


class ProblemResponse(JSONResponse):
    """A response of the problem type."""

    media_type = "application/problem+json"


#: For `responses=` of a route, so that the OpenAPI description names the error shape.
ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": ProblemDetails}, "5XX": {"model": ProblemDetails}}


def problem(
    status: int, detail: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """A problem response."""
    body = ProblemDetails(title=HTTPStatus(status).phrase, status=status, detail=detail, problems=list(problems))
    return ProblemResponse(body.model_dump(mode="json"), status_code=status, headers=dict(headers or {}))


def install_problems(app: FastAPI) -> None:
    """Answer every error that a route can raise with a problem document."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(DocumentError, _document)
    app.add_exception_handler(RefusalError, _refusal)
    app.add_exception_handler(SisyphusError, _ours)
    app.add_exception_handler(TimeoutError, _timeout)
    app.add_exception_handler(Exception, _defect)


def _http(request: Request, error: Exception) -> ProblemResponse:
    http = cast("HTTPException", error)
    detail, headers = str(http.detail), http.headers
    if detail == HTTPStatus(http.status_code).phrase:
        detail = f"there is nothing at {request.url.path}" if http.status_code == HTTPStatus.NOT_FOUND else ""
    if http.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_methods_at(request))
        detail, headers = f"{request.method} is not possible here; what is: {allowed}", {"Allow": allowed}
    return problem(http.status_code, detail, headers=headers)


def _methods_at(request: Request) -> list[str]:
    """Every method that the path of a request takes. Each has a route of its own, and a route knows only its own."""
    return [
        method
        for method in HTTPMethod
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def _validation(_request: Request, error: Exception) -> ProblemResponse:
    problems = [
        Problem(code=str(e["type"]), field=".".join(str(part) for part in e["loc"]), message=str(e["msg"]))
        for e in cast("RequestValidationError", error).errors()
    ]
    return problem(422, "the request has values that cannot be accepted", problems)


def _document(_request: Request, error: Exception) -> ProblemResponse:
    return problem(422, "the document cannot be accepted", cast("DocumentError", error).problems)


def _refusal(_request: Request, error: Exception) -> ProblemResponse:
    refused = cast("RefusalError", error)
    return problem(422, str(refused), [Problem(code=refused.code, field=refused.field, message=str(refused))])


def _ours(request: Request, error: Exception) -> ProblemResponse:
    match error:
        case UnknownTaskError() | UnknownTemplateError() | ObjectMissingError():
            return problem(404, str(error))
        case TransientError():
            log.warning("door_unavailable", path=request.url.path, error=str(error))
            return problem(503, str(error), headers={"Retry-After": "2"})
        case StorageRefusedError():
            log.error("door_refused", path=request.url.path, error=str(error))
            return problem(409, "this server has no access to where that is stored; its log says what to change")
        case PermanentError():
            log.error("door_refused", path=request.url.path, error=str(error))
            return problem(500, str(error))
        case _:
            return _defect(request, error)


def _timeout(request: Request, _error: Exception) -> ProblemResponse:
    log.warning("door_timeout", path=request.url.path)
    return problem(503, "a part of the system did not answer in time", headers={"Retry-After": "2"})


def _defect(request: Request, error: Exception) -> ProblemResponse:
    log.error("door_defect", path=request.url.path, error=repr(error), exc_info=error)
    return problem(500, "this is a defect of the server; its log has the details")
