"""A page as one HTML file that asks for nothing else: everything that a study says is escaped, pictures are inside."""

from __future__ import annotations

import base64
from hashlib import sha256
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from analysis.page.parts import Page, Picture, Table
from analysis.words import cell, column_label

_HERE = Path(__file__).parent


def render(page: Page, tables: str = "") -> str:
    """Return the page as HTML; `tables` is where its tables' files lie beside it, "" or a folder's name and a slash."""
    jinja = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    jinja.filters |= {"data_url": _data_url, "breakable": _breakable}
    jinja.filters |= {"header": _header, "body": _body, "numeric": _numeric}
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("page.css", "sort.js"))
    # Whatever should get past the escaping: the browser runs this script alone, and asks nobody for anything.
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_digest(style)}'; "
        f"script-src 'sha256-{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    template = jinja.get_template("page.html")
    return template.render(page=page, tables=tables, style=style, script=script, policy=policy)


def _digest(text: str) -> str:
    return base64.b64encode(sha256(text.encode()).digest()).decode()


def _data_url(picture: Picture) -> str:
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.data).decode()}"


def _breakable(text: str) -> Markup:
    """Return text whose names may go on in the next line after each of their words, not in the middle of one."""
    return Markup("_<wbr>").join(escape(part) for part in text.split("_"))


def _header(table: Table) -> list[str]:
    return [column_label(str(column)) for column in table.frame.columns]


def _body(table: Table) -> list[list[str]]:
    return [[cell(value) for value in row] for row in table.frame.head(table.rows).itertuples(index=False, name=None)]


def _numeric(table: Table) -> list[bool]:
    """Return, for each column, whether it holds numbers, which stand flush right."""
    columns = (table.frame.iloc[:, place] for place in range(table.frame.shape[1]))
    return [pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) for column in columns]
