"""``/v1/templates``: what can be asked for by name, and asking for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from infra.door_problems import ERRORS
from infra.errors import UnknownTemplateError
from infra.identity import new_id
from infra.template_catalog import Catalog
from infra.views import TaskView
from orchestrator.api.tasks import TheDoor, answer_submission
from schemas.failure import DocumentError
from schemas.legacy import parse_task
from schemas.template import Parameter, Scalar, Template

router = APIRouter(tags=["templates"], responses=ERRORS)


class TemplateView(BaseModel):
    """A template as a client needs it to ask for it."""

    name: str
    title: str
    sentence: str
    example: str
    destructive: bool
    parameters: dict[str, Parameter]


class TemplateList(BaseModel):
    """All templates by name."""

    templates: list[TemplateView]


def catalog_of(request: Request) -> Catalog:
    """The catalogue that the process was started with."""
    catalog: Catalog = request.app.state.catalog
    return catalog


TheCatalog = Annotated[Catalog, Depends(catalog_of)]


@router.get("/templates", summary="What can be asked for")
async def find(catalog: TheCatalog) -> TemplateList:
    """Every template with its parameters and one way to say it."""
    return TemplateList(templates=[_view(template) for template in catalog])


@router.post(
    "/templates/{name}",
    status_code=201,
    summary="Run a template",
    responses={200: {"model": TaskView, "description": "It was known already; nothing new was started"}},
)
async def run(
    name: str, response: Response, door: TheDoor, catalog: TheCatalog, values: dict[str, Scalar] | None = None
) -> TaskView:
    """Make a task document from the template and the values, and submit it."""
    try:
        template = catalog.get(name)
    except DocumentError as error:
        raise UnknownTemplateError(error.problems[0].message) from None
    task = parse_task(template.render(values or {}, new_id()))
    return answer_submission(response, await door.cluster.submit(task))


def _view(template: Template) -> TemplateView:
    return TemplateView.model_validate(template, from_attributes=True)
