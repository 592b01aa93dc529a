"""/api/openapi.json, made from the resources and their classes, and /api/docs, made from that."""

from __future__ import annotations

from functools import cache
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from webapp import auth, idempotency
from webapp.api.resource import Collection, Resource
from webapp.api.resources import COLLECTIONS
from webapp.listing import MAX_PAGE, MAX_PER_PAGE, MAX_SEARCH, PER_PAGE
from webapp.schemas import Problem

blueprint = Blueprint("openapi", __name__, url_prefix="/api")

Json = dict[str, Any]

LARGEST_ID = 10**18 - 1
ERRORS = {
    400: "The body is no JSON object.",
    401: "Nobody is signed in, or name and password are wrong, or the token is unknown.",
    403: "The account's role does not allow this, or a session changes something without its token"
    " (X-CSRFToken).",
    404: "There is none with this id.",
    405: "The address does not know this method.",
    409: "Another one has this username or e-mail address; or it is the account in use, or the last"
    " administrator.",
    412: "It was changed in the meantime: its version is not the one of If-Match.",
    413: "The body is larger than 64 KiB.",
    415: "The content type is not application/json.",
    422: "Fields or parameters are missing, unknown or do not fit; `errors` says which, and why.",
    428: "PUT needs If-Match.",
    429: "Too many wrong passwords; Retry-After says how many seconds to wait.",
    503: "The database does not answer, is busy or full; try again after Retry-After seconds.",
}
# With these, how many seconds to wait.
RETRY = (429, 503)
# RFC 9110, 8.8.3: what If-Match and If-None-Match hold.
TAGS = r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Json, kind: str = "application/json") -> Json:
    return {kind: {"schema": schema}}


def _header(name: str, text: str, *, required: bool = False) -> Json:
    schema = {"type": "string", "pattern": TAGS, "examples": ["*", '"7"']}
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": text,
        "schema": schema,
    }


_REPEATABLE = {
    "name": idempotency.HEADER,
    "in": "header",
    "description": "A name of one's own for this request, such as a UUID. Sent again within a day"
    " with the same body it gets the first answer, and adds nothing; with another body, 422.",
    "schema": {
        "type": "string",
        "pattern": r"^[ -~]+$",
        "maxLength": idempotency.MAX_LENGTH,
        "examples": ["8e03978e-40d5-43dd-bc93-6894a57f9324"],
    },
}


def _header_of_answer(text: str, kind: str = "string") -> Json:
    return {"schema": {"type": kind}, "description": text}


def _errors(*statuses: int) -> Json:
    return {str(s): {"$ref": f"#/components/responses/{s}"} for s in sorted({*statuses, 503})}


def _security(*, free: bool) -> Json:
    return {"security": [] if free else [{"basic": []}, {"token": []}, {"session": []}]}


def _list(resource: Collection) -> Json:
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
            {
                "enum": [*columns, *(f"-{column}" for column in columns)],
                "default": resource.listing.usual,
            },
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
            "200": {
                "description": "A page of the list.",
                "content": _content(page),
                "headers": {"Link": _header_of_answer("The pages before and after (RFC 8288).")},
            },
            **_errors(422, *_refusals(resource)),
        },
        **_security(free=not resource.reader),
    }


def _refusals(resource: Collection) -> tuple[int, ...]:
    return (401, 403, 429) if resource.reader else ()


def _operation(
    summary: str,
    errors: Json,
    answer: Json,
    body: str = "",
    *,
    free: bool = False,
    header: Json | None = None,
) -> Json:
    operation: Json = {"summary": summary, "responses": {**answer, **errors}}
    if header:
        operation["parameters"] = [header]
    if body:
        operation["requestBody"] = {"required": True, "content": _content(_reference(body))}
    return {**operation, **_security(free=free)}


