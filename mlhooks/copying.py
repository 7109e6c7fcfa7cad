"""COPY out of PostgreSQL, and what it sends as Arrow tables."""

import pyarrow as pa
import pyarrow.csv

# As quote and delimiter, what hardly any text holds: little is to be escaped.
_OUT = rb") TO STDOUT (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"


def copy_out(statement: bytes) -> bytes:
    return b"COPY (" + statement + _OUT


def options(types: dict[str, pa.DataType], **reading: object) -> dict[str, object]:
    """For Arrow's CSV readers. `types`: the columns that were asked for, in order."""
    return {
        "read_options": pyarrow.csv.ReadOptions(column_names=list(types), **reading),
        "parse_options": pyarrow.csv.ParseOptions(
            delimiter="\x02", quote_char="\x01", newlines_in_values=True
        ),
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            true_values=["t"],
            false_values=["f"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    }


def as_table(rows: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    """All that one COPY sent, a chunk a column."""
    if not rows:
        return pa.schema(list(types.items())).empty_table()
    whole = options(types, use_threads=False, block_size=len(rows) + 1)
    return pyarrow.csv.read_csv(pa.BufferReader(rows), **whole).combine_chunks()
