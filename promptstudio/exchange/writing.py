"""What importers and exporters write with, from one place: file texts, names, templates of other languages → ours."""

from promptstudio.exchange.document import plain, prompt_text, read_document, safe_name, stem_of, suite_text
from promptstudio.exchange.fstring import dollar_to_jinja, fstring_to_jinja
from promptstudio.exchange.handlebars import handlebars_to_jinja, handlebars_to_messages
from promptstudio.exchange.ledger import Ledger, input_name
from promptstudio.exchange.mustache import mustache_to_jinja
from promptstudio.exchange.nunjucks import jinja_to_jinja
from promptstudio.prompts.pieces import jinja_source, literal_to_jinja

__all__ = [
    "Ledger",
    "dollar_to_jinja",
    "fstring_to_jinja",
    "handlebars_to_jinja",
    "handlebars_to_messages",
    "input_name",
    "jinja_source",
    "jinja_to_jinja",
    "literal_to_jinja",
    "mustache_to_jinja",
    "plain",
    "prompt_text",
    "read_document",
    "safe_name",
    "stem_of",
    "suite_text",
]
