"""A space whose trials cost next to nothing: the smallest real autoencoder of the digits, two parameters searched."""

import dataclasses

import search_spaces

digits = search_spaces.get("digits_ae")
SMALL = {**digits.default, "width": 32}


def search(ask, context, reported):
    ask.fix(**{key: value for key, value in SMALL.items() if key not in ("lr", "dropout")})
    ask.number("lr", (1e-4, 1e-2), log=True)
    ask.number("dropout", (0.0, 0.5))


SPACE = dataclasses.replace(digits, search=search, default=SMALL)
