# SPDX-License-Identifier: Apache-2.0
"""Rows as a Parquet file."""

from __future__ import annotations

import io
from collections.abc import Sequence

from .extra import needed
from .worker import COLUMNS, Row

NUMBERS = {"seconds": float, "cycles": int, "width": int, "height": int}


def parquet_bytes(rows: Sequence[Row]) -> bytes:
    """A column per name of ``COLUMNS``: numbers, or text (null where a row has none)."""
    arrow, parquet = needed("pyarrow", "--parquet"), needed("pyarrow.parquet", "--parquet")
    types = {float: arrow.float64(), int: arrow.int64(), str: arrow.string()}
    columns = {}
    for name in COLUMNS:
        kind = NUMBERS.get(name, str)
        values = [None if row[name] in ("", None) else kind(row[name]) for row in rows]
        columns[name] = arrow.array(values, types[kind])
    file = io.BytesIO()
    parquet.write_table(arrow.table(columns), file)
    return file.getvalue()
