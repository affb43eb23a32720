"""The space of Flowers-102's classifiers, with what measure_bounds.py found best as the config to try first."""

from dataclasses import replace

import search_spaces

SHIPPED = search_spaces.get("flowers_classifier")
FOUND = {"residual": True, "convolutions": 2, "mixing": "mixup"}
SPACE = replace(SHIPPED, default={**SHIPPED.default, **FOUND}, reported={})
