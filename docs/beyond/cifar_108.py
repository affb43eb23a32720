"""The space of CIFAR-10's autoencoders, with residual blocks and 32 channels beside PCA as the config to try first."""

from dataclasses import replace

import search_spaces

SHIPPED = search_spaces.get("cifar_ae")
FIRST = {"width": 32, "residual_blocks": 1, "batch_size": 32}
SPACE = replace(SHIPPED, default={**SHIPPED.default, **FIRST}, reported={})
