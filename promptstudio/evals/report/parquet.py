"""Runs → a Parquet file of flat rows: `pandas.read_parquet(file)`. Needs the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TextIO

from promptstudio.errors import MissingExtraError, UsageError
from promptstudio.evals.report.rows import table_of
from promptstudio.evals.report.schema import RunReport

_AT_ONCE = 1_000


def write(reports: Sequence[RunReport], out: TextIO) -> None:
    try:
        import pyarrow
        import pyarrow.parquet  # an extra
    except ImportError as cause:
        hint = 'pip install "promptstudio[parquet]"'
        raise MissingExtraError("writing .parquet needs the extra `parquet`", hint=hint) from cause
    sink = getattr(out, "buffer", None)
    if sink is None:
        raise UsageError("parquet is no text: it needs a file", hint="parquet:FILE.parquet")
    table = table_of(reports)
    types = {"text": pyarrow.string(), "int": pyarrow.int64(), "float": pyarrow.float64(), "bool": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in table.columns.items()])
    with pyarrow.parquet.ParquetWriter(sink, schema) as writer:
        for batch in _batches(table.rows()):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


def _batches(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    while batch := list(islice(rows, _AT_ONCE)):
        yield batch
