"""An `output:` of a prompt → the Pydantic model its answers become.

The JSON Schema stays the judge: every value is checked against it as it is written in the file. The Pydantic fields on
top give attributes, types and editors something to hold on to.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, create_model, model_validator
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema, JsonSchemaMode

from promptstudio.errors import PromptFileError
from promptstudio.output.imports import import_from_repository
from promptstudio.prompts.jsonschemas import value_problems
from promptstudio.prompts.prompt import OutputSpec

MAX_DEPTH = 30
MAX_MODELS = 300
"""References can make millions of classes out of a few lines; what comes later is `Any`, checked by the schema."""
MAX_LISTED_PROBLEMS = 10


class OutputModel(BaseModel):
    """The base of models made from a schema. Extra properties are kept where the schema allows them."""

    model_config = ConfigDict(extra="allow", protected_namespaces=(), arbitrary_types_allowed=True)
    schema_as_written: ClassVar[Mapping[str, Any]] = {}

    @model_validator(mode="before")
    @classmethod
    def _fits_schema(cls, value: Any, _info: ValidationInfo) -> Any:
        if cls.schema_as_written and isinstance(value, dict):
            problems = value_problems(cls.schema_as_written, value)
            if problems:
                listed = [f"{_dotted(path)}: {message}" for path, message in problems[:MAX_LISTED_PROBLEMS]]
                raise ValueError("; ".join(listed))
        return value

    @classmethod
    def model_json_schema(
        cls,
        by_alias: bool | None = True,
        ref_template: str = DEFAULT_REF_TEMPLATE,
        schema_generator: type[GenerateJsonSchema] = GenerateJsonSchema,
        mode: JsonSchemaMode = "validation",
        **keywords: Any,
    ) -> dict[str, Any]:
        """Return the schema as written, so that the model is asked for exactly what the file says."""
        if cls.schema_as_written:
            return {"title": cls.__name__, **copy.deepcopy(dict(cls.schema_as_written))}
        return super().model_json_schema(bool(by_alias), ref_template, schema_generator, mode, **keywords)


def _dotted(path: tuple[str | int, ...]) -> str:
    return ".".join(str(step) for step in path) or "answer"


def output_model(spec: OutputSpec, root: Path | None, *, file: str | None = None) -> type[BaseModel]:
    """Build the model of an `output:`; `root` is the repository that `output.model` may import from."""
    if spec.model is not None:
        return _imported(spec.model, root, file, spec.line)
    return model_from_schema(spec.name, spec.schema or {"type": "object"})


@dataclass(slots=True)
class _Root:
    """The whole schema, which references look into, and the number of classes made of it so far."""

    schema: Mapping[str, Any]
    models: int = 0


def model_from_schema(name: str, schema: Mapping[str, Any]) -> type[BaseModel]:
    """Build a model from a JSON Schema whose root is an object."""
    model = _object(_class_name(name), schema, _Root(schema), 0)
    model.schema_as_written = schema  # type: ignore[attr-defined]
    return model


def _object(name: str, schema: Mapping[str, Any], root: _Root, depth: int) -> type[BaseModel]:
    root.models += 1
    required = set(schema.get("required") or ())
    fields: dict[str, Any] = {}
    for key, part in (schema.get("properties") or {}).items():
        python_type = _type(f"{name}_{key}", part, root, depth + 1)
        attribute = key if _is_attribute(key) else re.sub(r"\W", "_", f"field_{key}")
        default: Any = ... if key in required else None
        if key not in required:
            python_type = Optional[python_type]  # noqa: UP045  a runtime value, not an annotation
        fields[attribute] = (python_type, Field(default, alias=key) if attribute != key else Field(default))
    return create_model(name, __base__=OutputModel, **fields)


def _is_attribute(key: str) -> bool:
    return key.isidentifier() and not key.startswith("_") and not hasattr(BaseModel, key) and key != "schema_as_written"


def _type(name: str, schema: Any, root: _Root, depth: int) -> Any:
    """The Python type for a part of a schema. What has no simple type is `Any`: the schema itself is checked anyway."""
    schema = _resolved(schema, root.schema)
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return Any
    if schema.get("enum") and all(isinstance(one, str | int | bool | None) for one in schema["enum"]):
        return Literal[tuple(schema["enum"])]
    kind = schema.get("type")
    if isinstance(kind, list):
        plain = [one for one in kind if one != "null"]
        inner = _type(name, {**schema, "type": plain[0]}, root, depth) if len(plain) == 1 else Any
        return Optional[inner] if "null" in kind else inner  # noqa: UP045
    if kind == "object" and schema.get("properties") and root.models < MAX_MODELS:
        return _object(_class_name(name), schema, root, depth)
    if kind == "array":
        return list[_type(f"{name}_item", schema.get("items"), root, depth + 1)]  # type: ignore[misc]
    simple = {"string": str, "integer": int, "number": float, "boolean": bool, "object": dict[str, Any]}
    return simple.get(str(kind), Any)


def _resolved(schema: Any, root: Mapping[str, Any]) -> Any:
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, Mapping) or not isinstance(schema.get("$ref"), str):
            return schema
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target.get(step) if isinstance(target, Mapping) else None
        schema = target
    return None


def _class_name(name: str) -> str:
    words = re.findall(r"[^\W_]+", name)
    return "".join(word[:1].upper() + word[1:] for word in words) or "Output"


def _imported(reference: str, root: Path | None, file: str | None, line: int | None) -> type[BaseModel]:
    found = import_from_repository(reference, root, what="output.model", file=file, line=line)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        raise PromptFileError(
            f"output.model: '{reference}' is not a Pydantic model", file=file, line=line, hint="write module:Class"
        )
    return found