def _paths(resource: Collection) -> Json:
    """Return the operations of a list."""
    if isinstance(resource, Resource):
        paths = _changing_paths(resource)
    else:
        paths = {f"/api/{resource.name}": {"get": _list(resource)}}
    for path, operations in paths.items():
        for method, operation in operations.items():
            if method != "parameters":
                name = resource.listing.model.noun if path.endswith("}") else resource.name
                operation["operationId"] = f"{method}_{name}"
                operation["tags"] = [resource.name]
    return paths


def _changing_paths(resource: Resource) -> Json:
    noun = resource.listing.model.noun
    change = (401, 403, 422, 429)
    write = (*change, 400, 413, 415)
    # Only users have columns that two may not share.
    taken = (409,) if noun == "user" else ()
    one = _content(_reference(resource.shown.__name__))
    tag = {"ETag": _header_of_answer("Its version, for If-Match and If-None-Match.")}
    found = {"200": {"description": f"The {noun}.", "content": one, "headers": tag}}
    same = {"304": {"description": f"The {noun} has one of the versions of If-None-Match."}}
    made = {
        "201": {
            "description": f"The new {noun}.",
            "content": one,
            "headers": {"Location": _header_of_answer("Its address."), **tag},
        }
    }
    gone = {"204": {"description": f"The {noun} is deleted."}}
    read_errors = _errors(404, 422, *_refusals(resource))
    changed = (404, 412, *write, *taken)
    must = _header("If-Match", "The ETag of what is replaced, or *.", required=True)
    may = _header("If-Match", "Only if the row still has this ETag.")
    known = _header("If-None-Match", "Only if the row has another ETag.")
    operations = {
        "": {
            "get": _list(resource),
            "post": _operation(
                f"Make a {noun}",
                _errors(*write, *taken),
                made,
                resource.new.__name__,
                header=_REPEATABLE,
            ),
        },
        "/{id}": {
            "get": _operation(
                f"Read a {noun}",
                read_errors,
                {**found, **same},
                free=not resource.reader,
                header=known,
            ),
            "put": _operation(
                f"Replace a {noun}",
                _errors(428, *changed),
                found,
                resource.whole.__name__,
                header=must,
            ),
            "patch": _operation(
                f"Change a {noun}", _errors(*changed), found, resource.part.__name__, header=may
            ),
            "delete": _operation(
                f"Delete a {noun}", _errors(404, 412, *change, *taken), gone, header=may
            ),
        },
    }
    number = {"type": "integer", "minimum": 1, "maximum": LARGEST_ID}
    identity = {"name": "id", "in": "path", "required": True, "schema": number}
    return {
        f"/api/{resource.name}": operations[""],
        f"/api/{resource.name}/{{id}}": {"parameters": [identity], **operations["/{id}"]},
    }


def _problem(status: int, text: str) -> Json:
    answer: Json = {
        "description": text,
        "content": _content(_reference("Problem"), "application/problem+json"),
    }
    if status in RETRY:
        answer["headers"] = {"Retry-After": _header_of_answer("Seconds to wait.", "integer")}
    return answer


@cache
def document(release: str) -> Json:
    """Return the OpenAPI 3.1 document.

    Args:
        release: the release that serves; the document's version.
    """
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for resource in COLLECTIONS:
        models.append((resource.shown, "serialization"))
        if isinstance(resource, Resource):
            bodies = (resource.new, resource.whole, resource.part)
            models += [(body, "validation") for body in bodies]
    _, schemas = models_json_schema(
        models,
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Web application",
            "version": release,
            "description": "Users, products, and who changed what. Everybody reads products;"
            " changing them needs an account with the role editor or admin, all else admin: by"
            " HTTP Basic, by a token of the account's page, or by a session of the pages.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": {
            path: operations
            for resource in COLLECTIONS
            for path, operations in _paths(resource).items()
        },
        "components": {
            "schemas": schemas["$defs"],
            "responses": {str(status): _problem(status, text) for status, text in ERRORS.items()},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made on the account's page; shown once, taken back there.",
                },
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
