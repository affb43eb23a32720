"""The space of Fashion-MNIST's classifiers, with a residual network and moved images as the config to try first."""

from dataclasses import replace

import search_spaces

SHIPPED = search_spaces.get("fashion_classifier")
FIRST = {"residual": True, "convolutions": 2, "augmentation": "shift_flip"}
SPACE = replace(SHIPPED, default={**SHIPPED.default, **FIRST}, reported={})
