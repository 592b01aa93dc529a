"""/api/openapi.json, made from the resources and their classes, and /api/docs, made from that."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from webapp import auth
from webapp.api.resource import Resource
from webapp.api.resources import RESOURCES
from webapp.listing import MAX_PAGE, MAX_PER_PAGE, MAX_SEARCH, PER_PAGE
from webapp.schemas import Error

blueprint = Blueprint("openapi", __name__, url_prefix="/api")

Json = dict[str, Any]

LARGEST_ID = 10**18 - 1
ERRORS = {
    400: "The body is no JSON object.",
    401: "Nobody is signed in, or name and password are wrong.",
    403: "A session changes something without its token (X-CSRFToken).",
    404: "There is none with this id.",
    405: "The address does not know this method.",
    409: "Another one has this username or e-mail address, or it is the account in use.",
    413: "The body is larger than 64 KiB.",
    415: "The content type is not application/json.",
    422: "Fields are missing, unknown or do not fit; `errors` says which, and why.",
    429: "Too many wrong passwords; Retry-After says how many seconds to wait.",
    503: "The database is unavailable.",
}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


def _errors(*statuses: int) -> Json:
    return {str(s): {"$ref": f"#/components/responses/{s}"} for s in sorted({*statuses, 503})}


def _security(*, free: bool) -> Json:
    return {"security": [] if free else [{"basic": []}, {"session": []}]}


def _list(resource: Resource) -> Json:
    columns = resource.listing.sortable
    parameters = [
        ("page", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1}, "Page."),
        (
            "per_page",
            {"type": "integer", "minimum": 1, "maximum": MAX_PER_PAGE, "default": PER_PAGE},
            "Rows a page.",
        ),
        (
            "q",
            {"type": "string", "maxLength": MAX_SEARCH},
            f"Text to look for in {', '.join(resource.listing.searched)}.",
        ),
        (
            "sort",
            {"enum": [*columns, *(f"-{column}" for column in columns)], "default": "id"},
            "Column that sorts, with - before it for descending.",
        ),
    ]
    numbers = ("total", "page", "per_page", "pages")
    properties: Json = {name: {"type": "integer", "minimum": 0} for name in numbers}
    properties["items"] = {"type": "array", "items": _reference(resource.shown.__name__)}
    page = {"type": "object", "required": ["items", *numbers], "properties": properties}
    return {
        "summary": f"List the {resource.name}",
        "parameters": [
            {"name": name, "in": "query", "schema": schema, "description": text}
            for name, schema, text in parameters
        ],
        "responses": {
            "200": {"description": "A page of the list.", "content": _content(page)},
            **_errors(422, *_refusals(resource)),
        },
        **_security(free=resource.reading_is_free),
    }


def _refusals(resource: Resource) -> tuple[int, ...]:
    return () if resource.reading_is_free else (401, 429)


def _operation(
    summary: str, errors: Json, answer: Json, body: str = "", *, free: bool = False
) -> Json:
    operation: Json = {"summary": summary, "responses": {**answer, **errors}}
    if body:
        operation["requestBody"] = {"required": True, "content": _content(_reference(body))}
    return {**operation, **_security(free=free)}


def _paths(resource: Resource) -> Json:
    noun = resource.listing.model.noun
    change = (401, 403, 429)
    write = (*change, 400, 413, 415, 422)
    # Only users have columns that two may not share.
    taken = (409,) if noun == "user" else ()
    one = _content(_reference(resource.shown.__name__))
    found = {"200": {"description": f"The {noun}.", "content": one}}
    made = {
        "201": {
            "description": f"The new {noun}.",
            "content": one,
            "headers": {"Location": {"schema": {"type": "string"}, "description": "Its address."}},
        }
    }
    gone = {"204": {"description": f"The {noun} is deleted."}}
    read_errors = _errors(404, *_refusals(resource))
    replaced = _errors(404, *write, *taken)
    operations = {
        "": {
            "get": _list(resource),
            "post": _operation(
                f"Make a {noun}", _errors(*write, *taken), made, resource.new.__name__
            ),
        },
        "/{id}": {
            "get": _operation(f"Read a {noun}", read_errors, found, free=resource.reading_is_free),
            "put": _operation(f"Replace a {noun}", replaced, found, resource.whole.__name__),
            "patch": _operation(f"Change a {noun}", replaced, found, resource.part.__name__),
            "delete": _operation(f"Delete a {noun}", _errors(404, *change, *taken), gone),
        },
    }
    for suffix, methods in operations.items():
        for method, operation in methods.items():
            operation["operationId"] = f"{method}_{resource.name if not suffix else noun}"
            operation["tags"] = [resource.name]
    number = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
    identity = {"name": "id", "in": "path", "required": True, "schema": number}
    return {
        f"/api/{resource.name}": operations[""],
        f"/api/{resource.name}/{{id}}": {"parameters": [identity], **operations["/{id}"]},
    }


@cache
def document(release: str) -> Json:
    """Return the OpenAPI 3.1 document.

    Args:
        release: the release that serves; the document's version.
    """
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Error, "serialization")]
    for resource in RESOURCES:
        models.append((resource.shown, "serialization"))
        models += [(body, "validation") for body in (resource.new, resource.whole, resource.part)]
    _, schemas = models_json_schema(
        models,
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Web application",
            "version": release,
            "description": "Users and products. Everybody reads products; users, and every change,"
            " need HTTP Basic or a session of the pages with the account of a user.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            path: operations
            for resource in RESOURCES
            for path, operations in _paths(resource).items()
        },
        "components": {
            "schemas": schemas["$defs"],
            "responses": {
                str(status): {"description": text, "content": _content(_reference("Error"))}
                for status, text in ERRORS.items()
            },
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-session",
                    "description": "The cookie of /login; over plain HTTP its name is session."
                    " A change needs the header X-CSRFToken"
                    " too, which every page has in its <meta name=csrf-token>.",
                },
            },
        },
    }


def _release() -> str:
    release: str = current_app.extensions["settings"].release
    return release


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """Describe the API to programs."""
    return jsonify(document(_release()))


@blueprint.get("/docs")
def docs() -> str:
    """Describe the API to people."""
    described = document(_release())
    # The page's head shows who is signed in.
    auth.current_user()
    return render_template(
        "docs.html", document=described, schemas=described["components"]["schemas"]
    )
