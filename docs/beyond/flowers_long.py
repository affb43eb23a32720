"""The space of Flowers-102's classifiers, with a residual network and mixed images as the config to try first."""

from dataclasses import replace

import search_spaces

SHIPPED = search_spaces.get("flowers_classifier")
FIRST = {"residual": True, "convolutions": 2, "mixing": "mixup"}
SPACE = replace(SHIPPED, default={**SHIPPED.default, **FIRST}, reported={})
