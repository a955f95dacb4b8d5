"""A `.prompt.yml` of GitHub Models → a prompt, and a suite of its test data and evaluators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from promptstudio.errors import UserError
from promptstudio.exchange.document import read_document, stem_of, suite_text
from promptstudio.exchange.drafts import ROLES, Draft, title_of
from promptstudio.exchange.ledger import Ledger
from promptstudio.exchange.schema import Foreign, Import, Made
from promptstudio.exchange.spots import Reading, Spot
from promptstudio.prompts.assertion_faults import assertion_faults
from promptstudio.prompts.github_models import KEYS, VARIABLE, is_github_models, litellm_model, schema_of
from promptstudio.prompts.pieces import Piece, Text, Value, jinja_source
from promptstudio.prompts.wording import shown
from promptstudio.prompts.yamlfile import YamlDocument

_SUFFIXES = (".prompt.yml", ".prompt.yaml", ".yml", ".yaml")
# GitHub's own judges, in our words for a judge of ours.
_BUILT_IN = {
    "similarity": "The answer means the same as the expected answer.",
    "coherence": "The answer is coherent: its ideas follow from each other and are easy to read in order.",
    "fluency": "The answer is fluent: grammatical, natural, and rich enough in words.",
    "relevance": "The answer addresses what was asked, and nothing else.",
    "groundedness": "Every claim of the answer is supported by the given context.",
}
# Their word → the pattern of the same check, for which case does not count.
_PATTERNS = {"startsWith": r"(?i)\A{}", "endsWith": r"(?i){}\Z"}


class GitHubModelsImporter:
    """The prompts that lie in GitHub repositories; they run as they are, too."""

    name = "github-models"
    title = "GitHub Models .prompt.yml"

    def confidence(self, foreign: Foreign) -> int:
        if not foreign.path.name.lower().endswith((".yml", ".yaml")):
            return 0
        try:
            value = read_document(foreign).value
        except UserError:
            return 0
        if is_github_models(value):
            return 98
        has_suffix = foreign.path.name.lower().endswith((".prompt.yml", ".prompt.yaml"))
        known = isinstance(value, dict) and isinstance(value.get("messages"), list) and set(value) <= set(KEYS)
        return 60 if has_suffix and known else 0

    def read(self, foreign: Foreign) -> Import:
        document = read_document(foreign)
        ledger = Ledger(foreign, document)
        root = Reading(document, ledger).spot()
        stem = stem_of(foreign, _SUFFIXES)
        draft = Draft(ledger)
        _prompt(draft, root, stem)
        suite = _Suite(draft, stem).made(root.get("testData"), root.get("evaluators"))
        root.reading.finish()
        made = [draft.made(stem), *([suite] if suite is not None else [])]
        return Import(tuple(made), tuple(ledger.losses))


IMPORTER = GitHubModelsImporter()


# -- the prompt -----------------------------------------------------------------------------------------------------


def _prompt(draft: Draft, root: Spot, stem: str) -> None:
    title_of(draft, root.get("name"), stem.rpartition("/")[2])
    draft.text_field("description", root.get("description"))
    if (model := root.get("model")) is not None:
        name = model.text()
        draft.model(litellm_model(name), None, model.path)
        if draft.fields.get("model") not in (None, name):
            model.change(f"written as {shown(draft.fields['model'])}, as LiteLLM calls it")
    if (parameters := root.get("modelParameters")) is not None:
        for key, value in parameters.entries():
            draft.parameter(key, value)
    for message in root.need("messages").items():
        role = message.need("role")
        spoken = ROLES.get(role.text().lower())
        if spoken is None:
            role.fail(f"the role {shown(role.value)} is none we have")
        content = message.need("content")
        draft.say(spoken, {"text": _source(content.text(), draft.ledger, content)})
    _output(draft, root)


def _source(text: str, ledger: Ledger, spot: Spot) -> str:
    """`{{name}}` is a value, everything else stands for itself."""
    pieces: list[Piece] = []
    end = 0
    for match in VARIABLE.finditer(text):
        pieces += [Text(text[end : match.start()]), Value(ledger.uses(match[1], "string", spot.path))]
        end = match.end()
    return jinja_source([*pieces, Text(text[end:])])


def _output(draft: Draft, root: Spot) -> None:
    form, schema = root.get("responseFormat"), root.get("jsonSchema")
    wanted = form.one_of("text", "json_object", "json_schema") if form is not None else "text"
    if wanted == "json_object":
        draft.parameters["extra_body"] = {"response_format": {"type": "json_object"}}
    if schema is None:
        return
    if wanted != "json_schema":
        schema.drop(f"it goes with the response format json_schema, not {wanted}")
        return
    whole = schema_of(root.reading.document)
    given = YamlDocument(root.reading.document.file, "", {"jsonSchema": whole}, {}, {}, {}, {})
    wrapped = Reading(given, draft.ledger).spot(("jsonSchema",))
    inner = wrapped.get("schema")
    draft.output(inner if inner is not None else wrapped, wrapped.get("name"))
    if (strict := wrapped.get("strict")) is not None:
        strict.settle()  # an answer is always validated here
    wrapped.reading.finish(("jsonSchema",))
    schema.settle()


# -- the suite ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Suite:
    """Test data and evaluators; `draft` is the prompt they are for, whose inputs they fill."""

    draft: Draft
    stem: str

    def made(self, data: Spot | None, evaluators: Spot | None) -> Made | None:
        rows = data.items() if data is not None else []
        if not rows:
            if evaluators is not None:
                evaluators.drop("there is no test data to judge")
            return None
        suite: dict[str, Any] = {"name": self.stem, "prompt": self.stem, "cases": [self.case(row) for row in rows]}
        found = [self.assertion(item) for item in evaluators.items()] if evaluators is not None else []
        suite["assert"] = [item for item in found if item is not None]
        name = f"{self.stem}.yaml"
        return Made("suite", name, suite_text(suite, name), self.draft.ledger.foreign.shown)

    def case(self, row: Spot) -> dict[str, Any]:
        """Values of the prompt's inputs, what is expected, and the rest as metadata."""
        ledger = self.draft.ledger
        names = ledger.names()
        case: dict[str, Any] = {"inputs": {}}
        for key, value in row.entries():
            if key in names:
                case["inputs"][names[key]] = value.plain()
                if not isinstance(value.value, str):
                    ledger.inputs[names[key]] = "any"
            elif key == "expected" and value.value is not None:
                case["expected_output"] = value.plain()
            else:
                case.setdefault("metadata", {})[key] = value.plain()
        return case

    def assertion(self, item: Spot) -> dict[str, Any] | None:
        string, uses, llm = item.get("string"), item.get("uses"), item.get("llm")
        if string is not None:
            made = self.string(string, item)
        elif uses is not None:
            made = self.built_in(uses, item)
        elif llm is not None:
            item.drop("a judge with a prompt and choices of its own: write it as the metric deepeval/g_eval")
            made = None
        else:
            item.drop("an evaluator without a way to judge")
            made = None
        name = item.get("name")
        if name is not None and made is not None and name.text():
            made["description"] = name.value
        if made is not None and (faults := list(assertion_faults([made], ()))):
            item.drop(f"left out: {faults[0][1]}")
            return None
        return made

    def string(self, string: Spot, item: Spot) -> dict[str, Any] | None:
        """The first of them counts there; all but `equals` ignore case."""
        keys = ("equals", "contains", "startsWith", "endsWith")
        given = [spot for key in keys if (spot := string.get(key)) is not None and spot.value != ""]
        if not given:
            item.drop("it compares with nothing")
            return None
        for extra in given[1:]:
            extra.drop(f"beside {given[0].path[-1]!r} it is not looked at there either")
        key, text = given[0].path[-1], given[0].text()
        if VARIABLE.search(text):
            given[0].change("braces in it are text: GitHub's own runner does not fill them in")
        if key in _PATTERNS:
            given[0].change("written as a regular expression, because case does not count there")
            return {"type": "regex", "value": _PATTERNS[str(key)].format(re.escape(text))}
        return {"type": "equals" if key == "equals" else "icontains", "value": text}

    def built_in(self, uses: Spot, item: Spot) -> dict[str, Any] | None:
        name = uses.text()
        kind = name.removeprefix("github/")
        if not name.startswith("github/") or kind not in _BUILT_IN:
            item.drop(f"there is no judge like {shown(name)}")
            return None
        uses.change(f"{shown(name)} is asked of a judge in other words")
        return {"type": "llm-rubric", "value": _BUILT_IN[kind]}
